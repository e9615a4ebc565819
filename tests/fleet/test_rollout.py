"""Several stacks at once: in order, no more than asked for, none after a failure, and Ctrl-C in two steps."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from rich.console import Console

from fleet.engine import Outcome
from fleet.operations import Operation
from fleet.progress import Board
from fleet.rollout import Interrupt, in_order, select
from fleet.spec import StackSpec
from fleet.workspace import Workspace

# network <- platform <- chat, search; alone needs nobody.
NEEDS = {"chat": ["platform"], "search": ["platform"], "platform": ["network"], "network": [], "alone": []}
# Long enough for threads that are wrongly let in, and nobody waits for it where they are not.
PATIENCE_S = 0.1


def specs(needs: dict[str, list[str]]) -> dict[str, StackSpec]:
    cluster = {"main": {"cloud": "aws", "region": "us-east-1"}}
    return {
        name: StackSpec.model_validate({"owner": "ml", "environment": "dev", "depends_on": on, "clusters": cluster})
        for name, on in needs.items()
    }


class Log:
    """Stacks in the order in which they began and ended."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, stack: str) -> bool:
        self.lines += [f"+{stack}", f"-{stack}"]
        return True

    def before(self, first: str, second: str) -> bool:
        return self.lines.index(f"-{first}") < self.lines.index(f"+{second}")


def test_what_others_depend_on_ends_before_they_begin() -> None:
    log = Log()
    assert in_order(specs(NEEDS), log, bool) == dict.fromkeys(NEEDS, True)
    for stack, needs in NEEDS.items():
        assert all(log.before(need, stack) for need in needs)


def test_destroying_goes_the_other_way_round() -> None:
    log = Log()
    assert in_order(specs(NEEDS), log, bool, reverse=True) == dict.fromkeys(NEEDS, True)
    for stack, needs in NEEDS.items():
        assert all(log.before(stack, need) for need in needs)


def test_a_dependency_that_was_not_chosen_holds_nobody_back() -> None:
    assert in_order(specs({"chat": ["platform"]}), Log(), bool) == {"chat": True}


def test_stacks_that_wait_for_nobody_run_together() -> None:
    together = threading.Barrier(3)

    def work(_: str) -> int:
        return together.wait(timeout=10)

    results = in_order(specs({"a": [], "b": [], "c": []}), work, lambda _: True, parallel=3)
    assert sorted(r for r in results.values() if r is not None) == [0, 1, 2]


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_run_at_once_than_asked_for(most: int) -> None:
    one_too_many = threading.Barrier(most + 1)

    def work(_: str) -> bool:
        try:
            one_too_many.wait(timeout=PATIENCE_S / 2)
        except threading.BrokenBarrierError:
            return True
        return False

    results = in_order(specs({"a": [], "b": [], "c": []}), work, bool, parallel=most)
    assert results == {"a": True, "b": True, "c": True}


def test_what_depends_on_a_failed_stack_is_not_started_and_the_rest_goes_on() -> None:
    begun: list[str] = []

    def work(stack: str) -> bool:
        begun.append(stack)
        return stack != "platform"

    results = in_order(specs(NEEDS), work, bool)
    assert results == {"network": True, "platform": False, "chat": None, "search": None, "alone": True}
    assert sorted(begun) == ["alone", "network", "platform"]


def test_what_a_stack_that_would_not_go_depends_on_is_not_destroyed() -> None:
    results = in_order(specs(NEEDS), lambda stack: stack != "chat", bool, reverse=True)
    assert results == {"chat": False, "search": True, "platform": None, "network": None, "alone": True}


class Engine:
    def __init__(self) -> None:
        self.signals: list[str] = []

    def stop(self) -> None:
        self.signals.append("asked" if not self.signals else "killed")


def test_the_first_interrupt_asks_every_engine_and_the_second_kills() -> None:
    interrupt, engines = Interrupt(), [Engine(), Engine()]
    for engine in engines:
        interrupt.watch(engine.stop)
    interrupt()
    assert [e.signals for e in engines] == [["asked"], ["asked"]]
    interrupt()
    assert [e.signals for e in engines] == [["asked", "killed"]] * 2
    assert interrupt.asked == 2


def test_an_engine_that_comes_after_the_interrupt_is_asked_at_once() -> None:
    interrupt, engine = Interrupt(), Engine()
    interrupt()
    interrupt.watch(engine.stop)
    assert engine.signals == ["asked"]


class Nowhere:
    def find(self, stack: str, wanted: object) -> list[str]:
        return []


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Operation:
    """A preview of two stacks, one after the other, whose engine finds nothing and ends well."""
    monkeypatch.setattr("fleet.operations.Engine.init", lambda _: None)
    monkeypatch.setattr("fleet.operations.Engine.run", lambda *_, **__: Outcome(0, 0))
    monkeypatch.setattr("fleet.operations.trusted", lambda _: None)
    board = Board("preview", ["a", "b"], Console(), quiet=True)
    workspace = Workspace(tmp_path, {}, Nowhere(), sandbox=tmp_path)
    return Operation("preview", workspace, specs({"a": [], "b": []}), board, tmp_path / "logs", parallel=1)


def test_after_an_interrupt_no_further_stack_begins(two: Operation, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> Outcome:
        two.interrupt()
        return Outcome(1, 0, errors=["interrupted"])

    monkeypatch.setattr("fleet.operations.Engine.run", run)
    results = two.run()
    assert results["a"] is not None
    assert results["a"].as_json()["errors"] == ["interrupted"]
    assert results["b"] is None


def test_an_interrupt_before_the_engine_starts_starts_none(two: Operation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.operations.Engine.init", lambda _: two.interrupt())
    assert two.run() == {"a": None, "b": None}


def test_globs_choose_stacks_and_pulumis_own_files_are_none(tmp_path: Path) -> None:
    for name in ("prod-eu", "prod-us", "dev", "Pulumi.dev"):
        (tmp_path / f"{name}.yaml").touch()
    assert select(tmp_path, ["prod-*"]) == ["prod-eu", "prod-us"]
    assert select(tmp_path, ["*-us", "dev", "d*"]) == ["dev", "prod-us"]
    with pytest.raises(LookupError, match=r"no stack matches prdo-eu; .* has dev, prod-eu, prod-us"):
        select(tmp_path, ["prdo-eu"])
