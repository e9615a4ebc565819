"""The real engine's state, broken in five ways: found before anything is created, the last good copy named, one command back.

And two runs of one stack at once: the second ends clearly and at once, and the state is what one run alone makes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.engine import Engine
from fleet.operations import Result
from fleet.state.guard import backups_of, keep, verify
from fleet.state.replace import restore
from tests.e2e.rig import SMALL, STACK, Rig, standing

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with standing(tmp_path_factory.mktemp("states"), latency=0, program=SMALL) as made:
        made.set_generation(1)
        engine = Engine(made.workspace, STACK)
        engine.init()
        assert keep(engine) is not None
        assert made.run("up").ok
        made.set_generation(2)
        assert made.run("up").ok
        yield made
        assert made.run("destroy").ok
        assert made.exists() == {}


def state_file(rig: Rig) -> Path:
    (found,) = rig.home.glob(f"state/.pulumi/stacks/*/{STACK}.json")
    return found


def cut(rig: Rig) -> None:
    state_file(rig).write_bytes(state_file(rig).read_bytes()[:3000])


def flip(rig: Rig) -> None:
    """One bit of one name: still JSON, and stock Pulumi makes the renamed queue and deletes the other."""
    raw = bytearray(state_file(rig).read_bytes())
    raw[raw.index(b"Queue::queue-1") + 7] ^= 8
    state_file(rig).write_bytes(raw)


def empty(rig: Rig) -> None:
    state_file(rig).write_bytes(b"")


def older(rig: Rig) -> None:
    """The backend's own copy of the first run, whole and with its checksum."""
    first = min(rig.home.glob(f"state/.pulumi/history/*/{STACK}/*.checkpoint.json"))
    for ending in ("", ".attrs"):
        kept = first.with_name(first.name + ending).read_bytes()
        state_file(rig).with_name(state_file(rig).name + ending).write_bytes(kept)


@pytest.mark.parametrize("break_", [cut, flip, empty, older])
def test_a_broken_state_is_refused_and_restored(rig: Rig, break_: object) -> None:
    engine, before, whole = Engine(rig.workspace, STACK), rig.exists(), rig.state()
    log = rig.log()
    assert callable(break_)
    break_(rig)
    refused = rig.run("up")
    assert not refused.ok
    (said,) = refused.outcome.errors
    newest = backups_of(engine).all()[0]
    assert "nothing was changed" in said
    assert str(newest.path) in said
    assert f"fleet state restore --sandbox --stack {STACK}" in said
    assert rig.log() == log, "the cloud was asked for a change"
    restore(engine)
    assert rig.state() == whole == before
    assert not verify(engine).faults


def test_after_a_restore_the_next_run_takes_over_what_the_copy_did_not_know(rig: Rig) -> None:
    """Back to the copy before the first run, which holds nothing: all of it is found in the cloud, and nothing made again."""
    engine, before = Engine(rig.workspace, STACK), rig.exists()
    oldest = backups_of(engine).all()[-1]
    assert oldest.load().resources == 0
    restore(engine, oldest.path)
    assert rig.state() == {}
    again = rig.run("up")
    assert again.ok, again.outcome.errors
    assert "create" not in again.outcome.changes or again.outcome.changes["create"] < 3  # the stack and its provider
    assert rig.exists() == before == rig.state()


def test_the_wrong_passphrase_creates_nothing_and_says_so(rig: Rig) -> None:
    log = rig.log()
    wrong = Rig(rig.home, replace(rig.workspace, env={**rig.workspace.env, "PULUMI_CONFIG_PASSPHRASE": "wrong"}))
    wrong.set_generation(3)
    refused = wrong.run("up")
    assert not refused.ok
    assert "incorrect passphrase" in refused.outcome.errors[0]
    assert any(f"fleet state verify --stack {STACK}" in said for said in refused.advice)
    assert rig.log() == log
    verdict = verify(Engine(wrong.workspace, STACK), secrets=True)
    assert verdict.faults
    assert verdict.newest is not None
    rig.set_generation(2)
    again = rig.run("up")
    assert again.ok, again.outcome.errors
    assert again.outcome.changed == 0


@pytest.mark.parametrize("seed", range(20))
def test_of_two_runs_at_once_one_goes_on_and_the_other_says_why_not(rig: Rig, seed: int) -> None:
    rig.set_generation(10 + seed)
    results: dict[int, tuple[float, Result]] = {}

    def run(which: int) -> None:
        started = time.monotonic()
        results[which] = (0.0, rig.run("up"))
        results[which] = (time.monotonic() - started, results[which][1])

    threads = [threading.Thread(target=run, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
        time.sleep(seed * 0.05)
    for thread in threads:
        thread.join()
    ((whole, won),) = [(s, r) for s, r in results.values() if r.ok]
    ((took, lost),) = [(s, r) for s, r in results.values() if not r.ok]
    assert won.outcome.changed > 0
    assert f"another run of {STACK} is under way" in lost.outcome.errors[0]
    assert took < whole, "it did not wait for the other"
    assert rig.exists() == rig.state()
    after = rig.run("up")
    assert after.ok
    assert after.outcome.changed == 0
