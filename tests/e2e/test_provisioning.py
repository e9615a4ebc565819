"""A stack with `provisioning: auto`, whole: the real engine, the real Karpenter, and nothing left of it at the end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import processes, toolchain
from sandbox.addons import TOOLS
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
    cloud: aws
    region: us-east-1
    api: {allowed_cidrs: [203.0.113.0/24]}
    provisioning: auto
    pools:
      l4:
        accelerator: nvidia-l4
        purchase: spot
        fallback: on-demand
        nodes: {max: 3}
    models:
      chat:
        pool: l4
        replicas: {min: 2, max: 2}
"""
NAME = "auto-main"
CLUSTER = f"aws/{NAME}"


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    toolchain.ensure(TOOLS["karpenter"])
    made = Fork(tmp_path_factory.mktemp("fork"), "auto", STACK)
    made.fleet("up")
    yield made
    made.close()


def records(fork: Fork, kind: str = "") -> list[dict[str, Any]]:
    return [r for r in Client(fork.home).call("list") if r["type"].endswith(kind)]


def ready(fork: Fork) -> int:
    found = fork.api(CLUSTER).call("GET", "/api/v1/namespaces/models/pods")["items"]
    standing = {n["metadata"]["name"] for n in nodes(fork)}
    return sum(is_ready(p) and p["spec"]["nodeName"] in standing for p in found if not p["metadata"].get("deletionTimestamp"))


def nodes(fork: Fork) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = fork.api(CLUSTER).call("GET", "/api/v1/nodes", labelSelector="accelfleet.io/pool=l4")["items"]
    return found


def test_the_models_nodes_are_karpenters(fork: Fork) -> None:
    assert ready(fork) == 2, "`up` waits for the model"
    assert {n["metadata"]["labels"]["karpenter.sh/nodepool"] for n in nodes(fork)} == {"l4"}
    (group,) = records(fork, ":NodeGroup")
    assert group["inputs"]["nodeGroupName"] == "cluster-system"
    instances = records(fork, ":Instance")
    assert [i["inputs"]["spot"] for i in instances] == [True, True]
    assert all(i["tags"]["accelfleet-stack"] == "auto" for i in instances), "the bill tells whose they are"


def test_a_second_run_changes_nothing(fork: Fork) -> None:
    assert "no changes" in fork.fleet("up", "--expect-no-changes")


def test_it_is_seen_from_both_sides(fork: Fork) -> None:
    pool = fork.pools()["l4"]
    assert (pool["nodes"], pool["ready"], pool["accelerators"], pool["purchase"]) == (2, 2, 2, "spot")
    (cluster,) = json.loads(fork.run("sandbox", "status", "--json"))["clusters"]
    assert {p["name"]: p["size"] for p in cluster["pools"]} == {"cluster-system": 1, "l4": 2}


def test_spot_that_is_taken_comes_back_as_what_there_is(fork: Fork) -> None:
    fork.run("sandbox", "exhaust", NAME, "l4")
    fork.run("sandbox", "reclaim", NAME, "l4", "--notice", "60")

    def bought() -> set[str]:
        return {n["metadata"]["labels"]["accelfleet.io/purchase"] for n in nodes(fork)}

    # What it was refused once Karpenter asks for again after three minutes.
    came = until(lambda: bought() == {"on-demand"} and ready(fork) == 2, 300)
    assert came, [nodes(fork), *(processes.tail(log, 40) for log in fork.home.glob("clusters/aws/*/logs/karpenter.log"))]
    fork.run("sandbox", "exhaust", NAME, "l4", "--undo")
    assert "no changes" in fork.fleet("up", "--expect-no-changes")


def test_a_sandbox_that_was_stopped_comes_back_with_karpenter(fork: Fork) -> None:
    fork.run("sandbox", "down")
    fork.run("sandbox", "up")
    assert until(lambda: ready(fork) == 2, 60), nodes(fork)
    scale = "/apis/apps/v1/namespaces/models/deployments/chat"
    fork.api(CLUSTER).patch(scale, {"spec": {"replicas": 3}})
    assert until(lambda: ready(fork) == 3, 120), nodes(fork)


def test_a_destroy_leaves_no_node_and_no_machine(fork: Fork) -> None:
    fork.fleet("destroy")
    assert records(fork) == []
    assert json.loads(fork.run("sandbox", "status", "--json"))["clusters"] == []
