"""The daemon process: takes a free port, writes down where it is, and on SIGTERM takes everything down in order."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil

from sandbox import processes, warm_server
from sandbox.cloud.client import Client, home
from sandbox.cloud.errors import CloudError

_READY_S = 60
_COLD = "--cold"
_STARTED: list[subprocess.Popen[bytes]] = []


def running(directory: Path) -> psutil.Process | None:
    """The daemon of this directory, if it lives; a pid that another program has taken over is not it."""
    try:
        about = json.loads((directory / "daemon.json").read_text())
        process = psutil.Process(about["pid"])
        same = abs(process.create_time() - about["started"]) < 1
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
    return process if same and process.status() != psutil.STATUS_ZOMBIE else None


def start(directory: Path | None = None, *, warm: bool = True) -> Path:
    """Start the daemon unless it runs; returns its directory when it answers.

    Args:
        warm: whether plugins are forked from a warm process; else each starts anew, as outside the sandbox.

    Raises:
        RuntimeError: it did not come up; the message ends with its log.
    """
    directory = directory or home()
    directory.mkdir(parents=True, exist_ok=True)
    if running(directory) is None:
        (directory / "daemon.json").unlink(missing_ok=True)
        log = directory / "daemon.log"
        root = Path(__file__).resolve().parents[2]
        with log.open("ab") as out:
            child = subprocess.Popen(
                [sys.executable, "-m", "sandbox.cloud.daemon", str(directory), *([] if warm else [_COLD])],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=root,
            )
        # It outlives this process on purpose; kept, so that nobody warns of an unawaited child.
        _STARTED.append(child)
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            try:
                Client(directory).call("status")
                return directory
            except CloudError:
                if child.poll() is not None:
                    break
                time.sleep(0.1)
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
        raise RuntimeError(f"the sandbox daemon did not start; the end of {log}:\n{tail}")
    return directory


def stop(directory: Path | None = None, timeout_s: float = 60) -> bool:
    """Stop the daemon and all it runs; False when none ran."""
    directory = directory or home()
    process = running(directory)
    if process is None:
        return False
    family = [process, *process.children(recursive=True)]
    process.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=timeout_s)
    for left in alive:
        with suppress(psutil.NoSuchProcess):  # it ended at last
            left.kill()
    psutil.wait_procs(alive, timeout=5)
    for child in [c for c in _STARTED if c.pid == process.pid]:
        child.poll()
        _STARTED.remove(child)
    (directory / "daemon.json").unlink(missing_ok=True)
    # What killed plugins left, kubeconfigs among it.
    shutil.rmtree(directory / "scratch", ignore_errors=True)
    return True


def _serve(directory: Path, *, warm: bool) -> None:
    import uvicorn  # noqa: PLC0415 - only the daemon itself pays for the web server

    from sandbox.cloud.aws_api.fleet import adopt  # noqa: PLC0415
    from sandbox.cloud.server import app  # noqa: PLC0415
    from sandbox.cloud.world import World  # noqa: PLC0415

    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    world = World(directory, url)
    world.clusters.resume()
    adopt(world)
    about = {"url": url, "pid": os.getpid(), "started": psutil.Process().create_time()}
    part = directory / "daemon.json.part"
    part.write_text(json.dumps(about))
    part.replace(directory / "daemon.json")
    server = uvicorn.Server(uvicorn.Config(app(world), log_level="warning", timeout_graceful_shutdown=5))
    forks = _forking(directory) if warm and sys.platform == "linux" else None
    try:
        asyncio.run(server.serve(sockets=[listener]))
    finally:
        if forks:
            processes.end(forks)
        world.close()
        (directory / "daemon.json").unlink(missing_ok=True)


def _forking(directory: Path) -> subprocess.Popen[bytes]:
    """The process that plugins are forked from."""
    command = [sys.executable, "-E", "-P", "-W", "ignore", warm_server.__file__, str(directory)]
    return processes.start(command, directory / "warm.log")


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), warm=_COLD not in sys.argv[2:])
