"""The sandbox of a rehearsal: its own, one at a time, and gone however the rehearsal ends."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import sandbox.cloud.daemon
import sandbox.up
from fleet.load import load_stack
from fleet.rehearsal import Asked, run
from fleet.rehearsal.run import Interrupted, rehearse
from fleet.report.model import Rehearsal
from fleet.turn import Taken, turn
from fleet.workspace import STACKS, EnvironmentLacksError
from sandbox.providers.base import StandIn, call_timeout

SPECS = {"aws-dev": load_stack(STACKS / "aws-dev.yaml")}
Play = Callable[[Any], dict[str, Rehearsal]]


@pytest.fixture
def stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Directories whose daemon was told to stop; the user's own sandbox has a state."""
    found: list[Path] = []
    monkeypatch.setenv("ACCELFLEET_SANDBOX", str(tmp_path / "mine"))
    (tmp_path / "mine" / "state").mkdir(parents=True)
    monkeypatch.setattr(sandbox.up, "lacking", lambda specs: [])
    monkeypatch.setattr(sandbox.cloud.daemon, "stop", found.append)
    return found


@pytest.fixture
def plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Play], str]:
    """Plays a rehearsal in which this happens; returns what it printed."""

    def play(happens: Play, keep: bool = False) -> str:
        def stand_in(stage: Any, *_: Any) -> dict[str, Rehearsal]:
            here = tmp_path / "mine-rehearsal"
            assert not here.exists(), "what a killed rehearsal left is in the way"
            here.mkdir()
            return happens(stage)

        monkeypatch.setattr(run._Stage, "play", stand_in)
        console = Console(file=io.StringIO(), width=200)
        try:
            rehearse(SPECS, SPECS, tmp_path, (), Asked(1, keep), console)
        finally:
            said = console.file.getvalue()  # type: ignore[attr-defined]
        return str(said)

    return play


def test_what_a_killed_one_left_goes_before_and_its_own_goes_after(
    stopped: list[Path], plays: Callable[..., str], tmp_path: Path
) -> None:
    left = tmp_path / "mine-rehearsal"
    left.mkdir()
    plays(lambda stage: {"aws-dev": Rehearsal()})
    assert not left.exists()
    assert stopped == [left, left]
    assert (tmp_path / "mine" / "state").exists(), "the user's own is nobody's to touch"


def test_a_kept_one_stands_and_says_where(stopped: list[Path], plays: Callable[..., str], tmp_path: Path) -> None:
    said = plays(lambda stage: {"aws-dev": Rehearsal()}, keep=True)
    assert (tmp_path / "mine-rehearsal").exists()
    assert len(stopped) == 1
    assert f"export ACCELFLEET_SANDBOX={tmp_path / 'mine-rehearsal'}" in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_takes_everything_away(
    stopped: list[Path], plays: Callable[..., str], tmp_path: Path, number: signal.Signals
) -> None:
    before = signal.getsignal(number)

    def happens(stage: Any) -> dict[str, Rehearsal]:
        os.kill(os.getpid(), number)
        stage._unless_interrupted()
        raise AssertionError("it went on")

    with pytest.raises(Interrupted):
        plays(happens)
    assert not (tmp_path / "mine-rehearsal").exists()
    assert signal.getsignal(number) is before


def test_two_at_once_are_one_too_many(stopped: list[Path], plays: Callable[..., str], tmp_path: Path) -> None:
    with turn(tmp_path / "mine" / "running", "rehearsal"), pytest.raises(Taken, match="rehearsal is under way"):
        plays(lambda stage: {})
    assert stopped == [], "the other's sandbox is in use"


def test_what_its_stacks_add_to_the_needs_is_looked_for_before(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, stopped: list[Path]
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("ACCELFLEET_SANDBOX", str(tmp_path / "mine"))
    monkeypatch.setattr(sandbox.up.toolchain, "find", lambda name: None if name.startswith("keda") else Path(name))
    keda = {"autoscaler": "keda", "replicas": {"min": 0, "max": 1}}
    cluster = SPECS["aws-dev"].clusters["main"]
    scaled = cluster.models["chat"].model_validate({**cluster.models["chat"].model_dump(exclude_unset=True), **keda})
    spec = SPECS["aws-dev"].model_copy(update={"clusters": {"main": cluster.model_copy(update={"models": {"chat": scaled}})}})
    with pytest.raises(EnvironmentLacksError, match="which lacks keda-operator, keda-adapter"):
        rehearse({}, {"aws-dev": spec}, tmp_path, (), Asked(1, False), Console(quiet=True))
    assert stopped == []


def test_nothing_there_waits_longer_than_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = StandIn.__new__(StandIn)
    assert plugin.timeout(1000) == 1000
    monkeypatch.setenv("ACCELFLEET_PATIENCE_S", "60")
    assert plugin.timeout(1000) == 60
    assert plugin.timeout(10) == 10
    own = call_timeout.set(7.0)
    assert plugin.timeout(1000) == 7
    call_timeout.reset(own)
