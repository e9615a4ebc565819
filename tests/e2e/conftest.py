"""A sandbox for the end-to-end tests: its own directory, so that nobody's running sandbox is touched, and gone at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from sandbox.cloud import daemon
from sandbox.cloud.client import Client

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Sandbox:
    """A sandbox and the `fleet` command pointed at it."""

    home: Path

    def fleet(self, *args: str, check: bool = True, timeout: int = 600) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", "from fleet.cli import main; main()", *args],
            cwd=ROOT,
            env={**os.environ, "ACCELFLEET_SANDBOX": str(self.home), "NO_COLOR": "1", "COLUMNS": "160"},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        assert not check or done.returncode == 0, (
            f"fleet {' '.join(args)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
        return done

    def json(self, *args: str, check: bool = True) -> Any:
        return json.loads(self.fleet(*args, "--format", "json", check=check).stdout)

    def cloud(self, route: str, **query: Any) -> Any:
        return Client(self.home).call(route, **query)

    def processes(self) -> list[psutil.Process]:
        """Processes that belong to this sandbox: started from it, or naming its directory."""
        found = []
        for process in psutil.process_iter():
            try:
                words = " ".join(process.cmdline())
                if str(self.home) in words and process.pid != os.getpid():
                    found.append(process)
            except psutil.Error:
                continue
        return found


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    home = tmp_path_factory.mktemp("sandbox")
    made = Sandbox(home)
    yield made
    daemon.stop(home)
    assert not made.processes(), "the sandbox left processes behind"
