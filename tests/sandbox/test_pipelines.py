"""GCP's and Azure's stacks with every kind of service come up in the sandbox's clouds and go, without engine or cluster.

Each resource is checked by the vendors' models with what the one before it really answered, and made in the daemon's world.
AWS's comes up whole in `tests/e2e/test_services.py`.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

from fleet.load import load_stack
from fleet.workspace import STACKS
from infra.platform import deploy as platform
from infra.stack import Stack
from sandbox.cloud.behaviour import AZURE_SUBSCRIPTION, GCP_PROJECT
from sandbox.cloud.records import Record
from sandbox.cloud.world import World
from sandbox.providers.cloud import synthesise
from sandbox.providers.validation import validate
from tests import mocked_engine
from tests.mocked_engine import deploy, set_accounts

pytestmark = pytest.mark.sandbox
# What starts a control plane, and what wants a program from npm.
_ELSEWHERE = (":Cluster", ":NodePool", ":ManagedCluster", ":AgentPool", ":BlobContainer")
_SETTINGS = {
    "gcp": {"region": "us-west1", "project": GCP_PROJECT},
    "azure-native": {"location": "westeurope", "subscriptionId": AZURE_SUBSCRIPTION},
}


class _Made(mocked_engine._Cloud):
    """Answers as the sandbox's clouds do."""

    world: World
    package: str

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        if not args.typ.startswith(f"{self.package}:") or args.typ.endswith(_ELSEWHERE):
            return super().new_resource(args)
        inputs = mocked_engine._plain(args.inputs)
        # The SDKs import their modules when first touched, and two threads at it see each other's half-made ones.
        with _ONE_AT_A_TIME:
            assert list(validate(self.package, args.typ, dict(inputs))) == [], args.name
            urn = f"urn:pulumi:test::accelfleet::{args.typ}::{args.name}"
            defaults = synthesise(self.package, args.typ, inputs)
            made = self.world.create(self.package, args.typ, urn, _SETTINGS[self.package], inputs, defaults)
        _MADE.append(made)
        return made.id, made.outputs


_ONE_AT_A_TIME = threading.RLock()
_MADE: list[Record] = []


@pytest.mark.parametrize(("cloud", "package", "least"), [("gcp", "gcp", 70), ("azure", "azure-native", 80)])
def test_a_stack_of_every_kind_comes_up_and_goes(
    cloud: str, package: str, least: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, world = f"{cloud}-pipeline", World(tmp_path)
    monkeypatch.setattr(_Made, "world", world, raising=False)
    monkeypatch.setattr(_Made, "package", package, raising=False)
    monkeypatch.setattr(mocked_engine, "_Cloud", _Made)
    _MADE.clear()
    spec = load_stack(STACKS / f"{name}.yaml")

    def program() -> None:
        set_accounts()
        pulumi.export("services", platform(Stack(name, spec))["clusters"]["main"]["services"])

    try:
        exports = deploy(program, stack=name).exports
        assert len(_MADE) >= least
        assert set(exports["services"]) == {key for _, key, _ in spec.clusters["main"].services.all()}
        for record in reversed(_MADE):
            world.delete(package, record.type, record.id)
        assert world.records.all() == []
    finally:
        world.close()
