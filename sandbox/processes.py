"""Child processes of the sandbox: started with a log each, ended by their own pid, never outliving their owner."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
# The kernel's death signal follows the *thread* that forked, and web servers let theirs go: fork from one that stays.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="fork")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, all different: asked from the system, as the last run's may still linger."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _die_with_parent() -> None:
    # Linux only, and a courtesy: elsewhere the daemon's own shutdown ends the children.
    with contextlib.suppress(AttributeError):
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def start(command: Sequence[str], log: Path, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a program with its output in `log`; it is killed if this process dies first."""
    return _STARTER.submit(_start, command, log, env).result()


def _start(command: Sequence[str], log: Path, env: dict[str, str] | None) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(
            command,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
            start_new_session=True,
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - prctl is async-signal-safe; nothing else runs in the child
        )


def end(process: subprocess.Popen[bytes], timeout_s: float = 10) -> None:
    """Ask a process to end, then make it."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, for an error message."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(no log)"
