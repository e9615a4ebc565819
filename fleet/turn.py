"""One run at a time of a stack on this machine, from its first look at the state to its last.

The engine's own lock begins late: after `fleet` has read, mended and copied the state. A lock of the operating system
ends with its process, so nothing here is ever stale. Other machines are the backend's lock's business.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Taken(RuntimeError):
    """Another run holds the stack."""


@contextmanager
def turn(directory: Path, stack: str) -> Iterator[None]:
    """Hold the stack for as long as the block lasts.

    Raises:
        Taken: another run holds it; it is not waited for.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / f"{stack}.turn").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise Taken(
                f"another run of {stack} is under way on this machine (pid {file.read().strip() or 'unknown'}): wait for it, "
                "then run again"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
