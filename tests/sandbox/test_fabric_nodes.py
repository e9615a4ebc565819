"""GPUDirect's networks and InfiniBand's NICs on a real scheduler: there with what offers them, shared out once (pain 12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.catalog.clouds import Cloud
from fleet.catalog.fabric import GKE_NETWORK_RESOURCES, INFINIBAND_RESOURCE, network_object, node_fabric
from fleet.catalog.machines import machine
from fleet.contract import AcceleratorPool
from fleet.naming import fabric_network
from infra import versions
from sandbox.cloud import gke_fabric
from sandbox.cloud.errors import CloudError
from sandbox.cloud.records import Record
from sandbox.cloud.world import World
from sandbox.cluster import ClusterSim, gke_networks
from sandbox.cluster.api import Api, ApiError, is_ready
from sandbox.control_plane import ControlPlane
from tests.accelerator_pools import pool_of
from tests.sandbox.test_nodes import Cluster, as_the_cloud_makes_it, plugin, refusal
from tests.waiting import until

pytestmark = pytest.mark.sandbox
A4, A3_HIGH = machine(Cloud.GCP, "a4-highgpu-8g"), machine(Cloud.GCP, "a3-highgpu-8g")
ND_H100 = machine(Cloud.AZURE, "Standard_ND96isr_H100_v5")
KINDS = {"GKENetworkParamSet": "gkenetworkparamsets", "Network": "networks"}


def with_fabric(row: Any, name: str) -> AcceleratorPool:
    return pool_of(row, name=name, physical_name=name, fabric=node_fabric(row))


def networks_of(pool: AcceleratorPool) -> tuple[tuple[str, str], ...]:
    assert pool.fabric is not None
    return tuple((fabric_network("c", pool.name, n.vpc), fabric_network("c", pool.name, n.name)) for n in pool.fabric.networks)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    plane = ControlPlane("fabric", tmp_path_factory.mktemp("fabric"))
    plane.start()
    sim = ClusterSim(plane, lambda _pool, _size: None)
    gke_networks.install(sim.api)
    pools = {name: with_fabric(row, name) for name, row in (("a4", A4), ("a3", A3_HIGH), ("nd", ND_H100))}
    for pool in pools.values():
        made = as_the_cloud_makes_it(pool)
        sim.set_pool(replace(made, networks=networks_of(pool)) if pool.cloud is Cloud.GCP else made)
    yield Cluster(plane, sim, pools)
    sim.close()
    plane.stop()


def attach(api: Api, pool: AcceleratorPool) -> None:
    """The objects of `infra.kubernetes.gpudirect`."""
    assert pool.fabric is not None
    for network, (vpc, subnet) in zip(pool.fabric.networks, networks_of(pool), strict=True):
        called = network_object(pool.name, network)
        specs = {
            "GKENetworkParamSet": {"vpc": vpc, "vpcSubnet": subnet, "deviceMode": "RDMA" if network.rdma else "NetDevice"},
            "Network": {"type": "Device", "parametersRef": {"kind": "GKENetworkParamSet", "name": called}},
        }
        for kind, spec in specs.items():
            body = {"apiVersion": "networking.gke.io/v1", "kind": kind, "metadata": {"name": called}, "spec": spec}
            path = f"/apis/networking.gke.io/v1/{KINDS[kind]}"
            assert until(lambda path=path: served(api, path), seconds=20)
            api.call("POST", path, body)


def served(api: Api, path: str) -> bool:
    try:
        api.items(path)
    except ApiError:
        return False
    return True


def pod(name: str, pool: AcceleratorPool, count: int) -> dict[str, Any]:
    placed = pool.placement(count)
    limits = {placed.resource: str(count), **{key: str(n) for key, n in placed.extra.items()}}
    spec = {
        "nodeSelector": placed.node_selector,
        "tolerations": placed.tolerations,
        "containers": [{"name": "c", "image": "model:1", "resources": {"limits": limits}}],
    }
    return {"metadata": {"name": name, "namespace": "default", "annotations": placed.annotations}, "spec": spec}


@pytest.mark.parametrize(("key", "nics"), [("a4", 8), ("a3", 4)])
def test_pain_12_networks_are_a_nodes_once_their_objects_name_its_interfaces(cluster: Cluster, key: str, nics: int) -> None:
    pool = cluster.pools[key]
    cluster.create(pod(f"{key}-early", pool, 8))
    # Nodes that have just come are refused for a moment as not ready.
    lacks = f"Insufficient {GKE_NETWORK_RESOURCES}{key}-"
    assert until(lambda: lacks in (refusal(cluster.pods()[f"{key}-early"]) or ""), seconds=60)
    attach(cluster.sim.api, pool)
    assert until(lambda: is_ready(cluster.pods()[f"{key}-early"]), seconds=60)
    (node,) = cluster.sim.nodes(pool.physical_name)
    offered = cluster.sim.api.call("GET", f"/api/v1/nodes/{node}")["status"]["allocatable"]
    mine = {k: v for k, v in offered.items() if k.startswith(GKE_NETWORK_RESOURCES)}
    assert set(mine.values()) == {"1"}
    assert {k for k in mine if "gvnic" not in k} == set(pool.placement(8).extra)
    assert len(pool.placement(8).extra) == nics


def test_pain_12_the_nics_come_with_their_plugin_and_are_shared_out_once(cluster: Cluster) -> None:
    pool = cluster.pools["nd"]
    (node,) = cluster.sim.nodes(pool.physical_name)
    cluster.create(plugin("gpus", versions.NVIDIA_DEVICE_PLUGIN_IMAGE, node))
    cluster.create(pod("half", pool, 4))
    assert f"Insufficient {INFINIBAND_RESOURCE}" in cluster.settle(["half"])["half"]
    image = f"nvcr.io/nvidia/mellanox/sriov-network-device-plugin:{versions.SRIOV_DEVICE_PLUGIN}"
    cluster.create(plugin("nics", image, node))
    cluster.create(pod("other-half", pool, 4))
    assert until(lambda: all(is_ready(cluster.pods()[name]) for name in ("half", "other-half")), seconds=60)
    cluster.create(pod("third", pool, 1))
    assert f"Insufficient {INFINIBAND_RESOURCE}" in cluster.settle(["third"])["third"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def gcp(world: World, type_: str, name: str, **inputs: Any) -> Record:
    return world.create("gcp", type_, f"urn::{name}", {"project": "p"}, {"name": name, **inputs}, {})


def asked(vpcs: int, *, cluster: str = "c", zones: tuple[str, ...] = ("us-central1-b",), vpc: str = "v") -> dict[str, Any]:
    networks = [{"network": f"{vpc}{i}", "subnetwork": f"{vpc}{i}"} for i in range(vpcs)]
    return {"cluster": cluster, "nodeLocations": list(zones), "networkConfig": {"additionalNodeNetworkConfigs": networks}}


@pytest.fixture
def networks(world: World) -> World:
    """Five plain networks and one of the RDMA profile; the records of two clusters, of which one has multi-networking."""
    for i in range(5):
        made = gcp(world, "gcp:compute/network:Network", f"v{i}")
        gcp(world, "gcp:compute/subnetwork:Subnetwork", f"v{i}", network=made.id, region="us-central1")
    profile = "projects/p/global/networkProfiles/us-central1-b-vpc-roce"
    rdma = gcp(world, "gcp:compute/network:Network", "r0", networkProfile=profile)
    gcp(world, "gcp:compute/subnetwork:Subnetwork", "r0", network=rdma.id, region="us-central1")
    for name, multi in (("c", True), ("plain", False)):
        inputs = {"name": name, "enableMultiNetworking": multi}
        world.records.add(Record("gcp", "gcp:container/cluster:Cluster", name, f"urn::{name}", {}, inputs))
    return world


@pytest.mark.parametrize(
    ("row", "inputs", "why"),
    [
        (A3_HIGH, asked(4, cluster="plain"), "need a cluster with multi-networking"),
        (A3_HIGH, asked(5), "5 additional node networks, but a3-highgpu-8g has 4 further NICs"),
        (machine(Cloud.GCP, "g2-standard-4"), asked(1), "g2-standard-4 has 0 further NICs"),
        (A3_HIGH, asked(1, vpc="nowhere"), "network nowhere0 does not exist"),
        (A3_HIGH, asked(1, vpc="r"), "takes MRDMA NICs alone"),
        (A4, asked(1, vpc="r", zones=("us-central1-c",)), "its nodes are in that zone alone"),
    ],
)
def test_gke_refuses_networks_that_nodes_cannot_be_in(networks: World, row: Any, inputs: dict[str, Any], why: str) -> None:
    with pytest.raises(CloudError, match=why):
        gke_fabric.refuse(networks, inputs, row)


@pytest.mark.parametrize(("row", "inputs"), [(A3_HIGH, asked(4)), (A4, asked(1, vpc="r")), (A4, {"cluster": "plain"})])
def test_gke_takes_what_the_machine_has(networks: World, row: Any, inputs: dict[str, Any]) -> None:
    gke_fabric.refuse(networks, inputs, row)


def test_a_network_stays_while_nodes_are_in_it(networks: World) -> None:
    pool = Record("gcp", "gcp:container/nodePool:NodePool", "c/train", "urn::train", {}, {"name": "train", **asked(4)})
    networks.records.add(pool)
    found = {r.name: r for r in networks.records.all("gcp", "gcp:compute/subnetwork:Subnetwork")}
    with pytest.raises(CloudError, match="in use by node pool train"):
        networks.delete("gcp", found["v0"].type, found["v0"].id)
    networks.delete("gcp", found["v4"].type, found["v4"].id)
