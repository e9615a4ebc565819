"""Clusters in networks that another team made: up in them, no changes, gone again, and nothing of the networks touched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.engine import Engine
from sandbox.cloud import daemon
from sandbox.cloud.client import Client
from sandbox.workspace import sandbox_workspace, shadow_project
from tests.e2e.conftest import Fork
from tests.infra.test_existing_network import PARTS

pytestmark = pytest.mark.sandbox
PROGRAM = Path(__file__).parent / "landing_zone"
SETTINGS = {
    "aws:region": "us-east-1",
    "gcp:project": "demo",
    "azure-native:subscriptionId": "00000000-0000-0000-0000-000000000000",
}
PLACES = {"aws": ("us-east-1", "nvidia-l4"), "gcp": ("us-west1", "nvidia-l4"), "azure": ("westeurope", "nvidia-t4")}


def stack(cloud: str, network: dict[str, Any]) -> str:
    """A pool that always stands, with a model and its weights."""
    region, accelerator = PLACES[cloud]
    cluster = {
        "cloud": cloud,
        "region": region,
        "network": {"existing": network},
        "api": {"allowed_cidrs": ["203.0.113.0/24"]},
        "pools": {"gpu": {"accelerator": accelerator, "nodes": {"min": 2, "max": 3}}},
        "stores": {"weights": {}},
        "models": {"chat": {"pool": "gpu", "weights": {"store": "weights", "path": "chat", "size_gib": 4}}},
    }
    return yaml.safe_dump({"owner": "ml-platform", "environment": "dev", "clusters": {"main": cluster}})


@dataclass
class Landed:
    """A fork whose sandbox has the networks; `zone` is what the landing zone says of them."""

    fork: Fork
    zone: dict[str, Any]

    def records(self, of: str) -> dict[str, Any]:
        """What a Pulumi project has in the clouds, with its inputs, by URN."""
        return {r["urn"]: r["inputs"] for r in Client(self.fork.home).call("list") if f"::{of}::" in r["urn"]}


@pytest.fixture(scope="module")
def landed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Landed]:
    fork = Fork(tmp_path_factory.mktemp("fork"), "moved-in", "")
    workspace = sandbox_workspace(fork.home)
    project = fork.home / "landing-zone"
    (project / "config").mkdir(parents=True)
    (project / "Pulumi.yaml").write_text(yaml.safe_dump(shadow_project(fork.home / "bin", PROGRAM, "landing-zone")))
    (project / "config" / "Pulumi.hub.yaml").write_text(yaml.safe_dump({"config": SETTINGS}))
    (fork.root / "stacks" / "Pulumi.moved-in.yaml").write_text(yaml.safe_dump({"config": SETTINGS}))
    daemon.start(fork.home)
    engine = Engine(replace(workspace, project=project), "hub")
    engine.init()
    made = engine.run("up")
    assert made.ok, made.errors
    (own,) = [r for r in engine.export()["deployment"]["resources"] if r["type"] == "pulumi:pulumi:Stack"]
    yield Landed(fork, own["outputs"])
    fork.close()


@pytest.mark.parametrize("cloud", sorted(PLACES))
def test_a_cluster_moves_into_a_network_and_out_and_leaves_it_as_it_was(landed: Landed, cloud: str) -> None:
    fork, before = landed.fork, landed.records("landing-zone")
    assert before
    fork.write(stack(cloud, landed.zone[cloud]))
    fork.fleet("up")
    assert (fork.pools()["gpu"]["ready"], fork.pools()["gpu"]["missing"]) == (2, 0)
    ours = landed.records("accelfleet")
    assert [urn for urn in ours if urn.split("::")[2].rpartition("$")[2].startswith(PARTS)] == []
    nodes = fork.api(f"{cloud}/moved-in-main").call("GET", "/api/v1/nodes", labelSelector="accelfleet.io/pool=gpu")["items"]
    zones = {node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}
    assert len(nodes) == 2
    if cloud == "aws":
        assert zones <= set(landed.zone[cloud]["subnets"]), "a zone in which the network has no subnet"
    assert "no changes" in fork.fleet("up", "--expect-no-changes")
    fork.fleet("destroy")
    assert landed.records("accelfleet") == {}
    assert landed.records("landing-zone") == before
