"""A module of a tree that nobody vouches for, run to hear what it prints: `run`.

It sees no variable of ours, no home, no hidden file of its tree and no directory but those it is made of; what more it
cannot do stands in `fleet.confined.inside`. Here is what is outside of it: how long it may take, how much it may say, and
that nothing of it is left.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from fleet.confined import inside
from fleet.printed import one_line

# What Python and the libraries of its packages are made of, where a system keeps them.
_SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/nix/store", "/etc/ld.so.cache", "/usr/share/zoneinfo")


class ConfinedError(Exception):
    """The program did not end well; the message is one line, harmless to print."""


@dataclass(frozen=True)
class Limits:
    """Several times what a stack of a thousand resources takes.

    Attributes:
        seconds: of a processor. wall: by the clock. memory, size: bytes that it holds, and that it says.
    """

    seconds: int = 120
    wall: int = 600
    memory: int = 8 * 2**30
    size: int = 32 * 2**20


def run(module: str, *arguments: str, root: Path, reads: tuple[Path, ...] = (), limits: Limits | None = None) -> bytes:
    """What `python -m module arguments` prints in `root`.

    Args:
        reads: what it may read besides the packages of this interpreter and the tree.

    Raises:
        ConfinedError: it failed, took too long or said too much.
    """
    most = limits or Limits()
    places = [Path(sys.prefix), Path(sys.base_prefix), *map(Path, _SYSTEM), *_seen(root), *reads]
    asked = {
        "module": module,
        "arguments": arguments,
        "root": str(root),
        "reads": [str(place) for place in places],
        "memory": most.memory,
        "seconds": most.seconds,
        "size": most.size,
    }
    # The interpreter's own warnings are nobody's.
    command = [sys.executable, "-I", "-W", "ignore", inside.__file__, json.dumps(asked)]
    env = {"HOME": "/nonexistent", "LANG": "C.UTF-8"}
    # Files: the kernel stops who writes more than the limit, and nobody has to read along.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = subprocess.Popen(
            command, cwd=root, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=err, start_new_session=True
        )
        try:
            code = started.wait(most.wall)
        except subprocess.TimeoutExpired:
            raise ConfinedError(f"it did not end within {most.wall} seconds") from None
        finally:
            if started.poll() is None:
                os.killpg(started.pid, signal.SIGKILL)
                started.wait()
        if code:
            raise ConfinedError(_why(code, err, most))
        if _length(out) >= most.size:
            raise ConfinedError(f"it said more than {most.size:,} bytes")
        out.seek(0)
        return out.read()


def _seen(root: Path) -> list[Path]:
    """The tree's own entries: none that is hidden (credentials, settings, history), no link, and not what commands write."""
    return [one for one in root.iterdir() if not one.name.startswith(".") and one.name != "out" and not one.is_symlink()]


def _why(code: int, err: IO[bytes], most: Limits) -> str:
    if code == -signal.SIGKILL:
        return f"it used more than {most.seconds} seconds of a processor, or was killed"
    err.seek(max(0, _length(err) - 10_000))
    said = err.read().decode(errors="replace").strip() or f"it ended with code {code} and said nothing"
    return one_line(said.splitlines()[-1])


def _length(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size
