"""Keeps a Python in which what the engine's plugins import is imported already, and forks it where one is to start.

An `up` starts some ten interpreters of ours (language host, policy pack, plugins, credentials), each the second time
with the very modules of the first: half of its time. This process learns them from those it has forked, imports
nothing of the repository (what is edited there counts at once), and forks no more once it has a second thread, half a
module or packages that have changed.
Run by its path, so that no package of ours is loaded. The other half is `warm_start.py`; Linux only.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import runpy
import selectors
import signal
import socket
import sys
import sysconfig
import threading
import time
import types
from dataclasses import dataclass
from pathlib import Path

NAME = "warm.sock"
_EVERY = 0.25  # seconds between two looks at what a process has imported, and at whether our parent lives
_PATIENCE_S = 5
_STREAMS = (0, 1, 2)
_INSTALLED = tuple({f"{sysconfig.get_path(name)}{os.sep}" for name in ("stdlib", "platstdlib", "purelib", "platlib")})


@dataclass(frozen=True)
class Start:
    """What to run, as `warm_start.py` sends it: a module as `python -m` would, with these arguments, there."""

    cwd: str
    umask: int
    module: str
    arguments: list[str]
    environment: dict[bytes, bytes]

    @classmethod
    def parse(cls, sent: bytes) -> Start:
        cwd, umask, module, count, *rest = sent.split(b"\0")
        arguments, variables = rest[: int(count)], rest[int(count) :]
        environment = dict(variable.partition(b"=")[::2] for variable in variables)
        return cls(os.fsdecode(cwd), int(umask), module.decode(), [os.fsdecode(a) for a in arguments], environment)


@dataclass
class _Child:
    caller: socket.socket
    reports: socket.socket
    unread: bytes = b""


class Server:
    """Forks on request until its parent ends, it is told to end, or it must not fork any more."""

    def __init__(self, directory: Path) -> None:
        self._children: dict[int, _Child] = {}
        self._parent = os.getppid()
        self._packages = _changed()
        self._forks, self._ending = True, False
        self._wake, wake = socket.socketpair()
        wake.setblocking(False)
        self._wake.setblocking(False)
        self._waker = wake
        signal.set_wakeup_fd(wake.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._told_to_end)
        signal.signal(signal.SIGINT, self._told_to_end)
        self._listener = listening(directory)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)

    def serve(self) -> tuple[Start, socket.socket, socket.socket] | None:
        """In the process itself None, at its end; in one that it has forked what that is to run, and its two lines."""
        while os.getppid() == self._parent and not self._ending and (self._forks or self._children):
            for key, _ in self._selector.select(_EVERY):
                if key.fileobj is self._listener:
                    if self._forks and (forked := self._accept()):
                        return forked
                elif key.fileobj is self._wake:
                    with contextlib.suppress(BlockingIOError):
                        self._wake.recv(4096)
                else:
                    self._learn(key.data)
            self._reap()
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        while self._children:
            self._reap()
            time.sleep(0.01)
        return None

    def _told_to_end(self, *_: object) -> None:
        self._ending = True

    def _accept(self) -> tuple[Start, socket.socket, socket.socket] | None:
        caller, _ = self._listener.accept()
        caller.settimeout(_PATIENCE_S)
        streams: list[int] = []
        try:
            size, streams, _, _ = socket.recv_fds(caller, 8, len(_STREAMS))
            with caller.makefile("rb") as sent:
                start = Start.parse(sent.read(int.from_bytes(size, "big")))
        except (OSError, ValueError):
            _refuse(caller, streams)  # it went away, or is none of ours
            return None
        if _threads() > 1:
            self._fork_no_more("a module that a plugin had imported runs a thread")
        elif _changed() != self._packages:
            self._fork_no_more("packages were installed or removed")
        if not self._forks:
            _refuse(caller, streams)  # it starts by itself
            return None
        ours, theirs = socket.socketpair()
        gc.freeze()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._forget()
            for target, stream in zip(_STREAMS, streams, strict=True):
                os.dup2(stream, target)
                os.close(stream)
            return start, caller, theirs
        theirs.close()
        for stream in streams:
            os.close(stream)
        ours.setblocking(False)
        self._children[pid] = child = _Child(caller, ours)
        self._selector.register(ours, selectors.EVENT_READ, child)
        return None

    def _forget(self) -> None:
        """In a forked process: let go of what is the server's."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._selector.close()
        for held in (
            self._listener,
            self._wake,
            self._waker,
            *(s for c in self._children.values() for s in (c.caller, c.reports)),
        ):
            held.close()

    def _learn(self, child: _Child) -> None:
        """Import what a process says that it has imported."""
        try:
            said = child.reports.recv(1 << 20)
        except BlockingIOError:
            return
        if not said:
            self._selector.unregister(child.reports)
            return
        *lines, child.unread = (child.unread + said).split(b"\n")
        try:
            for line in lines:
                _import(line.decode())
        except BaseException as problem:  # whatever it is: what it leaves half made must reach nobody
            self._fork_no_more(f"{problem!r} in an import that a plugin had no trouble with")

    def _fork_no_more(self, why: str) -> None:
        """Whoever asks now starts by itself; what runs goes on to its end."""
        if self._forks:
            sys.stderr.write(f"No more warm starts: {why}.\n")
            self._forks = False
            self._selector.unregister(self._listener)
            self._listener.close()

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if child := self._children.pop(pid, None):
                with contextlib.suppress(OSError):
                    code = os.waitstatus_to_exitcode(status)
                    child.caller.sendall(bytes([code if code >= 0 else 128 - code]))
                child.caller.close()
                with contextlib.suppress(KeyError):
                    self._selector.unregister(child.reports)
                child.reports.close()


def listening(directory: Path) -> socket.socket:
    """A socket in the directory, for this user alone."""
    listener = socket.socket(socket.AF_UNIX)
    (directory / NAME).unlink(missing_ok=True)
    # An address holds 107 letters, a directory's name any number.
    place = os.open(directory, os.O_PATH)
    before = os.umask(0o177)
    try:
        listener.bind(f"/proc/self/fd/{place}/{NAME}")
    finally:
        os.umask(before)
        os.close(place)
    listener.listen(64)
    return listener


def run(start: Start, caller: socket.socket, reports: socket.socket) -> None:
    """Be what was asked for, until its end."""
    # A caller that no longer waits has started it by itself.
    caller.sendall(b"\1")
    os.umask(start.umask)
    os.environb.clear()
    os.environb.update(start.environment)
    os.chdir(start.cwd)
    time.tzset()
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    sys.argv = [start.module, *start.arguments]
    own = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:] = [start.cwd, *own, *sys.path]
    if os.environ.get("PYTHONUNBUFFERED"):
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(write_through=True)  # type: ignore[union-attr]
    threading.Thread(target=_watch, args=(caller, reports), name="warm", daemon=True).start()
    runpy.run_module(start.module, run_name="__main__", alter_sys=True)


def _watch(caller: socket.socket, reports: socket.socket) -> None:
    """Tell what was imported, take the signals that the caller got, and end as hard as it does: it stands for this process."""
    told = set(_installed())
    caller.settimeout(_EVERY)
    while True:
        try:
            if not (got := caller.recv(1)):
                raise ConnectionError
            os.kill(os.getpid(), got[0])
        except TimeoutError:
            pass
        except OSError:
            os.kill(os.getpid(), signal.SIGKILL)
        loaded = _installed()
        new = [name for name in loaded if name not in told]
        told.update(new)
        with contextlib.suppress(OSError):
            reports.sendall("".join(f"{name}\n" for name in new).encode())


def _installed() -> list[str]:
    """Installed modules that are loaded, those before that imported others; none while one is being imported."""
    loaded = []
    for name, module in list(sys.modules.items()):
        # A lazy one that nobody has used yet is of a class of its own.
        if type(module) is not types.ModuleType or name == "__main__":
            continue
        if getattr(module.__dict__.get("__spec__"), "_initializing", False):
            return []
        file = module.__dict__.get("__file__")
        if file and file.startswith(_INSTALLED):
            loaded.append(name)
    # They stand in the order in which their imports ended.
    return loaded[::-1]


def _import(name: str) -> None:
    """Import a module, what it is in first: Pulumi's SDKs load a package when it is first asked for one of its names."""
    inner = ""
    for part in name.split("."):
        inner = f"{inner}.{part}" if inner else part
        hasattr(importlib.import_module(inner), "_")


def _refuse(caller: socket.socket, streams: list[int]) -> None:
    caller.close()
    for stream in streams:
        os.close(stream)


def _changed() -> list[int]:
    """When packages were last installed or removed."""
    return [Path(place).stat().st_mtime_ns for place in _INSTALLED if Path(place).exists()]


def _threads() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def main() -> None:
    """`warm_server.py DIRECTORY`"""
    started = Server(Path(sys.argv[1])).serve()
    if started:
        run(*started)


if __name__ == "__main__":
    main()
