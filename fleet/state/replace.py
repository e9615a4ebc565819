"""Another state in the place of the one there is: a copy on request, or what is whole for what a failed run tore.

Owns the exchange: what was there is kept beside the copies, and the engine imports the other one. Refuses to change what a
state says.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from fleet.engine import Engine
from fleet.file_backend import break_dead_locks, locks_of
from fleet.state.backups import Backups, Good, write
from fleet.state.checkpoint import Damaged, State, Torn, file_of, previous, read
from fleet.state.guard import RESTORED, backups_of, failed, mark_of, verify
from fleet.turn import turn


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
    if place is None or not failed(engine) or locks_of(engine):
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
    mark.write_text(RESTORED)
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
