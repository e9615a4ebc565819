"""What `fleet up`, `preview` and `destroy` do to several stacks, from checked files to outcomes. Prints nothing itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fleet import naming, redact
from fleet.advice import advice
from fleet.engine import Engine, Outcome
from fleet.file_backend import break_dead_locks, drop_torn_attributes
from fleet.leftovers import remaining, sweep
from fleet.progress import Board
from fleet.recovery import Recovered, recover
from fleet.rollout import Interrupt, in_order
from fleet.spec import StackSpec
from fleet.state.guard import backups_of, keep, mark_of, trusted
from fleet.state.replace import mend
from fleet.terraform import references
from fleet.turn import Taken, turn
from fleet.workspace import Workspace


@dataclass
class Result:
    """A stack's outcome and what recovery had to mend before it."""

    stack: str
    outcome: Outcome
    recovered: Recovered | None = None
    swept: list[str] = field(default_factory=list)
    leftovers: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.outcome.ok and not self.leftovers

    @property
    def advice(self) -> list[str]:
        """What to do about the errors, where anything is known to help; each once."""
        return list(dict.fromkeys(said for error in self.outcome.errors if (said := advice(self.stack, error))))

    def as_json(self) -> dict[str, Any]:
        return {
            "stack": self.stack,
            "started": True,
            "ok": self.ok,
            "seconds": round(self.outcome.seconds, 1),
            "changes": self.outcome.changes,
            "errors": self.outcome.errors,
            "advice": self.advice,
            "recovered": self.recovered.lines() if self.recovered else [],
            "swept": self.swept,
            "leftovers": self.leftovers,
        }


@dataclass(frozen=True)
class Operation:
    """One verb on some stacks of a workspace.

    Attributes:
        expect_no_changes: a change is an error.
        logs: directory that gets each stack's full engine output.
    """

    verb: str
    workspace: Workspace
    specs: dict[str, StackSpec]
    board: Board
    logs: Path
    expect_no_changes: bool = False
    parallel: int = 4
    extra: tuple[str, ...] = ()
    interrupt: Interrupt = field(default_factory=Interrupt)

    def run(self) -> dict[str, Result | None]:
        """Do it; None for a stack that was not started since one it depends on failed, or after Ctrl-C."""
        self.logs.mkdir(parents=True, exist_ok=True)
        self.interrupt.watch(self.board.stopping)
        with handling(self.interrupt):
            return in_order(
                self.specs,
                self._one,
                lambda result: result is not None and result.ok,
                reverse=self.verb == "destroy",
                parallel=self.parallel,
            )

    def _one(self, stack: str) -> Result | None:
        """One stack to its end. Whatever goes wrong is that stack's outcome: the others' must not be lost with it."""
        try:
            if self.verb == "preview":
                return self._run(stack)
            with turn(self.workspace.running, stack):
                return self._run(stack)
        except Taken as taken:
            return self._refused(stack, str(taken))
        except Exception as problem:
            return self._refused(stack, f"{type(problem).__name__}: {problem}")

    def _refused(self, stack: str, why: str) -> Result:
        outcome = Outcome(1, 0, errors=[why])
        self.board.end(stack, outcome)
        return Result(stack, outcome)

    def _run(self, stack: str) -> Result | None:
        if self.interrupt.asked:
            return None
        engine = Engine(self.workspace, stack)
        self.interrupt.watch(engine.interrupt)
        try:
            # A lock stands in the way of everything else, even of looking whether the stack is there.
            locks = break_dead_locks(engine) if self.verb != "preview" else []
            drop_torn_attributes(engine)
            mended = mend(engine) if self.verb != "preview" else None
            mark = mark_of(engine)
            state = trusted(engine)
            if state is not None and self.verb != "preview":
                backups_of(engine).take(state)
            engine.init()
            if self.workspace.prepare is not None:
                for key, value in self.workspace.prepare(stack, self.specs[stack]).items():
                    engine.set_secret(key, value)
            recovered = None
            if self.verb != "preview":
                recovered = recover(engine, unclean=mark.exists(), on_event=lambda e: self.board.event(stack, e))
                recovered.locks, recovered.state = locks, mended
                mark.parent.mkdir(parents=True, exist_ok=True)
                mark.write_text("")
        except RuntimeError as refused:
            return self._refused(stack, str(refused))
        if self.interrupt.asked:  # while no engine ran that could have been told
            return None
        flags = ["--expect-no-changes"] if self.expect_no_changes and self.verb != "destroy" else []
        pack = self.workspace.policies
        if pack and self.verb != "destroy":
            flags += ["--policy-pack", str(pack)]
        if pack and self.verb == "up":
            # The whole change before any of it: the engine by itself asks about each resource when its turn comes.
            self.board.phase(stack, "asking the policies")
            asked = engine.run("preview", *flags[-2:])
            if asked.broken:
                mark.unlink(missing_ok=True)
                asked.errors = asked.broken
                self.board.end(stack, asked)
                return Result(stack, asked, recovered)
        self.board.phase(stack, "starting the engine")
        outcome = engine.run(self.verb, *flags, *self.extra, on_event=lambda e: self.board.event(stack, e))
        result = Result(stack, outcome, recovered)
        if self.verb == "destroy":
            self._sweep(engine, result)
        redact.of(engine, references.secrets(self.specs[stack])).clean(result.outcome)
        with suppress(OSError):  # a full disk, say: the outcome is worth more than its log
            (self.logs / f"{stack}.{self.verb}.log").write_text(outcome.output)
        self.board.end(stack, result.outcome)
        if result.outcome.ok and self.verb != "preview":
            keep(engine)
            mark.unlink(missing_ok=True)
        return result

    def _sweep(self, engine: Engine, result: Result) -> None:
        """Take away what clusters left and held, destroy what it held, and name what is left after that."""
        view = self.workspace.view
        if view is None:
            return
        clusters = {naming.cluster(engine.stack, name) for name in self.specs[engine.stack].clusters}
        result.swept = sweep(view, clusters, _ids(engine))
        if result.swept and not result.outcome.ok:
            result.outcome = engine.run(self.verb, on_event=lambda e: self.board.event(engine.stack, e))
        result.leftovers = [f"still in the cloud: {name}" for name in remaining(view, engine.stack, clusters, _ids(engine))]


def _ids(engine: Engine) -> set[str]:
    resources = (engine.export().get("deployment") or {}).get("resources") or []
    return {r["id"] for r in resources if r.get("id")}


@contextmanager
def handling(interrupt: Interrupt) -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into a request to every engine; the earlier handlers come back afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept = {s: signal.signal(s, interrupt) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
