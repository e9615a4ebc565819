"""The scheduling contract against a real scheduler: every accelerator machine of the catalogue, spot and on-demand.

Nodes are made as the cloud makes them, from what the pool asks for; pods carry what the contract says, or lack a part.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from fleet.catalog.clouds import PUBLIC, Cloud
from fleet.contract import AcceleratorPool
from sandbox import processes
from sandbox.cluster import ClusterSim, NodePool
from sandbox.cluster.api import is_ready
from sandbox.control_plane import ControlPlane
from tests.accelerator_pools import ON_OFFER, pool_of
from tests.waiting import until

pytestmark = pytest.mark.sandbox
PLUGIN_IMAGES = ("nvcr.io/nvidia/k8s-device-plugin:v0.17.4", "public.ecr.aws/neuron/neuron-device-plugin:2.27.7.0")
CASES = {
    f"{row.cloud}-{row.name}-{row.accelerator.name if row.accelerator else ''}-{'spot' if spot else 'od'}": (row, spot)
    for row in ON_OFFER
    for spot in (False, True)
}


def as_the_cloud_makes_it(pool: AcceleratorPool) -> NodePool:
    """The pool as the provider's API is told of it: our labels and taints, the machine's name, nothing else."""
    return NodePool(
        name=pool.physical_name,
        cloud=pool.cloud,
        region=pool.region,
        zones=pool.zones,
        machine_name=pool.machine.name,
        hardware=pool.machine,
        spot=pool.spot,
        labels=dict(pool.node_labels),
        taints=pool.node_taints,
        min_nodes=1,
        max_nodes=1,
        size=1,
        topology=pool.tpu.topology if pool.tpu else None,
        autoscaled=False,
        has_cpu_pool=True,
        plugin_builtin=True,
        driver_ok=True,
        disk_gib=pool.disk_gib,
        group_tags=pool.autoscaler_tags("c"),
    )


def pod(name: str, pool: AcceleratorPool, **changes: Any) -> dict[str, Any]:
    placed = pool.placement(pool.per_node)
    spec: dict[str, Any] = {
        "nodeSelector": placed.node_selector,
        "tolerations": placed.tolerations,
        "containers": [{"name": "c", "image": "model:1", "resources": {"limits": {placed.resource: str(placed.count)}}}],
        **changes,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def plugin(name: str, image: str, node: str) -> dict[str, Any]:
    """A device plugin's pod on one node, as its DaemonSet would place it."""
    spec = {
        "nodeName": node,
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": "plugin", "image": image}],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


@dataclass
class Cluster:
    plane: ControlPlane
    sim: ClusterSim
    pools: dict[str, AcceleratorPool]

    def create(self, body: dict[str, Any]) -> None:
        self.sim.api.call("POST", "/api/v1/namespaces/default/pods", body)

    def pods(self) -> dict[str, dict[str, Any]]:
        return {p["metadata"]["name"]: p for p in self.sim.api.call("GET", "/api/v1/namespaces/default/pods")["items"]}

    def settle(self, names: list[str], timeout_s: float = 120) -> dict[str, str]:
        """Wait until each pod is Ready (empty reason) or has been refused; returns the scheduler's words."""
        deadline = time.monotonic() + timeout_s
        while True:
            pods = self.pods()
            reasons = {n: "" if is_ready(pods[n]) else refusal(pods[n]) for n in names}
            if None not in reasons.values() or time.monotonic() > deadline:
                return {n: r if r is not None else "not judged in time" for n, r in reasons.items()}
            time.sleep(0.5)


def refusal(pod_: dict[str, Any]) -> str | None:
    for condition in pod_["status"].get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition["message"])
    return None


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    plane = ControlPlane("contract", tmp_path_factory.mktemp("contract"))
    plane.start()
    sim = ClusterSim(plane, lambda _pool, _size: None)
    pools = {}
    for number, (case, (row, spot)) in enumerate(CASES.items()):
        name = f"p{number}"
        pools[case] = pool_of(row, name=name, spot=spot, physical_name=name)
        sim.set_pool(as_the_cloud_makes_it(pools[case]))
    yield Cluster(plane, sim, pools)
    sim.close()
    plane.stop()


@pytest.fixture(scope="module")
def judged(cluster: Cluster) -> dict[str, str]:
    """Every pod of every case, judged by the scheduler: first without device plugins, then with them."""
    named: dict[str, list[str]] = {"before": [], "after": []}
    for pool in cluster.pools.values():
        if pool.needs_device_plugin:
            cluster.create(pod(f"{pool.name}-unplugged", pool))
            named["before"].append(f"{pool.name}-unplugged")
    reasons = cluster.settle(named["before"])
    for pool in cluster.pools.values():
        if pool.needs_device_plugin:
            cluster.sim.api.call("DELETE", f"/api/v1/namespaces/default/pods/{pool.name}-unplugged", gracePeriodSeconds="0")
            image = PLUGIN_IMAGES[pool.resource.startswith("aws.amazon.com")]
            cluster.create(plugin(f"{pool.name}-plugin", image, cluster.sim.nodes(pool.name)[0]))
        more = str(pool.per_node + 1)
        container = {"name": "c", "image": "model:1", "resources": {"limits": {pool.resource: more}}}
        wrong = {**pool.placement(pool.per_node).node_selector, "accelfleet.io/pool": "no-such-pool"}
        for kind, body in (
            ("good", pod(f"{pool.name}-good", pool)),
            ("untolerated", pod(f"{pool.name}-untolerated", pool, tolerations=[])),
            ("greedy", pod(f"{pool.name}-greedy", pool, containers=[container])),
            ("mislabelled", pod(f"{pool.name}-mislabelled", pool, nodeSelector=wrong)),
        ):
            cluster.create(body)
            named["after"].append(f"{pool.name}-{kind}")
    # The plugins come up, the resources with them, and the scheduler looks again at what it refused.
    deadline = time.monotonic() + 120
    good = [n for n in named["after"] if n.endswith("-good")]
    while time.monotonic() < deadline:
        pods = cluster.pods()
        if all(is_ready(pods[n]) for n in good):
            break
        time.sleep(0.5)
    return reasons | cluster.settle(named["after"])


@pytest.mark.parametrize("case", CASES)
def test_a_pod_placed_by_the_contract_runs_on_its_pool(cluster: Cluster, judged: dict[str, str], case: str) -> None:
    pool = cluster.pools[case]
    assert judged[f"{pool.name}-good"] == ""
    where = cluster.pods()[f"{pool.name}-good"]["spec"]["nodeName"]
    assert where in cluster.sim.nodes(pool.name)


@pytest.mark.parametrize("case", CASES)
def test_pain_2_without_a_part_of_the_contract_it_waits_and_says_why(
    cluster: Cluster, judged: dict[str, str], case: str
) -> None:
    pool = cluster.pools[case]
    assert "untolerated taint" in judged[f"{pool.name}-untolerated"]
    assert f"Insufficient {pool.resource}" in judged[f"{pool.name}-greedy"]
    assert "didn't match Pod's node affinity/selector" in judged[f"{pool.name}-mislabelled"]


@pytest.mark.parametrize("case", [c for c, (row, _) in CASES.items() if row.cloud is not Cloud.GCP])
def test_pain_3_without_its_device_plugin_a_node_offers_nothing(cluster: Cluster, judged: dict[str, str], case: str) -> None:
    pool = cluster.pools[case]
    assert f"Insufficient {pool.resource}" in judged[f"{pool.name}-unplugged"]


def test_a_node_carries_what_the_cloud_gives_never_what_the_program_hoped(cluster: Cluster) -> None:
    hoped = as_the_cloud_makes_it(cluster.pools[next(iter(CASES))])
    lied = replace(
        hoped, name="liar", labels={"node.kubernetes.io/instance-type": "p5.48xlarge", "accelfleet.io/pool": "liar"}, taints=()
    )
    cluster.sim.set_pool(lied)
    (name,) = cluster.sim.nodes("liar")
    node = cluster.sim.api.call("GET", f"/api/v1/nodes/{name}")
    assert node["metadata"]["labels"]["node.kubernetes.io/instance-type"] == hoped.machine_name
    assert hoped.resource not in node["status"]["allocatable"], "no plugin runs there"
    cluster.sim.remove_pool("liar")


def test_pain_07_a_pool_grows_from_zero_for_a_pod_that_would_fit(cluster: Cluster) -> None:
    row, _ = next((row, spot) for row, spot in CASES.values() if row.cloud is Cloud.GCP and row.accelerators == 1)
    pool = pool_of(row, name="fromzero", physical_name="fromzero")
    cluster.sim.set_pool(replace(as_the_cloud_makes_it(pool), min_nodes=0, max_nodes=2, size=0, autoscaled=True))
    assert cluster.sim.nodes("fromzero") == []
    cluster.create(pod("fromzero-pod", pool))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not is_ready(cluster.pods()["fromzero-pod"]):
        time.sleep(0.3)
    assert is_ready(cluster.pods()["fromzero-pod"])
    assert len(cluster.sim.nodes("fromzero")) == 1
    cluster.sim.remove_pool("fromzero")


@pytest.mark.parametrize("cloud", PUBLIC, ids=str)
def test_a_node_that_replaces_another_is_a_new_one_where_it_was_lost(cluster: Cluster, cloud: Cloud) -> None:
    pool = replace(as_the_cloud_makes_it(next(p for p in cluster.pools.values() if p.cloud is cloud)), name="again", labels={})
    pool = replace(pool, zones=(pool.zones[0], pool.zones[0][:-1] + "9"), max_nodes=4, size=4)
    cluster.sim.set_pool(pool)

    def standing() -> dict[str, dict[str, Any]]:
        mine, found = cluster.sim.nodes("again"), cluster.sim.api.call("GET", "/api/v1/nodes")["items"]
        return {n["metadata"]["name"]: n for n in found if n["metadata"]["name"] in mine}

    before = standing()
    assert sorted(map(pool.zone_of, before.values())) == sorted(pool.zones * 2)
    lost = next(name for name, node in before.items() if pool.zone_of(node) == pool.zones[1])
    cluster.sim.reclaim("again", 1, choose=lambda _names, _count: [lost])
    assert until(lambda: len(standing()) == 4, seconds=60)
    after = standing()
    (new,) = after.keys() - before.keys()
    assert after.keys() == before.keys() - {lost} | {new}
    assert pool.zone_of(after[new]) == pool.zones[1]
    assert after[new]["spec"]["providerID"] not in [node["spec"]["providerID"] for node in before.values()]

    # Its labels change; where it stands does not.
    cluster.sim.set_pool(replace(pool, labels={"new": "label"}))
    assert [n["metadata"]["labels"]["new"] for n in standing().values()] == ["label"] * 4
    assert sorted(map(pool.zone_of, standing().values())) == sorted(pool.zones * 2)
    cluster.sim.remove_pool("again")


def test_a_pod_that_was_bound_to_a_node_as_it_went_goes_too(cluster: Cluster) -> None:
    cluster.create(plugin("late", "any:1", "gone"))
    assert until(lambda: "late" not in cluster.pods(), seconds=20), "the garbage collector takes a minute"


def test_a_part_of_a_control_plane_that_does_not_come_up_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plane = ControlPlane("taken", tmp_path)
    real = processes.free_ports(6)
    with socket.create_server(("127.0.0.1", real[4])):
        monkeypatch.setattr(processes, "free_ports", lambda _count: real)
        with pytest.raises(RuntimeError, match=r"(?s)taken: scheduler ended with 1.*address already in use"):
            plane.start()
    assert plane.pids == {}


def test_a_control_plane_stops_whole_and_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("plane")
    plane = ControlPlane("again", directory)
    plane.start()
    pids, endpoint = plane.pids, plane.endpoint
    api = ClusterSim(plane, lambda _pool, _size: None)
    api.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": "kept"}})
    api.close()
    plane.stop()
    assert not [pid for pid in pids.values() if psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie"]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(endpoint.rsplit(":", 1)[1]))) != 0
    again = ControlPlane("again", directory)
    again.start()
    assert again.endpoint == endpoint
    assert '"name":"kept"' in again.get("/api/v1/namespaces/kept").replace(" ", "")
    again.stop()


def test_machines_of_another_make_are_other_machines(cluster: Cluster) -> None:
    pool = as_the_cloud_makes_it(replace(next(iter(cluster.pools.values())), name="rolled", physical_name="rolled"))
    cluster.sim.set_pool(replace(pool, size=2, max_nodes=2))
    before = cluster.sim.nodes("rolled")
    cluster.sim.set_pool(replace(pool, size=2, max_nodes=2, labels={**pool.labels, "team": "ads"}))
    assert cluster.sim.nodes("rolled") == before, "a label is put on what stands"
    cluster.sim.set_pool(replace(pool, size=2, max_nodes=2, disk_gib=pool.disk_gib + 100))
    after = cluster.sim.nodes("rolled")
    assert len(after) == 2
    assert not {*before} & {*after}
    nodes = [n for n in cluster.sim.api.call("GET", "/api/v1/nodes")["items"] if n["metadata"]["name"] in after]
    assert {n["status"]["capacity"]["ephemeral-storage"] for n in nodes} == {f"{pool.disk_gib + 100}Gi"}
