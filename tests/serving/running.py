"""A model server as a process of its own, as a pod runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]


@dataclass
class Running:
    """A server that listens.

    Attributes:
        http: its base URL.
    """

    process: subprocess.Popen[bytes]
    port: int
    grpc_port: int
    log: Path

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def until_ready(self) -> None:
        """Wait until all its models are loaded.

        Raises:
            AssertionError: it ended, or is not ready after a minute.
        """
        _line(self, "ready")

    def lines(self) -> list[dict[str, Any]]:
        """What it has logged."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def metric(self, name: str, **labels: str) -> float:
        """The value of one metric now, 0 where it is not there yet."""
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        for line in httpx.get(f"{self.http}/metrics").text.splitlines():
            if line.partition("{")[0].partition(" ")[0] == name and all(one in line for one in wanted):
                return float(line.rpartition(" ")[2])
        return 0.0


def command(*flags: str) -> list[str]:
    return [sys.executable, "-m", "serving", *flags]


@contextmanager
def start(*flags: str, log: Path, ready: bool = True) -> Iterator[Running]:
    """A server on ports of its own choice; ended, with a kill if need be, on the way out.

    Raises:
        AssertionError: it ended, or is not ready after a minute.
    """
    with log.open("wb") as out:
        process = subprocess.Popen(
            command("--host", "127.0.0.1", "--port", "0", "--grpc-port", "0", *flags), cwd=ROOT, stdout=out, stderr=out
        )
    try:
        running = Running(process, 0, 0, log)
        listens = _line(running, "listening")
        running.port, running.grpc_port = listens["http"], listens["grpc"]
        if ready:
            running.until_ready()
        yield running
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _line(running: Running, message: str) -> dict[str, Any]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        for line in running.lines():
            if line["message"] == message:
                return line
        if running.process.poll() is not None:
            break
        time.sleep(0.02)
    raise AssertionError(f"the server never said {message!r}: {running.log.read_text()[-2000:]}")
