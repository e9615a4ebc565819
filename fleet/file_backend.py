"""State kept in files (`file://`): what a killed engine leaves there, mended before anything reads it.

1. A lock whose process is dead on this host is broken; anyone else's lock, never. What a full disk left of one that was
   never taken (an empty `.tmp`, which the engine reads as a lock, and ends) goes.
2. The attributes beside a state file (`.attrs`, rewritten in place at every save) may be torn. The engine then takes the
   stack for missing, and the next `stack init` puts an empty state over the whole one (measured). They hold nothing
   that it needs, so torn ones go.

Refuses to touch the state itself, which is replaced in one rename; what a full disk makes of it is `fleet.state`'s to mend.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import psutil

from fleet.engine import Engine


def drop_torn_attributes(engine: Engine) -> list[Path]:
    """Remove attributes that do not parse, unless a lock says that a run may be writing them; returns what went."""
    place = directory(engine)
    if place is None or locks_of(engine):
        return []
    torn = [path for path in place.glob(f".pulumi/stacks/*/{engine.stack}.json*.attrs") if not _parses(path)]
    for path in torn:
        path.unlink(missing_ok=True)
    return torn


def _parses(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return True


def break_dead_locks(engine: Engine) -> list[str]:
    """Break locks of dead processes of this host; returns their pids. Only the file backend keeps locks we can read.

    Raises:
        RuntimeError: a living process, or another host, holds the lock.
    """
    locks = locks_of(engine)
    broken = []
    for lock in locks:
        try:
            about: dict[str, Any] = json.loads(lock.read_text())
            dead = about.get("hostname") == socket.gethostname() and not _alive(int(about["pid"]))
        except FileNotFoundError:
            continue  # its run has just ended
        except (ValueError, KeyError, TypeError, AttributeError):
            if lock.suffix == ".tmp":
                lock.unlink(missing_ok=True)
                continue
            raise RuntimeError(
                f"stack {engine.stack} has a lock that cannot be read, {lock}: if no other run is under way, "
                f"`pulumi cancel --stack {engine.stack}`, or delete the file"
            ) from None
        if not dead:
            raise RuntimeError(
                f"stack {engine.stack} is locked by {about.get('username')}@{about.get('hostname')} (pid {about.get('pid')}) "
                f"since {about.get('timestamp')}: wait for that run; if it is surely gone, "
                f"`pulumi cancel --stack {engine.stack}`"
            )
        lock.unlink()
        broken.append(str(about["pid"]))
    return broken


def locks_of(engine: Engine) -> list[Path]:
    """Lock files of the stack, where the backend is a directory; `file://~` and `file://./state` are, too."""
    place = directory(engine)
    there = place.glob(f".pulumi/locks/organization/*/{engine.stack}/*.json*") if place else ()
    return [path for path in there if path.suffix in (".json", ".tmp")]


def directory(engine: Engine) -> Path | None:
    """Where the backend keeps its files; None for one that is no directory."""
    backend = urlparse(engine.workspace.env.get("PULUMI_BACKEND_URL", ""))
    if backend.scheme != "file":
        return None
    return engine.workspace.project / Path(unquote(backend.netloc + backend.path)).expanduser()


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
