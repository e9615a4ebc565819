"""The state held against its copies: before a run, on request, and the way back.

Five faults are found before anything is created: cut off, flipped, empty, older than a copy, and sealed with another
passphrase. Where the last run did not end well, a state that is older or gone is recovery's to mend, from the cloud, and
for one that is cut off the newest whole one takes its place before that.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fleet.engine import Engine
from fleet.file_backend import break_dead_locks, locks_of
from fleet.state.backups import Backup, Backups, Good, write
from fleet.state.checkpoint import Damaged, State, Torn, file_of, previous, read
from fleet.turn import turn

_RESTORED = "restored"


@dataclass(frozen=True)
class Verdict:
    """What was found.

    Attributes:
        state: None where there is none, or none that can be read.
        faults: in words; empty where it is sound.
        newest: the last good copy.
        bad_copies: copies that are not what was written.
    """

    stack: str
    state: State | None
    faults: list[str]
    newest: Good | None
    bad_copies: list[str] = field(default_factory=list)

    def refusal(self, *, sandbox: bool) -> str:
        """All of it in one message, with the command that mends it."""
        said = f"the state of {self.stack} is not to be trusted, so nothing was changed: {'; '.join(self.faults)}"
        flag = " --sandbox" if sandbox else ""
        if self.newest is None:
            return f"{said}. There is no good backup of it here: docs/state.md says where else to look"
        return (
            f"{said}. The last good backup is {self.newest}; restore it: fleet state restore{flag} --stack {self.stack} "
            f"(if the state is meant to be so: fleet state backup{flag} --stack {self.stack})"
        )


def backups_of(engine: Engine) -> Backups:
    return Backups(engine.workspace.backups / engine.stack)


def mark_of(engine: Engine) -> Path:
    """The mark that a run leaves until it ends well, and a restore until the next run."""
    return engine.workspace.running / engine.stack


def _failed(engine: Engine) -> bool:
    """Whether the last run did not end well, and nothing was restored since."""
    mark = mark_of(engine)
    return mark.exists() and mark.read_text() != _RESTORED


def _torn(engine: Engine) -> bool:
    """Whether a run was killed, or is under way, between a save and its checksum or a save and its copy."""
    return _failed(engine) or bool(locks_of(engine))


def verify(engine: Engine, *, secrets: bool = False) -> Verdict:
    """Whether the state is sound.

    Args:
        secrets: also let the engine open every secret, which takes it a second.
    """
    copies = backups_of(engine)
    newest = copies.newest()
    unclean = _torn(engine)
    try:
        state = read(engine, unclean=unclean)
    except Damaged as wrong:
        return Verdict(engine.stack, None, [str(wrong)], newest)
    faults = [] if unclean else _against(state, newest)
    if secrets and state is not None and not faults and (locked := _locked(engine)):
        faults.append(locked)
    return Verdict(engine.stack, state, faults, newest, _bad(copies) if secrets else [])


def _against(state: State | None, newest: Good | None) -> list[str]:
    """What a copy knows better."""
    if newest is None or newest.state.resources == 0:
        return []
    count = newest.state.resources
    if state is None:
        return [f"it is gone, and the backup has {count} resources"]
    if state.resources == 0:
        return [f"it holds no resource, and the backup has {count}"]
    if state.written and newest.state.written and state.written < newest.state.written:
        return [
            f"it was written {state.written:%Y-%m-%d %H:%M:%S}, before the backup ({newest.state.written:%Y-%m-%d %H:%M:%S})"
        ]
    return []


def _locked(engine: Engine) -> str | None:
    """Why the engine cannot open the state's secrets. What it opened is dropped here, unread."""
    done = engine.plain("stack", "export", "--stack", engine.stack, "--show-secrets")
    if done.returncode == 0:
        return None
    return f"its secrets do not open with this passphrase or key ({done.stderr.strip()}): set the right one first"


def _bad(copies: Backups) -> list[str]:
    found = []
    for copy in copies.all():
        try:
            copy.load()
        except Damaged as wrong:
            found.append(str(wrong))
    return found


def trusted(engine: Engine) -> State | None:
    """The state that a run may start from.

    Raises:
        RuntimeError: there is something wrong with it; the message names the last good copy and the way back.
    """
    verdict = verify(engine)
    if verdict.faults:
        raise RuntimeError(verdict.refusal(sandbox=engine.workspace.sandbox is not None))
    return verdict.state


def keep(engine: Engine) -> Backup | None:
    """A copy of the state as it is now, with no look at older ones; None where the stack has none.

    Raises:
        Damaged: it is broken, and a copy would be, too.
    """
    state = read(engine, unclean=True)
    return backups_of(engine).take(state) if state is not None else None


def mend(engine: Engine) -> str | None:
    """Where a failed run left a state that is cut off or empty, put the newest whole one there, or none.

    On a full disk the file backend puts as much of a state as it could write in the state's place (measured). What the
    run made since the one that is put back, recovery looks for in the cloud.

    Returns:
        What was done, in words; None where there was nothing to mend.

    Raises:
        RuntimeError: the engine refused it. OSError: there is no room for what was torn, and nothing was changed.
    """
    place = file_of(engine)
    if place is None or not _failed(engine) or locks_of(engine):
        return None
    try:
        read(engine, unclean=True)
    except Torn as wrong:
        newest = backups_of(engine).newest()
        whole = [state for state in (previous(engine), newest.state if newest else None) if state is not None]
        best = max(whole, key=lambda state: state.written or datetime.min.replace(tzinfo=UTC), default=None)
        _replace(engine, best)
        with_ = f"one of {best.resources} resources" if best else "none"
        return f"replaced the state that a failed run left torn by {with_} ({wrong})"
    except Damaged:
        return None  # whole, and not what our runs write: nobody's to replace but a person's
    return None


def restore(engine: Engine, source: Path | None = None) -> Good:
    """Put a copy back, and let the next run look in the cloud for what was made since; returns what was put back.

    Args:
        source: the copy; default: the newest good one, if the state is not sound.

    Raises:
        RuntimeError: someone holds the lock, there is no good copy, or the engine refused it.
    """
    with turn(engine.workspace.running, engine.stack):
        break_dead_locks(engine)
        return _put_back(engine, source)


def _put_back(engine: Engine, source: Path | None) -> Good:
    copies = backups_of(engine)
    if source is None:
        verdict = verify(engine)
        if not verdict.faults:
            raise RuntimeError(f"the state of {engine.stack} is sound: name the backup to go back to with --from")
        chosen = verdict.newest
    else:
        chosen = _named(copies, source)
    if chosen is None:
        raise RuntimeError(f"there is no good backup of {engine.stack} in {copies.directory}")
    try:
        _replace(engine, chosen.state)
    except RuntimeError as refused:
        raise RuntimeError(f"{chosen.backup.path}: {refused}") from None
    # Newer than every other by its date, so that no run takes the restored state for one that went back by itself.
    if (put := read(engine)) is not None:
        copies.take(put)
    mark = mark_of(engine)
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text(_RESTORED)
    return chosen


def _replace(engine: Engine, state: State | None) -> None:
    """Put a state, or none, in the place of the one there is, which is kept beside the copies."""
    place = file_of(engine)
    if place is not None and place.exists():
        kept = backups_of(engine).directory / f"replaced-{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z{place.suffix}"
        write(kept, place.read_bytes())
    elif state is not None:
        engine.init()
    if state is None:
        if place is not None:
            place.unlink(missing_ok=True)
        return
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(state.text)
        file.flush()
        done = engine.plain("stack", "import", "--stack", engine.stack, "--file", file.name)
    if done.returncode != 0:
        raise RuntimeError(f"the engine refused it: {done.stderr.strip()}")


def _named(copies: Backups, source: Path) -> Good:
    for copy in copies.all():
        if copy.path.resolve() == source.resolve() or copy.path.name == source.name:
            try:
                return Good(copy, copy.load())
            except Damaged as wrong:
                raise RuntimeError(str(wrong)) from None
    raise RuntimeError(f"{source} is no backup of this stack: {copies.directory} has them")
