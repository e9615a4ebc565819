"""The state held against its copies, before a run and on request.

Five faults are found before anything is created: cut off, flipped, empty, older than a copy, and sealed with another
passphrase. Where the last run did not end well, a state that is older or gone is recovery's to mend, from the cloud, and
for one that is cut off the newest whole one takes its place before that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from fleet.engine import Engine
from fleet.file_backend import locks_of
from fleet.state.backups import Backup, Backups, Good
from fleet.state.checkpoint import Damaged, State, read

# What a mark says after a restore, by `fleet.state.replace`.
RESTORED = "restored"


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


def failed(engine: Engine) -> bool:
    """Whether the last run did not end well, and nothing was restored since."""
    mark = mark_of(engine)
    return mark.exists() and mark.read_text() != RESTORED


def _torn(engine: Engine) -> bool:
    """Whether a run was killed, or is under way, between a save and its checksum or a save and its copy."""
    return failed(engine) or bool(locks_of(engine))


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
