"""Spot with a fallback, on a real scheduler: waves of reclaims, no machines left, and machines again (pain 6).

A new node comes here in seconds and in life in minutes: what these waves show is the order of things, not that a budget
narrower than the wave outlasts a notice of half a minute.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

import sandbox.cluster
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from fleet.contract import AcceleratorPool
from infra.kubernetes.cluster_autoscaler import priorities
from sandbox.cluster import ClusterSim, expander
from sandbox.cluster.api import is_ready
from sandbox.control_plane import ControlPlane
from tests import waiting
from tests.accelerator_pools import pool_of
from tests.sandbox.test_nodes import as_the_cloud_makes_it, plugin
from tests.watching import Budget, watching

until = partial(waiting.until, seconds=120)
pytestmark = pytest.mark.sandbox
# Seconds after which an idle node goes; ten minutes in life.
IDLE_S = 6.0
PODS = "/api/v1/namespaces/default/pods?labelSelector=app%3Dmodel"
# A tenth, a quarter and a half of eight nodes are one, two and four.
REPLICAS, UNAVAILABLE = 8, 2
# AKS drops the hyphen.
OD = {Cloud.AWS: "gpu-od", Cloud.GCP: "gpu-od", Cloud.AZURE: "gpuod"}
# What each cloud leaves a pod between the call and its end, seconds: see `fleet.catalog.nodes.spot_grace_s`.
NOTICE_S = {Cloud.AWS: 120, Cloud.GCP: 15, Cloud.AZURE: 30}
MACHINES = {Cloud.AWS: "g6.xlarge", Cloud.GCP: "g2-standard-4", Cloud.AZURE: "Standard_NC4as_T4_v3"}


def laddered(cloud: Cloud) -> AcceleratorPool:
    first = pool_of(machine(cloud, MACHINES[cloud]), name="gpu", physical_name="gpu", spot=True, max_nodes=2 * REPLICAS)
    second = replace(first, physical_name=OD[cloud], spot=False, min_nodes=0, start_nodes=0)
    return replace(first, fallback=second, start_nodes=REPLICAS)


class Fleet:
    """A cluster of one cloud with a pool and its fallback, an autoscaler, and a deployment of eight replicas with a budget."""

    def __init__(self, plane: ControlPlane, cloud: Cloud) -> None:
        self.sim = ClusterSim(plane, lambda _pool, _size: None)
        self.plane, self.api, self.cloud, self.pool = plane, self.sim.api, cloud, laddered(cloud)
        self.sim.expander = "priority" if cloud is Cloud.AZURE else None
        if table := priorities([self.pool]):
            self.post("/api/v1/namespaces/kube-system/configmaps", _expander(table))
        for rung in self.pool.rungs:
            size = rung.start_nodes
            made = as_the_cloud_makes_it(rung)
            self.sim.set_pool(replace(made, min_nodes=0, max_nodes=rung.max_nodes, size=size, autoscaled=True))
        if self.pool.needs_device_plugin:
            self.post("/apis/apps/v1/namespaces/default/daemonsets", device_plugin())
        if cloud is Cloud.AWS:
            self.sim.set_pool(_system(self.pool))
            self.post("/api/v1/namespaces/kube-system/pods", _cluster_autoscaler(self.sim.nodes("system")[0]))
        self.post("/apis/apps/v1/namespaces/default/deployments", _deployment(self.pool))
        self.post("/apis/policy/v1/namespaces/default/poddisruptionbudgets", _budget())
        assert until(lambda: self.ready() == REPLICAS), self.ready()

    def post(self, path: str, body: dict[str, Any]) -> None:
        self.api.call("POST", path, body)

    def pods(self) -> list[dict[str, Any]]:
        items = self.api.call("GET", "/api/v1/namespaces/default/pods", labelSelector="app=model")["items"]
        return [p for p in items if not p["metadata"].get("deletionTimestamp")]

    def ready(self) -> int:
        """Ready pods, without those that were bound to a node as it went."""
        standing = {node["metadata"]["name"] for node in self.api.call("GET", "/api/v1/nodes")["items"]}
        return sum(is_ready(p) and p["spec"]["nodeName"] in standing for p in self.pods())

    def on(self, rung: AcceleratorPool) -> int:
        nodes = set(self.sim.nodes(rung.physical_name))
        return sum(p["spec"].get("nodeName") in nodes for p in self.pods() if is_ready(p))

    def where(self) -> dict[str, Any]:
        """What stands where, for a failure's message."""
        return {
            "sizes": {p.name: p.size for p in self.sim.pools()},
            "nodes": {rung.physical_name: self.sim.nodes(rung.physical_name) for rung in self.pool.rungs},
            "pods": {p["metadata"]["name"]: (p["spec"].get("nodeName"), is_ready(p)) for p in self.pods()},
        }

    def restart(self) -> None:
        """A rollout, after which each pod is placed anew."""
        note = {"spec": {"template": {"metadata": {"annotations": {"again": str(time.time())}}}}}
        self.api.patch("/apis/apps/v1/namespaces/default/deployments/model", note)


def _expander(table: str) -> dict[str, Any]:
    return {"metadata": {"name": "cluster-autoscaler-priority-expander"}, "data": {"priorities": table}}


def _system(pool: AcceleratorPool) -> Any:
    made = as_the_cloud_makes_it(pool)
    return replace(made, name="system", machine_name="m5.xlarge", hardware=None, spot=False, labels={}, taints=())


def _cluster_autoscaler(node: str) -> dict[str, Any]:
    container = {"name": "a", "image": "cluster-autoscaler:1", "args": ["--expander=priority,least-waste"]}
    labels = {"app.kubernetes.io/name": "cluster-autoscaler"}
    return {"metadata": {"name": "autoscaler", "labels": labels}, "spec": {"nodeName": node, "containers": [container]}}


def device_plugin() -> dict[str, Any]:
    spec = plugin("p", "nvcr.io/nvidia/k8s-device-plugin:v0.17.4", "")["spec"]
    spec.pop("nodeName")
    labels = {"app": "plugin"}
    return {
        "metadata": {"name": "plugin"},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


def _deployment(pool: AcceleratorPool, replicas: int = REPLICAS) -> dict[str, Any]:
    placed = pool.placement(1)
    prefer = [
        {"weight": 100, "preference": {"matchExpressions": [{"key": k, "operator": "In", "values": [v]}]}}
        for labels in placed.prefer
        for k, v in labels.items()
    ]
    spec = {
        "nodeSelector": placed.node_selector,
        "tolerations": placed.tolerations,
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": prefer}},
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "c", "image": "model:1", "resources": {"limits": {placed.resource: "1"}}}],
    }
    return {
        "metadata": {"name": "model"},
        "spec": {
            "replicas": replicas,
            # The chart's own.
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "selector": {"matchLabels": {"app": "model"}},
            "template": {"metadata": {"labels": {"app": "model"}}, "spec": spec},
        },
    }


def _budget() -> dict[str, Any]:
    return {
        "metadata": {"name": "model"},
        "spec": {"maxUnavailable": UNAVAILABLE, "selector": {"matchLabels": {"app": "model"}}},
    }


@pytest.fixture(scope="module", params=list(MACHINES), ids=str)
def fleet(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    plane = ControlPlane(f"spot-{request.param}", tmp_path_factory.mktemp(f"spot-{request.param}"))
    plane.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sandbox.cluster, "_IDLE_S", IDLE_S)
            made = Fleet(plane, request.param)
            yield made
            made.sim.close()
    finally:
        plane.stop()


def identities(fleet: Fleet) -> dict[str, str]:
    """Name -> providerID of every node."""
    return {n["metadata"]["name"]: n["spec"]["providerID"] for n in fleet.api.call("GET", "/api/v1/nodes")["items"]}


def test_pain_06_new_pods_go_to_spot(fleet: Fleet) -> None:
    assert fleet.on(fleet.pool) == REPLICAS
    assert fleet.sim.nodes(OD[fleet.cloud]) == []


# Part of the spot nodes in percent, and whether there is notice; six waves and the whole pool on each of three clouds.
WAVES = [(10, True), (25, True), (50, True), (25, False), (50, True), (50, False)]


@pytest.mark.parametrize("turn", range(len(WAVES)))
def test_pain_06_what_a_wave_takes_comes_back_as_new_nodes(fleet: Fleet, turn: int) -> None:
    percent, notice = WAVES[turn]
    seed = f"{fleet.cloud} {turn}"
    assert until(lambda: len(fleet.sim.nodes("gpu")) == REPLICAS), (
        "one that the last wave left over goes, so that each has work"
    )
    before, budget = identities(fleet), Budget(REPLICAS)
    count = max(1, REPLICAS * percent // 100)
    with watching(fleet.plane, PODS, budget.see):
        taken = fleet.sim.reclaim("gpu", count, notice * NOTICE_S[fleet.cloud], random.Random(seed).sample)
        assert len(taken) == count
        assert until(lambda: fleet.ready() == REPLICAS), fleet.where()
    if notice:
        assert budget.fewest >= REPLICAS - UNAVAILABLE, "the disruption budget was broken"
    else:
        assert budget.fewest < REPLICAS, "without notice pods just vanish"
    assert fleet.on(fleet.pool) == REPLICAS, fleet.where()
    after = identities(fleet)
    assert not after.keys() & set(taken)
    new = after.keys() - before.keys()
    assert len(new) >= count
    assert not {after[name] for name in new} & set(before.values())


def test_pain_06_without_spot_everything_runs_on_the_fallback_and_returns(fleet: Fleet) -> None:
    notice = fleet.cloud is not Cloud.AWS
    second = OD[fleet.cloud]
    fleet.sim.exhaust("gpu", True)
    spot = fleet.sim.nodes("gpu")
    assert sorted(fleet.sim.reclaim("gpu", len(spot), notice * NOTICE_S[fleet.cloud])) == spot
    assert until(lambda: fleet.ready() == REPLICAS), fleet.where()
    assert fleet.on(fleet.pool.rungs[1]) == REPLICAS
    assert fleet.sim.nodes("gpu") == []

    # cluster-autoscaler moves no pod for money, and a rollout alone puts each pod where its predecessor was: on-demand
    # nodes are closed first, so that the rollout asks for spot.
    fleet.sim.exhaust("gpu", False)
    assert not until(lambda: fleet.on(fleet.pool) > 0, seconds=3)
    for name in fleet.sim.nodes(second):
        fleet.api.patch(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": True}})
    fleet.restart()
    assert until(lambda: fleet.on(fleet.pool) == REPLICAS), fleet.where()
    assert until(lambda: fleet.sim.nodes(second) == []), "idle on-demand nodes cost money"
    assert fleet.ready() == REPLICAS


def test_five_waves_do_not_make_it_oscillate(fleet: Fleet) -> None:
    changes: list[tuple[str, str]] = []

    def note(change: str, node: dict[str, Any]) -> None:
        if change != "MODIFIED":
            changes.append((change, node["metadata"]["name"]))

    with watching(fleet.plane, "/api/v1/nodes", note):
        for seed in range(5):
            fleet.sim.reclaim("gpu", 3, choose=random.Random(seed).sample)
            assert until(lambda: fleet.ready() == REPLICAS), fleet.where()

        def nodes() -> int:
            return sum(len(fleet.sim.nodes(rung.physical_name)) for rung in fleet.pool.rungs)

        assert until(lambda: nodes() == REPLICAS), "a node for each replica, and no idle one"
        settled = len(changes)
        time.sleep(2 * IDLE_S)
    assert changes[settled:] == [], "it moves with nothing to do"
    assert len(changes) == len(set(changes)), "a node went and came again"
    assert fleet.ready() == REPLICAS


def test_the_table_that_infra_writes_is_the_one_that_the_sandbox_reads(fleet: Fleet) -> None:
    table = priorities([fleet.pool])
    rungs = [replace(as_the_cloud_makes_it(rung), name=rung.physical_name) for rung in fleet.pool.rungs]
    order = [p.name for p in expander.ranked(fleet.api, rungs[::-1], [], fleet.sim.expander or "priority")]
    assert order == ["gpu", OD[fleet.cloud]]
    assert bool(table) == (fleet.cloud is not Cloud.GCP)
    if table:
        assert [min(map(int, json.loads(table))), max(map(int, json.loads(table)))] == [1, 20]
