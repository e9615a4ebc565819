"""A stack with `provisioning: auto` on GKE, whole: the real engine, a GKE that makes pools itself, and nothing left of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.cloud.client import Client
from sandbox.cluster.api import is_ready
from tests.e2e.conftest import Fork
from tests.waiting import until

pytestmark = pytest.mark.sandbox
STACK = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: gcp
    region: us-central1
    api: {allowed_cidrs: [203.0.113.0/24]}
    provisioning: auto
    pools:
      l4:
        accelerator: nvidia-l4
        purchase: spot
        fallback: on-demand
        nodes: {max: 2}
    stores: {results: {}}
    tpu_vms:
      lab: {type: v2-8, purchase: spot, writes: [results]}
    models:
      chat:
        pool: l4
        replicas: {min: 2, max: 2}
"""
CLUSTER = "gcp/made-main"


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    made = Fork(tmp_path_factory.mktemp("fork"), "made", STACK)
    (made.root / "stacks" / "Pulumi.made.yaml").write_text("config: {gcp:project: demo}\n")
    made.fleet("up")
    yield made
    made.close()


def nodes(fork: Fork) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = fork.api(CLUSTER).call("GET", "/api/v1/nodes", labelSelector="accelfleet.io/pool=l4")["items"]
    return found


def ready(fork: Fork) -> int:
    found = fork.api(CLUSTER).call("GET", "/api/v1/namespaces/models/pods")["items"]
    standing = {n["metadata"]["name"] for n in nodes(fork)}
    return sum(is_ready(p) and p["spec"]["nodeName"] in standing for p in found if not p["metadata"].get("deletionTimestamp"))


def test_the_models_nodes_are_of_pools_that_gke_made(fork: Fork) -> None:
    assert ready(fork) == 2, "`up` waits for the model"
    assert {n["metadata"]["labels"]["cloud.google.com/gke-nodepool"] for n in nodes(fork)} == {"nap-l4-0"}
    pools = [r for r in Client(fork.home).call("list") if r["type"].endswith(":NodePool")]
    assert [p["inputs"]["name"] for p in pools] == ["cluster-system"], "the program makes none of them"
    assert "no changes" in fork.fleet("up", "--expect-no-changes")


def test_a_tpu_vm_stands_beside_the_cluster_in_a_zone_that_has_its_type(fork: Fork) -> None:
    (vm,) = (r for r in Client(fork.home).call("list") if r["type"] == "gcp:tpu/v2Vm:V2Vm")
    assert vm["id"] == "projects/demo/locations/us-central1-b/nodes/made-main-lab-tpu"
    assert vm["inputs"]["schedulingConfig"]["spot"] is True


def test_spot_that_is_taken_comes_back_by_the_next_rule(fork: Fork) -> None:
    fork.run("sandbox", "exhaust", "made-main", "nap-l4-0")
    fork.run("sandbox", "reclaim", "made-main", "nap-l4-0", "--notice", "0")

    def bought() -> set[str]:
        return {n["metadata"]["labels"]["accelfleet.io/purchase"] for n in nodes(fork)}

    assert until(lambda: bought() == {"on-demand"} and ready(fork) == 2, 120), nodes(fork)


def test_a_destroy_leaves_nothing(fork: Fork) -> None:
    fork.fleet("destroy")
    assert Client(fork.home).call("list") == []
    assert json.loads(fork.run("sandbox", "status", "--json"))["clusters"] == []
