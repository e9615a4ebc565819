"""Neuron nodes on a real scheduler: devices and cores with their plugin, and pods of the scheduler that they name.

Which devices are neighbours nobody says here: the extender's image is Neuron's own, and the sandbox does not run it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fleet.catalog import neuron
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from fleet.catalog.numa import Numa
from fleet.contract import AcceleratorPool
from infra import versions
from infra.clouds.aws.user_data import parts
from sandbox.cluster import ClusterSim
from sandbox.cluster.api import is_ready
from sandbox.cluster.instances import _kubelet
from sandbox.control_plane import ControlPlane
from tests.accelerator_pools import pool_of
from tests.sandbox.test_nodes import Cluster, as_the_cloud_makes_it, plugin
from tests.waiting import until

pytestmark = pytest.mark.sandbox
INF2, INF2_48 = machine(Cloud.AWS, "inf2.xlarge"), machine(Cloud.AWS, "inf2.48xlarge")
POOLS = {
    "cut": pool_of(INF2, name="cut", physical_name="cut", sharing=neuron.cores("inferentia2")),
    "side": pool_of(INF2_48, name="side", physical_name="side", neuron_scheduler=True),
}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    plane = ControlPlane("neuron", tmp_path_factory.mktemp("neuron"))
    plane.start()
    sim = ClusterSim(plane, lambda _pool, _size: None)
    made = Cluster(plane, sim, POOLS)
    for pool in POOLS.values():
        sim.set_pool(replace(as_the_cloud_makes_it(pool), sharing=None))
        (node,) = sim.nodes(pool.physical_name)
        made.create(plugin(f"plugin-{pool.name}", versions.NEURON_DEVICE_PLUGIN_IMAGE, node))
        assert until(lambda node=node, pool=pool: pool.resource in allocatable(made, node), seconds=60)
    yield made
    sim.close()
    plane.stop()


def allocatable(cluster: Cluster, node: str) -> dict[str, str]:
    return dict(cluster.sim.api.call("GET", f"/api/v1/nodes/{node}")["status"].get("allocatable") or {})


def pod(name: str, pool: AcceleratorPool, count: int, **changes: Any) -> dict[str, Any]:
    placed = pool.placement(count)
    spec: dict[str, Any] = {
        "nodeSelector": placed.node_selector,
        "tolerations": placed.tolerations,
        "containers": [{"name": "c", "image": "model:1", "resources": {"limits": {placed.resource: str(count)}}}],
        **({"schedulerName": placed.scheduler} if placed.scheduler else {}),
        **changes,
    }
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def test_a_device_of_two_cores_takes_two_pods_and_no_third(cluster: Cluster) -> None:
    (node,) = cluster.sim.nodes("cut")
    offered = allocatable(cluster, node)
    assert (offered["aws.amazon.com/neuron"], offered[neuron.CORE_RESOURCE]) == ("1", "2")
    for name in ("core-a", "core-b"):
        cluster.create(pod(name, POOLS["cut"], 1))
    assert until(lambda: all(is_ready(cluster.pods()[name]) for name in ("core-a", "core-b")), seconds=60)
    cluster.create(pod("core-c", POOLS["cut"], 1))
    assert f"Insufficient {neuron.CORE_RESOURCE}" in cluster.settle(["core-c"])["core-c"]


def test_pods_of_the_second_scheduler_are_placed_by_it_and_of_none_other(cluster: Cluster) -> None:
    cluster.create(pod("eight", POOLS["side"], 8))
    cluster.create(pod("nobodys", POOLS["side"], 1, schedulerName="some-other"))
    assert until(lambda: is_ready(cluster.pods()["eight"]), seconds=60)
    cluster.create(pod("five", POOLS["side"], 5))
    assert "Insufficient aws.amazon.com/neuron" in cluster.settle(["five"])["five"]
    events = cluster.sim.api.call("GET", "/api/v1/namespaces/default/events")["items"]
    said = {e["involvedObject"]["name"]: e.get("reportingComponent") for e in events if e["reason"] == "Scheduled"}
    assert said["eight"] == neuron.SCHEDULER
    assert not cluster.pods()["nobodys"]["status"].get("conditions"), "a scheduler that is not there placed it"


def test_a_kubelet_is_told_by_all_parts_of_its_user_data_together() -> None:
    """Karpenter's part says taints, the pool's own how devices and CPUs are kept together."""
    text = parts(numa=Numa.BEST_EFFORT)
    assert text is not None
    theirs = '{"spec": {"kubelet": {"config": {"registerWithTaints": [{"key": "k"}]}, "flags": ["--node-labels=a=b"]}}}'
    first = f"--//\nContent-Type: application/node.eks.aws\n\n{theirs}\n\n"
    told = _kubelet(base64.b64encode(text.replace("--//\n", f"{first}--//\n", 1).encode()).decode())
    assert told["flags"] == ["--node-labels=a=b"]
    assert told["config"]["registerWithTaints"] == [{"key": "k"}]
    assert told["config"]["topologyManagerPolicy"] == "best-effort"
