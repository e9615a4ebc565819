"""Shared GPUs against a real scheduler: as many pods as parts, cut by the cloud, at boot or by the device plugin."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from fleet.catalog.sharing import Sharing, SharingMode, mig
from fleet.contract import AcceleratorPool
from infra.clouds.aws.user_data import user_data
from infra.kubernetes import gpu_sharing
from sandbox.cloud.aws_node_groups import _cut_at_boot
from sandbox.cloud.errors import CloudError
from sandbox.cloud.pools import cut
from sandbox.cloud.records import Record
from sandbox.cluster import ClusterSim, NodePool
from sandbox.cluster.api import is_ready
from sandbox.control_plane import ControlPlane
from tests import waiting
from tests.accelerator_pools import pool_of
from tests.sandbox.test_nodes import as_the_cloud_makes_it

until = partial(waiting.until, seconds=60)
MIG = mig("nvidia-a100-80gb", "3g.40gb")
TURNS = Sharing(SharingMode.TIME_SLICING, 4)
MPS = Sharing(SharingMode.MPS, 3)
T4 = machine(Cloud.AWS, "g4dn.xlarge")
# Case -> the pool, and what cuts its GPUs before any plugin runs.
CASES: dict[str, tuple[AcceleratorPool, Sharing | None]] = {
    "gke-mig": (pool_of(machine(Cloud.GCP, "a2-ultragpu-1g"), sharing=MIG), MIG),
    "gke-turns": (pool_of(machine(Cloud.GCP, "g2-standard-4"), sharing=TURNS), TURNS),
    "aks-mig": (pool_of(machine(Cloud.AZURE, "Standard_NC24ads_A100_v4"), sharing=MIG), MIG),
    "eks-mig": (pool_of(machine(Cloud.AWS, "p4de.24xlarge"), sharing=MIG), MIG),
    "eks-turns": (pool_of(T4, sharing=TURNS), None),
    "eks-mps": (pool_of(T4, sharing=MPS), None),
    "aks-mps": (pool_of(machine(Cloud.AZURE, "Standard_NC4as_T4_v3"), sharing=MPS), None),
    "aks-mps-alone": (pool_of(machine(Cloud.AZURE, "Standard_NC64as_T4_v3"), sharing=MPS), None),
}


class Cluster:
    def __init__(self, plane: ControlPlane) -> None:
        self.sim = ClusterSim(plane, lambda _pool, _size: None)

    def create(self, kind: str, body: dict[str, Any]) -> None:
        self.sim.api.call("POST", f"/api/v1/namespaces/default/{kind}", body)

    def make(self, case: str) -> tuple[AcceleratorPool, NodePool]:
        made, already = CASES[case]
        pool = replace(made, name=case, physical_name=case)
        nodes = replace(as_the_cloud_makes_it(pool), sharing=already)
        self.sim.set_pool(nodes)
        return pool, nodes

    def offers(self, case: str) -> int:
        (name,) = self.sim.nodes(case)
        node = self.sim.api.call("GET", f"/api/v1/nodes/{name}")
        return int((node["status"].get("allocatable") or {}).get("nvidia.com/gpu", 0))

    def plug(self, case: str, pool: AcceleratorPool) -> None:
        """The pods that infra's DaemonSets would put on the pool's one node."""
        assert pool.sharing is not None
        (node,) = self.sim.nodes(case)
        image = "nvcr.io/nvidia/k8s-device-plugin:v0.17.4"
        if (text := gpu_sharing.config(pool.sharing)) is not None:
            self.create("configmaps", {"metadata": {"name": case}, "data": {"config.yaml": text}})
        extra = gpu_sharing.plugin_container(pool.sharing)
        container = {"name": "plugin", "image": image, "env": extra["env"]}
        bodies = {"plugin": [container]}
        if pool.sharing.mode is SharingMode.MPS:
            daemon = gpu_sharing.mps_daemon(image)["containers"]
            bodies["mps"] = [{"name": d["name"], "image": image, "command": d["command"]} for d in daemon]
        volumes = gpu_sharing.volumes(pool.sharing, case)
        for name, containers in bodies.items():
            spec = {"nodeName": node, "tolerations": [{"operator": "Exists"}], "containers": containers, "volumes": volumes}
            self.create("pods", {"metadata": {"name": f"{case}-{name}"}, "spec": spec})

    def ready(self, names: list[str]) -> dict[str, bool]:
        pods = {p["metadata"]["name"]: p for p in self.sim.api.call("GET", "/api/v1/namespaces/default/pods")["items"]}
        return {name: is_ready(pods[name]) for name in names}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    plane = ControlPlane("sharing", tmp_path_factory.mktemp("sharing"))
    plane.start()
    made = Cluster(plane)
    yield made
    made.sim.close()
    plane.stop()


@pytest.mark.sandbox
@pytest.mark.parametrize("case", [case for case in CASES if case != "aks-mps-alone"])
def test_as_many_pods_run_as_there_are_parts_and_no_more(cluster: Cluster, case: str) -> None:
    pool, _ = cluster.make(case)
    if pool.needs_device_plugin:
        time.sleep(1.5)
        assert cluster.offers(case) == 0, "no plugin runs there yet"
        cluster.plug(case, pool)
    assert until(lambda: cluster.offers(case) == pool.slots), cluster.offers(case)
    parts = pool.slots if pool.slots <= 8 else 4
    held = pool.slots - parts
    names = [f"{case}-{i}" for i in range(parts)]
    for name in names:
        cluster.create("pods", part(name, pool))
    assert until(lambda: all(cluster.ready(names).values())), cluster.ready(names)
    if not held:
        cluster.create("pods", part(f"{case}-more", pool))
        assert not until(lambda: cluster.ready([f"{case}-more"])[f"{case}-more"], seconds=3)
    cluster.sim.remove_pool(case)


def part(name: str, pool: AcceleratorPool) -> dict[str, Any]:
    placed = pool.placement(1)
    limits = {placed.resource: str(placed.count)}
    spec = {
        "nodeSelector": placed.node_selector,
        "tolerations": placed.tolerations,
        "containers": [{"name": "c", "image": "model:1", "resources": {"limits": limits}}],
    }
    return {"metadata": {"name": name}, "spec": spec}


@pytest.mark.sandbox
def test_without_the_mps_daemon_its_plugin_offers_nothing(cluster: Cluster) -> None:
    pool, _ = cluster.make("aks-mps-alone")
    cluster.plug("aks-mps-alone", pool)
    assert until(lambda: cluster.offers("aks-mps-alone") == pool.slots)
    cluster.sim.api.call("DELETE", "/api/v1/namespaces/default/pods/aks-mps-alone-mps", gracePeriodSeconds="0")
    assert until(lambda: cluster.offers("aks-mps-alone") == 0)
    cluster.sim.remove_pool("aks-mps-alone")


@pytest.mark.sandbox
def test_a_plugin_that_knows_nothing_of_mig_counts_whole_gpus(cluster: Cluster) -> None:
    pool, _ = cluster.make("aks-mig")
    assert pool.per_node != pool.slots
    (node,) = cluster.sim.nodes("aks-mig")
    container = {"name": "plugin", "image": "nvcr.io/nvidia/k8s-device-plugin:v0.17.4"}
    spec = {"nodeName": node, "tolerations": [{"operator": "Exists"}], "containers": [container]}
    cluster.create("pods", {"metadata": {"name": "blind"}, "spec": spec})
    assert until(lambda: cluster.offers("aks-mig") == pool.per_node)
    cluster.sim.remove_pool("aks-mig")


def test_the_boot_script_that_infra_writes_is_the_one_that_the_sandbox_reads() -> None:
    template = Record("aws", "aws:ec2/launchTemplate:LaunchTemplate", "lt-1", "", {}, {"userData": user_data(MIG)})
    assert _cut_at_boot(template) == "3g.40gb"
    assert _cut_at_boot(None) is None


def test_a_cloud_refuses_what_it_cannot_cut() -> None:
    with pytest.raises(CloudError, match=r"cannot be cut into 1g\.5gb; there are 1g\.10gb"):
        cut(Cloud.GCP, machine(Cloud.GCP, "a2-ultragpu-1g"), "1g.5gb")
    with pytest.raises(CloudError, match="there are none"):
        cut(Cloud.GCP, machine(Cloud.GCP, "g2-standard-4"), "1g.5gb")
    assert cut(Cloud.GCP, None, None) is None


def test_a_pool_survives_the_daemon_with_its_sharing() -> None:
    pool = replace(as_the_cloud_makes_it(CASES["gke-mig"][0]), sharing=MIG)
    again = NodePool.from_json(json.loads(json.dumps(pool.to_json())))
    assert again.sharing == MIG
    assert again.parts == 2
