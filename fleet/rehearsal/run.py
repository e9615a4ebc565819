"""Runs a change in a throw-away sandbox: `up` from the base, then of the change on the same stacks, watched all the while.

Never the user's own sandbox, whose stacks stay as they are: it has a directory of its own beside that one, emptied before
(a killed rehearsal leaves it) and taken away afterwards. One rehearsal at a time on a machine.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from fleet.engine import Event
from fleet.operations import Operation, Result, handling
from fleet.progress import Board
from fleet.rehearsal import Asked
from fleet.rehearsal.stack import StackWatch, errors_of
from fleet.report.limits import Limit
from fleet.report.model import Rehearsal
from fleet.rollout import Interrupt
from fleet.spec import StackSpec
from fleet.turn import turn
from fleet.workspace import ROOT, EnvironmentLacksError, Workspace

_POLL_S = 0.5
# A controller that has something to do has begun by then.
_QUIET_S = 2.0


class Interrupted(Exception):
    """Ctrl-C: what was begun is gone again."""


def rehearse(
    before: Mapping[str, StackSpec],
    after: Mapping[str, StackSpec],
    base: Path,
    limits: Iterable[Limit],
    asked: Asked,
    console: Console,
) -> dict[str, Rehearsal]:
    """What became of each stack of `after`.

    Args:
        before: the stacks that the base has. base: directory of its program.
        limits: quotas that the clouds there have; there is no end of any other.

    Raises:
        EnvironmentLacksError: this machine lacks something that the sandbox needs; nothing was begun.
        fleet.turn.Taken: another rehearsal is under way.
        Interrupted: by Ctrl-C.
    """
    from sandbox.cloud.client import home  # noqa: PLC0415 - the sandbox is loaded by who needs it
    from sandbox.up import lacking  # noqa: PLC0415

    if missing := lacking([*before.values(), *after.values()]):
        # Who asks for a rehearsal does not ask for an hour of compiling.
        raise EnvironmentLacksError(
            f"a rehearsal runs in the sandbox, which lacks {', '.join(missing)}: "
            f"`python -m sandbox.toolchain {' '.join(missing)}` makes them, once (sandbox/README.md)"
        )
    own, interrupt = home(), Interrupt()
    where = own.with_name(f"{own.name}-rehearsal")
    with (
        turn(own / "running", "rehearsal"),
        handling(interrupt),
        _thrown_away(where, asked.keep, console),
        _Hearing("rehearsal", list(after), console) as board,
    ):
        return _Stage(where, asked, interrupt, board).play(before, after, base, limits)


@contextmanager
def _thrown_away(where: Path, keep: bool, console: Console) -> Iterator[None]:
    from sandbox.cloud import daemon  # noqa: PLC0415

    def away() -> None:
        daemon.stop(where)
        shutil.rmtree(where, ignore_errors=True)

    away()
    try:
        yield
    finally:
        if keep:
            said = (
                "rehearsal: its sandbox stands; in it, `fleet status --sandbox` shows more, and `fleet sandbox reset` ends it"
            )
            console.print(f"{said}:\n  export ACCELFLEET_SANDBOX={where}", highlight=False, soft_wrap=True)
        else:
            console.print("rehearsal: taking its sandbox away", highlight=False)
            away()


class _Stage:
    """The sandbox of one rehearsal."""

    def __init__(self, where: Path, asked: Asked, interrupt: Interrupt, board: _Hearing) -> None:
        self._where, self._asked, self._interrupt, self._board = where, asked, interrupt, board

    def play(
        self, before: Mapping[str, StackSpec], after: Mapping[str, StackSpec], base: Path, limits: Iterable[Limit]
    ) -> dict[str, Rehearsal]:
        workspace = self._workspace(base)
        self._limit(limits)
        # What stands was judged when it came: today's rules are for the change.
        came = self._up("the base comes up", replace(workspace, policies=None), before)
        failed = {name: errors for name, result in came.items() if (errors := errors_of(result))}
        told = {name: Rehearsal(base_errors=errors) for name, errors in failed.items()}
        going = {name: spec for name, spec in after.items() if name not in failed}
        workspace = self._workspace(ROOT)
        with ExitStack() as held:
            watched = [StackWatch(workspace, name, held) for name in going]
            self._settle(watched)
            for one in watched:
                one.begin()
            went = self._up("the change comes up", workspace, going)
            self._settle(watched)
            told |= {one.stack: one.end(went[one.stack], self._board.heard[one.stack]) for one in watched}
        return {name: told[name] for name in after}

    def _workspace(self, program: Path) -> Workspace:
        from sandbox.up import up  # noqa: PLC0415

        self._unless_interrupted()
        made = up(self._where, program)
        # Nodes and pods come in a second there: who waits as long as in a cloud waits for nothing.
        return replace(made, env={**made.env, "ACCELFLEET_PATIENCE_S": f"{self._asked.patience_s:g}"})

    def _limit(self, limits: Iterable[Limit]) -> None:
        from sandbox.cloud.client import Client  # noqa: PLC0415

        client = Client(self._where)
        for row in limits:
            client.call("quota", cloud=row.cloud, region=row.region, quota=row.quota, limit=row.limit)

    def _up(self, what: str, workspace: Workspace, specs: Mapping[str, StackSpec]) -> dict[str, Result | None]:
        self._board.heard = {name: [] for name in specs}
        self._say(what, specs)
        logs = self._where / "logs"
        results = Operation("up", workspace, dict(specs), self._board, logs, interrupt=self._interrupt).run()
        self._unless_interrupted()
        return results

    def _settle(self, watched: Sequence[StackWatch]) -> None:
        """Follow what stands until every pod is up and nothing moves, or as long as patience lasts."""
        end = time.monotonic() + self._asked.patience_s
        for one in watched:
            one.follow()
        self._say(f"waiting until all pods are up, {self._asked.patience_s:g} s at most", [one.stack for one in watched])
        tallies = [tally for one in watched for tally in one.tallies]
        while time.monotonic() < end:
            self._unless_interrupted()
            if all(tally.rests and time.monotonic() - tally.moved > _QUIET_S for tally in tallies):
                return
            time.sleep(_POLL_S)

    def _say(self, what: str, stacks: Iterable[str]) -> None:
        for name in stacks:
            self._board.phase(name, what)

    def _unless_interrupted(self) -> None:
        if self._interrupt.asked:
            raise Interrupted


class _Hearing(Board):
    """A board that keeps what it is told."""

    heard: Mapping[str, list[Event]] = {}

    def event(self, stack: str, event: Event) -> None:
        self.heard[stack].append(event)
        super().event(stack, event)
