"""A sandbox for the end-to-end tests: its own directory, so that nobody's running sandbox is touched, and gone at the end."""

from __future__ import annotations

import json
import os
import shutil
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
from sandbox.cluster.api import Api

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Sandbox:
    """A sandbox and the `fleet` command pointed at it."""

    home: Path

    @property
    def places(self) -> dict[str, str]:
        """What makes a command of this checkout this sandbox's."""
        # Nodes that a test adds stay idle for as long as `up` takes, on a slow machine minutes.
        stays = {"ACCELFLEET_IDLE_S": "3600"}
        return {"ACCELFLEET_SANDBOX": str(self.home), "ACCELFLEET_OUT": str(self.home / "out"), **stays}

    def fleet(self, *args: str, check: bool = True, timeout: int = 600) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-c", "from fleet.cli import main; main()", *args],
            cwd=ROOT,
            env={**os.environ, **self.places, "NO_COLOR": "1", "COLUMNS": "160"},
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


# What a fork's run needs nothing of.
_LEFT_OUT = (
    ".git",
    ".venv*",
    ".sandbox*",
    ".accelfleet",
    "out",
    "tests",
    "benchmarks",
    "docs",
    "__pycache__",
    ".*_cache",
    ".hypothesis",
)


class Fork:
    """A copy of the repository with one stack file of its own, as a platform team's fork has, and a sandbox for it."""

    def __init__(self, place: Path, stack: str, text: str, **env: str) -> None:
        self.root, self.home, self.stack = place / "repository", place / "sandbox", stack
        self._env = env
        shutil.copytree(ROOT, self.root, ignore=shutil.ignore_patterns(*_LEFT_OUT))
        self.write(text)

    def write(self, text: str) -> None:
        (self.root / "stacks" / f"{self.stack}.yaml").write_text(text)

    def fleet(self, *args: str) -> str:
        """`fleet ARGS --sandbox --stack STACK`, which has to end well; returns what it printed."""
        return self.run(*args, "--sandbox", "--stack", self.stack)

    def run(self, *args: str) -> str:
        """`fleet ARGS`, which has to end well; returns what it printed."""
        done = self.ended(*args)
        assert done.returncode == 0, f"fleet {' '.join(args)}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def ended(self, *args: str) -> subprocess.CompletedProcess[str]:
        """`fleet ARGS`, however it ends."""
        home = {"PYTHONPATH": str(self.root), "ACCELFLEET_SANDBOX": str(self.home), "NO_COLOR": "1"}
        return subprocess.run(
            [sys.executable, "-c", "from fleet.cli import main; main()", *args],
            cwd=self.root,
            env={**os.environ, **home, **self._env},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )

    def pools(self) -> dict[str, Any]:
        """What stands, by the pool's name."""
        return {p["pool"]: p for p in json.loads(self.fleet("status", "--format", "json"))["pools"]}

    def api(self, cluster: str) -> Api:
        """An admin's client of `<cloud>/<name>`."""
        about = json.loads((self.home / "clusters" / cluster / "cluster.json").read_text())
        return Api(about["endpoint"], about["ca"], about["token"])

    def processes(self) -> list[psutil.Process]:
        """Processes of its sandbox."""
        return [p for p in psutil.process_iter(["cmdline"]) if str(self.home) in " ".join(p.info["cmdline"] or [])]

    def close(self) -> None:
        daemon.stop(self.home)
        assert not self.processes(), "the sandbox left processes behind"


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    home = tmp_path_factory.mktemp("sandbox")
    made = Sandbox(home)
    yield made
    daemon.stop(home)
    assert not made.processes(), "the sandbox left processes behind"
