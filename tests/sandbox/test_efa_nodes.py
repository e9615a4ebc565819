"""Fabric adapters on a real scheduler: there with their plugin, gone without, and never two pods for one (pain 12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.catalog.clouds import Cloud
from fleet.catalog.fabric import EFA_RESOURCE, node_fabric
from fleet.catalog.machines import machine
from fleet.contract import AcceleratorPool
from infra import versions
from sandbox.cloud.aws_node_groups import _adapters
from sandbox.cloud.errors import CloudError
from sandbox.cloud.records import Record
from sandbox.cluster import ClusterSim
from sandbox.cluster.api import is_ready, nodes
from sandbox.control_plane import ControlPlane
from tests.accelerator_pools import pool_of
from tests.sandbox.test_nodes import Cluster, as_the_cloud_makes_it, plugin
from tests.waiting import until

pytestmark = pytest.mark.sandbox
P4D = machine(Cloud.AWS, "p4d.24xlarge")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    plane = ControlPlane("efa", tmp_path)
    plane.start()
    sim = ClusterSim(plane, lambda _pool, _size: None)
    pool = pool_of(P4D, fabric=node_fabric(P4D))
    sim.set_pool(replace(as_the_cloud_makes_it(pool), efa=pool.efa))
    # A node that has just registered is tainted not-ready, which a pod would be refused for first.
    assert until(lambda: all(is_ready(node) for node in nodes(sim.api)), seconds=60)
    yield Cluster(plane, sim, {"gpu": pool})
    sim.close()
    plane.stop()


def pod(name: str, pool: AcceleratorPool, count: int) -> dict[str, Any]:
    placed = pool.placement(count)
    limits = {placed.resource: str(count), **{key: str(n) for key, n in placed.extra.items()}}
    spec = {
        "nodeSelector": placed.node_selector,
        "tolerations": placed.tolerations,
        "containers": [{"name": "c", "image": "model:1", "resources": {"limits": limits}}],
    }
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def test_pain_12_adapters_come_with_their_plugin_and_are_shared_out_once(cluster: Cluster) -> None:
    pool = cluster.pools["gpu"]
    (node,) = cluster.sim.nodes(pool.physical_name)
    cluster.create(plugin("gpus", versions.NVIDIA_DEVICE_PLUGIN_IMAGE, node))
    cluster.create(pod("early", pool, 4))
    assert f"Insufficient {EFA_RESOURCE}" in cluster.settle(["early"])["early"]
    cluster.create(plugin("adapters", versions.EFA_DEVICE_PLUGIN_IMAGE, node))
    cluster.create(pod("late", pool, 4))
    # Refused before, the scheduler looks again once the node has changed.
    assert until(lambda: all(is_ready(p) for p in cluster.pods().values()), seconds=60)
    cluster.create(pod("third", pool, 2))
    assert f"Insufficient {EFA_RESOURCE}" in cluster.settle(["third"])["third"]


def test_the_adapters_plugin_is_not_taken_for_the_gpus(cluster: Cluster) -> None:
    pool = cluster.pools["gpu"]
    (node,) = cluster.sim.nodes(pool.physical_name)
    cluster.create(plugin("adapters", versions.EFA_DEVICE_PLUGIN_IMAGE, node))
    cluster.create(pod("hopeful", pool, 8))
    assert "Insufficient nvidia.com/gpu" in cluster.settle(["hopeful"])["hopeful"]


@pytest.mark.parametrize(
    ("name", "asked", "fine"), [("p4d.24xlarge", 4, True), ("p4d.24xlarge", 5, False), ("g6.xlarge", 1, False)]
)
def test_ec2_gives_no_more_adapters_than_the_machine_has_cards(name: str, asked: int, fine: bool) -> None:
    interfaces = [{"interfaceType": "efa"}, {"interfaceType": "efa-only"}, {"interfaceType": "interface"}]
    given = [interfaces[0], *[interfaces[1]] * (asked - 1), interfaces[2]]
    template = Record("aws", "aws:ec2/launchTemplate:LaunchTemplate", "lt-1", "", {}, {"networkInterfaces": given})
    row = machine(Cloud.AWS, name)
    if fine:
        assert _adapters(template, row) == asked
    else:
        with pytest.raises(CloudError, match=f"{asked} EFA interfaces requested, {name} supports"):
            _adapters(template, row)
