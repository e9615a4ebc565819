"""`warm_start.py DIRECTORY MODULE [ARGUMENT…]`: what `python -m MODULE` does, by the warm process of that sandbox.

Stands for the process that is forked there: has its streams, passes signals on, ends with its exit code, and it ends
with this one. Where there is no warm process it becomes `python -m MODULE`. Imports little, as it is started often.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from contextlib import suppress

_EVERY = 0.5  # seconds between two looks at whether our parent lives
_PATIENCE_S = 10


def main(directory: str, module: str, arguments: list[str]) -> int:
    """Start it and wait; returns its exit code."""
    parent = os.getppid()
    caller = _connected(directory)
    if caller is None:
        return _plainly(module, arguments)
    environment = [b"%s=%s" % item for item in os.environb.items()]
    os.umask(umask := os.umask(0))
    here = os.fsencode(os.getcwd())  # noqa: PTH109 - pathlib takes longer to load than all of this
    head = [here, b"%d" % umask, module.encode(), b"%d" % len(arguments)]
    sent = b"\0".join([*head, *map(os.fsencode, arguments), *environment])
    try:
        socket.send_fds(caller, [len(sent).to_bytes(8, "big")], [0, 1, 2])
        caller.sendall(sent)
        runs = caller.recv(1)
    except OSError:
        runs = b""
    if not runs:
        caller.close()
        return _plainly(module, arguments)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda got, _: _pass_on(caller, got))
    caller.settimeout(_EVERY)
    while True:
        try:
            code = caller.recv(1)
        except TimeoutError:
            if os.getppid() != parent:
                _pass_on(caller, signal.SIGTERM)
                parent = os.getppid()
            continue
        return code[0] if code else 1


def _connected(directory: str) -> socket.socket | None:
    caller = socket.socket(socket.AF_UNIX)
    caller.settimeout(_PATIENCE_S)
    try:
        place = os.open(directory, os.O_PATH)
        try:
            caller.connect(f"/proc/self/fd/{place}/warm.sock")
        finally:
            os.close(place)
    except OSError:
        return None
    return caller


def _pass_on(caller: socket.socket, number: int) -> None:
    with suppress(OSError):  # it ended by itself, and its exit code is on its way
        caller.sendall(bytes([number]))


def _plainly(module: str, arguments: list[str]) -> int:
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - there is no shell to start it by


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
