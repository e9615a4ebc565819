"""kill -9 of the engine and of a plugin at random points: the next `fleet` run converges with no human step.

The cloud's own log is the truth: what exists there afterwards is exactly what the state holds, each thing once.
Stock Pulumi, measured on the same faults: a stuck lock, 8 orphans and 8 duplicates of 60.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from fleet.lookup import Finder, Wanted
from fleet.lookup.identities import identity
from sandbox.cloud.client import Client
from tests.e2e.rig import SMALL, STACK, Rig, standing

pytestmark = pytest.mark.sandbox
# With sixty resources the engine ten times and a provider's plugin ten; with ten resources the engine ten times more.
SEEDS, MORE_SEEDS = range(20), range(20, 30)


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with standing(tmp_path_factory.mktemp("crashes"), latency=0.2) as made:
        yield made


def victims(mark: str, what: str) -> list[psutil.Process]:
    """The engine or the aws plugin of the run under way."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("ACCELFLEET_SANDBOX") != mark:
                continue
            words = process.cmdline()
        except psutil.Error:
            continue
        is_engine = bool(words) and words[0].endswith("/pulumi")
        is_plugin = any("sandbox.providers.aws" in w for w in words)
        if (what == "engine" and is_engine) or (what == "plugin" and is_plugin):
            found.append(process)
    return found


def kill_after(rig: Rig, changes: int, what: str, killed: list[int]) -> threading.Thread:
    """Kill the victim once the cloud has seen that many changes."""
    client = Client(rig.home)
    before = len(client.call("log"))

    def wait_and_kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if len(client.call("log")) - before >= changes:
                for process in victims(str(rig.home), what):
                    process.kill()
                    killed.append(process.pid)
                if killed:
                    return
            time.sleep(0.02)

    thread = threading.Thread(target=wait_and_kill, daemon=True)
    thread.start()
    return thread


@pytest.fixture(scope="module")
def small_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with standing(tmp_path_factory.mktemp("few"), latency=0.2, program=SMALL) as made:
        yield made


@pytest.mark.parametrize("seed", SEEDS)
def test_a_killed_run_converges(rig: Rig, seed: int) -> None:
    converges(rig, seed, ("engine", "plugin")[seed % 2], resources=59, tagged=43)


@pytest.mark.parametrize("seed", MORE_SEEDS)
def test_a_killed_run_of_few_resources_converges(small_rig: Rig, seed: int) -> None:
    converges(small_rig, seed, "engine", resources=10, tagged=10)


def converges(rig: Rig, seed: int, what: str, resources: int, tagged: int) -> None:
    """Kill it at a random point of a create, an update or a delete; the same command then ends as if nothing had been."""
    chance = random.Random(seed)
    phase = ("create", "update", "delete")[seed % 3]
    rig.set_generation(1)
    if phase != "create":
        assert rig.run("up").ok
    if phase == "update":
        rig.set_generation(2)
    killed: list[int] = []
    killer = kill_after(rig, chance.randint(2, resources * 2 // 3), what, killed)
    verb = "destroy" if phase == "delete" else "up"
    first = rig.run(verb)
    killer.join(timeout=1)
    assert killed, "nothing was killed: the run ended too soon"
    assert not first.ok
    assert not [p for p in (*victims(str(rig.home), "engine"), *victims(str(rig.home), "plugin")) if p.is_running()], (
        "a stray lives"
    )

    second = rig.run(verb)
    assert second.ok, second.outcome.errors
    exists, state = rig.exists(), rig.state()
    assert exists == state, f"lost: {state.keys() - exists.keys()}, orphans: {exists.keys() - state.keys()}"
    assert len(exists) == (0 if phase == "delete" else resources)
    if phase == "update":
        assert len(Client(rig.home).call("list", tags={"generation": "2"})) == tagged, "an update was lost"
    third: Any = rig.run(verb)
    assert third.ok
    assert third.outcome.changed == 0
    if verb == "up":
        assert rig.run("destroy").ok
    assert rig.exists() == {}


def state_file(rig: Rig) -> Path:
    (found,) = rig.home.glob(f"state/.pulumi/stacks/*/{STACK}.json")
    return found


def test_a_state_whose_attributes_were_torn_is_not_replaced_by_an_empty_one(rig: Rig) -> None:
    rig.set_generation(1)
    assert rig.run("up").ok
    before = rig.state()
    state_file(rig).with_name(f"{STACK}.json.attrs").write_text("")
    again = rig.run("up")
    assert again.ok
    assert again.outcome.changed == 0
    assert again.recovered is not None
    assert again.recovered.adopted == []
    assert rig.state() == before
    assert rig.run("destroy").ok


def test_a_lost_state_is_built_again_from_the_cloud(rig: Rig) -> None:
    """Children's ids follow from their parents', so this takes more than one round of looking."""
    rig.set_generation(1)
    assert rig.run("up").ok
    state_file(rig).unlink()
    mark = rig.workspace.running / STACK
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    rig.set_generation(2)
    again = rig.run("up")
    assert again.ok, again.outcome.errors
    assert rig.exists() == rig.state()
    assert len(rig.exists()) == 59
    assert "create" not in again.outcome.changes
    assert rig.run("destroy").ok
    assert rig.exists() == {}


class NamesOnly:
    """Finds roles as a real account's finder does: by a name that may stand for nothing; the rest as the sandbox does."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder

    def find(self, stack: str, wanted: Wanted) -> list[str] | None:
        known = identity(wanted.type, wanted.inputs, wanted.provider) if wanted.type.endswith(":Role") else None
        return [known] if known else self._finder.find(stack, wanted)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_place_to_look_where_nothing_is_adopts_nothing(rig: Rig, seed: int) -> None:
    named = Rig(rig.home, replace(rig.workspace, finder=NamesOnly(rig.workspace.finder)))
    named.set_generation(1)
    killed: list[int] = []
    killer = kill_after(named, 12, ("engine", "plugin")[seed], killed)
    assert not named.run("up").ok
    killer.join(timeout=1)
    second = named.run("up")
    assert second.ok, second.outcome.errors
    assert named.exists() == named.state()
    assert named.run("destroy").ok


def test_what_carries_anothers_tag_is_never_adopted(rig: Rig) -> None:
    rig.set_generation(1)
    client = Client(rig.home)
    theirs = {"name": "crash-3", "assumeRolePolicy": "{}", "tags": {"accelfleet-stack": "theirs"}}
    urn = "urn:pulumi:theirs::p::aws:iam/role:Role::r"
    client.call("create", cloud="aws", type="aws:iam/role:Role", urn=urn, config={}, inputs=theirs, defaults={})
    named = Rig(rig.home, replace(rig.workspace, finder=NamesOnly(rig.workspace.finder)))
    mark = named.workspace.running / STACK
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    try:
        refused = named.run("up")
        assert not refused.ok
        assert "role-3 (crash-3): exists, but its accelfleet-stack tag does not name crash" in refused.outcome.errors[0]
        assert not [urn for urn in named.state() if urn.endswith("::role-3")]
    finally:
        client.call("delete", cloud="aws", type="aws:iam/role:Role", id="crash-3")
    assert named.run("up").ok
    assert named.run("destroy").ok
    assert rig.exists() == {}
