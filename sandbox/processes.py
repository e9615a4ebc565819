"""Child processes of the sandbox: started with a log each, ended by their own pid, never outliving their owner."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import socket
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
# Below what Linux (32768) and macOS (49152) give to connections.
_PORTS = range(20000, 32768)
_LIBC = ctypes.CDLL(None, use_errno=True)
# The kernel's death signal follows the *thread* that forked, and web servers let theirs go: fork from one that stays.
_STARTER = ThreadPoolExecutor(1, thread_name_prefix="fork")


def free_ports(count: int) -> list[int]:
    """Ports that nobody uses now, all different; outgoing connections get theirs from above this range, at any moment.

    Raises:
        RuntimeError: there are not that many.
    """
    probes: list[socket.socket] = []
    try:
        for port in random.sample(_PORTS, len(_PORTS)):
            if len(probes) == count:
                break
            with contextlib.suppress(OSError):
                probes.append(socket.create_server(("127.0.0.1", port)))
        if len(probes) < count:
            raise RuntimeError(f"{count} ports are needed, and of {_PORTS[0]} to {_PORTS[-1]} only {len(probes)} are free")
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def listens(pid: int, port: int) -> bool:
    """Whether the process, and no other, serves the port."""
    with contextlib.suppress(psutil.Error):
        return any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in psutil.Process(pid).net_connections("tcp"))
    return False


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
