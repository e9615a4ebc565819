"""From no node to N and back on each cloud and a real scheduler, within a pool's bounds and a quota (pain 7)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

import sandbox.cluster
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, machine
from fleet.contract import AcceleratorPool
from infra.kubernetes.cluster_autoscaler import priorities
from sandbox.cloud.errors import CloudError
from sandbox.cloud.server import _quota, _resize, _status
from sandbox.cloud.world import World
from sandbox.cluster.api import is_ready
from tests import waiting
from tests.accelerator_pools import pool_of
from tests.sandbox.test_nodes import PLUGIN_IMAGES, as_the_cloud_makes_it
from tests.sandbox.test_spot import MACHINES, OD, _cluster_autoscaler, _deployment, _expander, _system, device_plugin
from tests.watching import watching

until = partial(waiting.until, seconds=120)
pytestmark = pytest.mark.sandbox
IDLE_S, MOST = 3.0, 3
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/model"
# How each cloud says that the quota is spent, and what a pod that waits is told.
WORDS = {
    Cloud.AWS: ("VcpuLimitExceeded", "NotTriggerScaleUp"),
    Cloud.GCP: ('resource "NVIDIA_L4_GPUS"', "FailedScaleUp"),
    Cloud.AZURE: ("approved Standard NCASv3_T4 Family Cores quota", "NotTriggerScaleUp"),
}


class Cluster:
    """A cluster in an account of one cloud, with its autoscaler, its device plugin and one pool that stands at zero."""

    def __init__(self, world: World, cloud: Cloud) -> None:
        self.world, self.cloud = world, cloud
        world.clusters.start(cloud, "c")
        self.sim = world.clusters.sim(cloud, "c")
        self.api, self.plane = self.sim.api, self.sim.control_plane
        self.pool = self.stand_at_zero(
            pool_of(machine(cloud, MACHINES[cloud]), name="gpu", physical_name="gpu", max_nodes=MOST)
        )
        if self.pool.needs_device_plugin:
            self.api.call("POST", "/apis/apps/v1/namespaces/default/daemonsets", device_plugin())
        if cloud is Cloud.AWS:
            self.sim.set_pool(_system(self.pool))
            pod = _cluster_autoscaler(self.sim.nodes("system")[0])
            self.api.call("POST", "/api/v1/namespaces/kube-system/pods", pod)

    def stand_at_zero(self, pool: AcceleratorPool) -> AcceleratorPool:
        made = as_the_cloud_makes_it(pool)
        sizes = {"min_nodes": 0, "max_nodes": pool.max_nodes, "size": 0, "autoscaled": True}
        self.world.clusters.set_pool(self.cloud, "c", replace(made, **sizes))
        return pool

    def quota(self, hardware: Machine, nodes: int, spot: bool = False) -> None:
        """Let the account have so many of these machines."""
        unit = hardware.accelerators if self.cloud is Cloud.GCP else hardware.vcpus
        name = hardware.spot_quota if spot else hardware.quota
        _quota(self.world, {"cloud": self.cloud, "region": self.pool.region, "quota": name, "limit": nodes * unit})

    def scale(self, replicas: int) -> None:
        self.api.patch(DEPLOYMENT, {"spec": {"replicas": replicas}})

    def pods(self) -> list[dict[str, Any]]:
        return list(self.api.call("GET", "/api/v1/namespaces/default/pods", labelSelector="app=model")["items"])

    def ready(self) -> int:
        return sum(is_ready(pod) for pod in self.pods())

    def nodes(self) -> list[dict[str, Any]]:
        names = self.sim.nodes(self.pool.physical_name)
        return [node for node in self.api.call("GET", "/api/v1/nodes")["items"] if node["metadata"]["name"] in names]

    def events(self, namespace: str) -> list[tuple[str, str, str]]:
        """Name of what it is about, reason and message of what the autoscaler said."""
        found = self.api.call("GET", f"/api/v1/namespaces/{namespace}/events")["items"]
        said = [e for e in found if e["source"].get("component") == "cluster-autoscaler"]
        return [(e["involvedObject"]["name"], e["reason"], e["message"]) for e in said]

    def refused(self, pool: str) -> str:
        """What `fleet sandbox status` says of the pool."""
        (cluster,) = _status(self.world, {})["clusters"]
        return next(p["refused"] for p in cluster["pools"] if p["name"] == pool)


@pytest.fixture(scope="module", params=list(MACHINES), ids=str)
def cluster(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    world = World(tmp_path_factory.mktemp(f"zero-{request.param}"))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sandbox.cluster, "_IDLE_S", IDLE_S)
            made = Cluster(world, request.param)
            made.api.call("POST", "/apis/apps/v1/namespaces/default/deployments", _deployment(made.pool, 0))
            yield made
    finally:
        world.close()


def test_pain_07_pods_make_nodes_from_none_up_to_the_most_and_idle_ones_go(cluster: Cluster) -> None:
    standing: set[str] = set()
    most = [0]

    def count(change: str, node: dict[str, Any]) -> None:
        if node["metadata"]["labels"].get("accelfleet.io/pool") == "gpu":
            (standing.discard if change == "DELETED" else standing.add)(node["metadata"]["name"])
            most[0] = max(most[0], len(standing))

    assert cluster.nodes() == []
    with watching(cluster.plane, "/api/v1/nodes", count):
        cluster.scale(MOST + 2)
        assert until(lambda: cluster.ready() == MOST), cluster.pods()
        for node in cluster.nodes():
            assert (cluster.pool.node_labels | cluster.pool.cloud_labels).items() <= node["metadata"]["labels"].items()
            taints = {(t["key"], t.get("value", ""), t["effect"]) for t in node["spec"]["taints"]}
            assert {(t.key, t.value, t.effect) for t in cluster.pool.all_taints} <= taints
        cluster.scale(1)
        assert until(lambda: len(cluster.nodes()) == 1), "idle nodes cost money"
        cluster.scale(0)
        assert until(lambda: cluster.nodes() == []), "the last one too"
    assert most == [MOST]
    assert until(lambda: cluster.world.clusters.size(cluster.cloud, "c", "gpu") == 0), "it is written down a moment later"


def test_a_quota_holds_growth_in_the_clouds_words_until_it_is_raised(cluster: Cluster) -> None:
    words, reason = WORDS[cluster.cloud]
    cluster.quota(cluster.pool.machine, 1)
    cluster.scale(MOST)
    assert until(lambda: cluster.ready() == 1 and words in cluster.refused("gpu")), cluster.refused("gpu")
    waiting_pods = {pod["metadata"]["name"] for pod in cluster.pods() if not pod["spec"].get("nodeName")}
    assert len(waiting_pods) == MOST - 1
    assert until(lambda: {name for name, why, _ in cluster.events("default") if why == reason} >= waiting_pods)
    ((about, why, said),) = {event for event in cluster.events("kube-system") if words in event[2]}
    assert (about, why) == ("cluster-autoscaler-status", "FailedToScaleUpGroup")
    assert said.startswith("Scale-up failed for group ")
    assert len(cluster.nodes()) == 1
    with pytest.raises(CloudError, match=words):
        _resize(cluster.world, {"cloud": cluster.cloud, "cluster": "c", "pool": "gpu", "size": MOST})

    cluster.quota(cluster.pool.machine, MOST)
    assert until(lambda: cluster.ready() == MOST), cluster.pods()
    assert until(lambda: cluster.refused("gpu") == "")
    cluster.scale(0)
    assert until(lambda: cluster.nodes() == [])


def test_pain_06_what_a_quota_of_spot_refuses_the_fallback_takes(cluster: Cluster) -> None:
    steady = replace(cluster.pool, name="two", physical_name=OD[cluster.cloud])
    spot = replace(cluster.pool, name="two", physical_name="two", spot=True, fallback=steady)
    if table := priorities([spot]):
        cluster.api.call("POST", "/api/v1/namespaces/kube-system/configmaps", _expander(table))
        cluster.sim.expander = "priority" if cluster.cloud is Cloud.AZURE else None
    for rung in spot.rungs:
        cluster.stand_at_zero(rung)
    cluster.quota(spot.machine, 1, spot=True)
    body = _deployment(spot, MOST)
    body["metadata"]["name"] = "two"
    cluster.api.call("POST", "/apis/apps/v1/namespaces/default/deployments", body)
    assert until(lambda: cluster.ready() == MOST), cluster.pods()
    assert [len(cluster.sim.nodes(rung.physical_name)) for rung in spot.rungs] == [1, MOST - 1]
    cluster.api.call("DELETE", "/apis/apps/v1/namespaces/default/deployments/two", propagationPolicy="Background")
    assert until(lambda: not any(cluster.sim.nodes(rung.physical_name) for rung in spot.rungs))
    for rung in spot.rungs:
        cluster.world.clusters.remove_pool(cluster.cloud, "c", rung.physical_name)


@pytest.mark.parametrize("cluster", [Cloud.AWS], indirect=True, ids=str)
def test_pain_07_an_eks_pool_at_zero_grows_by_the_tags_of_its_group(cluster: Cluster) -> None:
    """EC2 counts NVIDIA's GPUs; that a node has Neuron devices only a tag says, and that there is a group at all."""
    neuron = pool_of(machine(Cloud.AWS, "inf2.xlarge"), name="neuron", physical_name="neuron")
    create = partial(cluster.world.create, "aws", urn="urn", config={"region": neuron.region}, defaults={})
    group = create(
        "aws:eks/nodeGroup:NodeGroup",
        inputs={
            "clusterName": "c",
            "nodeGroupName": "neuron",
            "instanceTypes": [neuron.machine.name],
            "amiType": "AL2023_x86_64_NEURON",
            "labels": neuron.node_labels,
            "taints": [{"key": t.key, "value": t.value, "effect": "NO_SCHEDULE"} for t in neuron.node_taints],
            "scalingConfig": {"minSize": 0, "maxSize": 1, "desiredSize": 0},
        },
    )
    asg = group.outputs["resources"][0]["autoscalingGroups"][0]["name"]
    plugin = device_plugin()
    plugin["metadata"]["name"] = "neuron"
    plugin["spec"]["template"]["spec"]["containers"][0]["image"] = PLUGIN_IMAGES[1]
    cluster.api.call("POST", "/apis/apps/v1/namespaces/default/daemonsets", plugin)
    body = _deployment(neuron, 1)
    body["metadata"]["name"] = "neuron"
    cluster.api.call("POST", "/apis/apps/v1/namespaces/default/deployments", body)
    tags = neuron.autoscaler_tags("c")
    found = "k8s.io/cluster-autoscaler/enabled"
    counted = f"k8s.io/cluster-autoscaler/node-template/resources/{neuron.resource}"

    def tag(key: str) -> None:
        create("aws:autoscaling/tag:Tag", inputs={"autoscalingGroupName": asg, "tag": {"key": key, "value": tags[key]}})

    def grows(seconds: float) -> bool:
        return waiting.until(lambda: cluster.sim.nodes("neuron") != [], seconds)

    for key in tags.keys() - {found}:
        tag(key)
    assert not grows(seconds=4), "nobody found the group"
    cluster.world.delete("aws", "aws:autoscaling/tag:Tag", f"{asg},{counted}")
    tag(found)
    assert not grows(seconds=4), "nobody knew of the devices"
    tag(counted)
    assert grows(seconds=120)
    assert until(lambda: cluster.ready() == 1), cluster.pods()
