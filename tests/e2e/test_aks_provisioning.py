"""A stack with `provisioning: auto` on AKS, whole: the real engine, an AKS that makes nodes itself, and nothing left of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.cloud.client import Client
from sandbox.cluster.api import is_ready
from tests.e2e.conftest import Fork

pytestmark = pytest.mark.sandbox
STACK = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: azure
    region: eastus
    api: {allowed_cidrs: [203.0.113.0/24]}
    provisioning: auto
    pools:
      t4:
        accelerator: nvidia-t4
        purchase: spot
        fallback: on-demand
        nodes: {max: 2}
    models:
      chat:
        pool: t4
        replicas: {min: 2, max: 2}
"""
CLUSTER = "azure/made-main"


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    made = Fork(tmp_path_factory.mktemp("fork"), "made", STACK)
    made.fleet("up")
    yield made
    made.close()


def test_the_models_nodes_are_of_node_pools_and_a_destroy_leaves_nothing(fork: Fork) -> None:
    api = fork.api(CLUSTER)
    nodes = api.call("GET", "/api/v1/nodes", labelSelector="accelfleet.io/pool=t4")["items"]
    bought = [n["metadata"]["labels"].get("karpenter.sh/capacity-type") for n in nodes]
    assert bought == ["spot", "spot"]
    pods = api.call("GET", "/api/v1/namespaces/models/pods")["items"]
    assert [is_ready(pod) for pod in pods] == [True, True], "`up` waits for the model"
    assert {pod["spec"]["nodeName"] for pod in pods} == {n["metadata"]["name"] for n in nodes}
    assert {one["metadata"]["name"] for one in api.items("/apis/karpenter.sh/v1/nodepools")} == {"t4", "t4od", "system-more"}
    assert not [r for r in Client(fork.home).call("list") if r["type"].endswith(":AgentPool")], "the program makes none"

    assert "no changes" in fork.fleet("up", "--expect-no-changes")
    fork.fleet("destroy")
    assert Client(fork.home).call("list") == []
