"""Dated copies of a stack's state, each with its checksum in its name: `20261129T212446Z-<sha256>.json`, mode 0600.

What a copy holds is what `pulumi stack import` takes, with secrets encrypted as the state has them. Keeps the newest
`KEEP`; a state that is the newest copy already is not copied again. The checksum is against accidents: who may write the
directory may write a name, too.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from fleet.state.checkpoint import Damaged, State, parse

KEEP = 20
_NAME = re.compile(r"(\d{8}T\d{6}Z)-([0-9a-f]{64})\.json")
_DATE = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Backup:
    path: Path
    taken: datetime
    digest: str

    def load(self) -> State:
        """What it holds.

        Raises:
            Damaged: it is not what was copied.
        """
        try:
            found = parse(self.path.read_bytes())
        except (Damaged, OSError) as wrong:
            raise Damaged(f"{self.path}: {wrong}") from None
        if found.digest != self.digest:
            raise Damaged(f"{self.path} is not what was copied: its SHA-256 is not the one in its name")
        return found


@dataclass(frozen=True)
class Good:
    """A backup that was read and is whole."""

    backup: Backup
    state: State

    def __str__(self) -> str:
        return f"{self.backup.path}, of {self.backup.taken:%Y-%m-%d %H:%M} UTC with {self.state.resources} resources"


class Backups:
    """The copies of one stack."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def all(self) -> list[Backup]:
        """All of them, the newest first, read or not."""
        found = []
        for path in self.directory.glob("*.json"):
            if named := _NAME.fullmatch(path.name):
                taken = datetime.strptime(named[1], _DATE).replace(tzinfo=UTC)
                found.append(Backup(path, taken, named[2]))
        # Within one second the one written last.
        return sorted(found, key=lambda b: (b.taken, b.path.stat().st_mtime_ns), reverse=True)

    def newest(self) -> Good | None:
        """The newest that is whole."""
        for backup in self.all():
            try:
                return Good(backup, backup.load())
            except Damaged:
                continue
        return None

    def take(self, state: State, *, now: datetime | None = None) -> Backup:
        """Keep a copy, unless the newest is just that."""
        newest = self.newest()
        if newest is not None and newest.backup.digest == state.digest:
            return newest.backup
        taken = (now or datetime.now(UTC)).astimezone(UTC).replace(microsecond=0)
        path = self.directory / f"{taken.strftime(_DATE)}-{state.digest}.json"
        write(path, state.text.encode())
        for old in self.all()[KEEP:]:
            old.path.unlink(missing_ok=True)
        return Backup(path, taken, state.digest)


def write(path: Path, content: bytes) -> None:
    """A whole file that only its owner reads, or none."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    torn = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        torn.touch(mode=0o600)
        with torn.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        torn.replace(path)
    except OSError:
        torn.unlink(missing_ok=True)  # a full disk has no room for half a copy
        raise
