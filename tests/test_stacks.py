"""Every stack file of the repository loads, deploys under mocks, and keeps to its place."""

from __future__ import annotations

from collections.abc import Callable

import pulumi
import pytest
import yaml

from fleet import schema
from fleet.load import load_stack
from fleet.plan import pools
from fleet.workspace import STACKS
from infra.clouds import kit
from infra.platform import deploy as platform
from infra.stack import Stack
from tests.mocked_engine import Recorder, set_accounts

FILES = sorted(p for p in STACKS.glob("*.yaml") if not p.name.startswith("Pulumi."))


def test_there_is_a_dev_stack_for_each_cloud() -> None:
    assert {"aws-dev", "gcp-dev", "azure-dev"} <= {p.stem for p in FILES}


@pytest.mark.parametrize("name", [p.stem for p in FILES])
def test_a_stack_deploys_with_all_its_pools_and_models(name: str, deploy: Callable[..., Recorder]) -> None:
    spec = load_stack(STACKS / f"{name}.yaml")

    def program() -> None:
        set_accounts()
        for key, value in platform(Stack(name, spec)).items():
            pulumi.export(key, value)

    made = deploy(program, stack=name)
    releases = made.of("kubernetes:helm.sh/v3:Release").values()
    assert {r["name"] for r in releases} == {m for c in spec.clusters.values() for m in c.models}
    for cluster_name, cluster in spec.clusters.items():
        wanted = pools(name, cluster_name, cluster, pool_name=kit(cluster.cloud).pool_name)
        assert set(made.exports["clusters"][cluster_name]["pools"]) == set(wanted)


@pytest.mark.parametrize("name", [p.stem for p in FILES])
def test_editors_complete_it_and_pulumis_file_holds_settings_only(name: str) -> None:
    first = (STACKS / f"{name}.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=./schema.json"
    settings = yaml.safe_load((STACKS / f"Pulumi.{name}.yaml").read_text())
    assert set(settings) <= {"config", "encryptionsalt", "secretsprovider", "encryptedkey"}
    assert all(":" in key for key in settings["config"])


def test_the_published_schema_is_the_specs() -> None:
    assert schema.PATH.read_text() == schema.text()
