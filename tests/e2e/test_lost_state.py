"""A state that is torn or gone, and a killed run where the cloud is asked by name: what is adopted, and what never is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.lookup import Finder, Wanted
from fleet.lookup.identities import identity
from sandbox.cloud.client import Client
from tests.e2e.killing import kill_after
from tests.e2e.rig import STACK, Rig, standing

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with standing(tmp_path_factory.mktemp("lost-state"), latency=0.2) as made:
        yield made


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
