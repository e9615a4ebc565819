"""A ladder on a real scheduler: the reservation fills first, spot next, and on-demand when spot is out of machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fleet.catalog.clouds import Cloud
from fleet.contract import AcceleratorPool
from fleet.plan import pools
from fleet.spec import ClusterSpec
from infra.kubernetes import compute_class as ours
from infra.kubernetes.cluster_autoscaler import priorities
from sandbox.cluster import ClusterSim, compute_class
from sandbox.cluster.api import ApiError, is_ready
from sandbox.control_plane import ControlPlane
from tests import waiting
from tests.sandbox.test_nodes import as_the_cloud_makes_it
from tests.sandbox.test_spot import _cluster_autoscaler, _deployment, _expander, _system, device_plugin

until = partial(waiting.until, seconds=120)
pytestmark = pytest.mark.sandbox
# Six replicas with an accelerator each; the reservation has two nodes of one.
REPLICAS, RESERVED = 6, 2
CLUSTERS: dict[Cloud, dict[str, Any]] = {
    Cloud.AWS: {"region": "us-east-1", "accelerator": "nvidia-l4", "reservation": "cr-0123456789abcdef0", "zone": "us-east-1a"},
    Cloud.GCP: {"region": "us-central1", "accelerator": "nvidia-l4", "reservation": "l4s", "zone": "us-central1-a"},
    Cloud.AZURE: {"region": "eastus", "accelerator": "nvidia-t4", "reservation": "/subscriptions/s", "zone": "1"},
}


def ladder(cloud: Cloud) -> AcceleratorPool:
    about = CLUSTERS[cloud]
    reserved = {"purchase": "reservation", "nodes": RESERVED, **{k: about[k] for k in ("reservation", "zone")}}
    rungs = [reserved, {"purchase": "spot"}, {"purchase": "on-demand"}]
    pool = {"accelerator": about["accelerator"], "per_node": 1, "nodes": {"max": REPLICAS}, "capacity": rungs}
    spec = ClusterSpec.model_validate({"cloud": cloud, "region": about["region"], "pools": {"gpu": pool}})
    return pools("s", "main", spec, pool_name=lambda name: name.replace("-", "") if cloud is Cloud.AZURE else name)["gpu"]


@pytest.fixture(params=list(CLUSTERS), ids=str)
def climber(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[ClusterSim, AcceleratorPool]]:
    """A cluster with the ladder at nothing, told in which order to grow."""
    cloud: Cloud = request.param
    plane = ControlPlane(f"ladder-{cloud}", tmp_path)
    plane.start()
    sim, pool = ClusterSim(plane, lambda _pool, _size: None), ladder(cloud)
    try:
        if cloud is Cloud.GCP:
            compute_class.install(sim.api)
            # Served a moment after it is defined.
            assert until(lambda: ranked(sim, pool))
        else:
            sim.api.call("POST", "/api/v1/namespaces/kube-system/configmaps", _expander(priorities([pool])))
            sim.expander = "priority" if cloud is Cloud.AZURE else None
        for rung in pool.rungs:
            sim.set_pool(replace(as_the_cloud_makes_it(rung), min_nodes=0, max_nodes=rung.max_nodes, size=0, autoscaled=True))
        if pool.needs_device_plugin:
            sim.api.call("POST", "/apis/apps/v1/namespaces/default/daemonsets", device_plugin())
        if cloud is Cloud.AWS:
            sim.set_pool(_system(pool))
            pod = _cluster_autoscaler(sim.nodes("system")[0])
            sim.api.call("POST", "/api/v1/namespaces/kube-system/pods", pod)
        yield sim, pool
    finally:
        sim.close()
        plane.stop()


def ranked(sim: ClusterSim, pool: AcceleratorPool) -> bool:
    body = {
        "apiVersion": "cloud.google.com/v1",
        "kind": "ComputeClass",
        "metadata": {"name": pool.compute_class},
        "spec": ours.order(pool),
    }
    try:
        sim.api.call("POST", "/apis/cloud.google.com/v1/computeclasses", body)
    except ApiError as refused:
        assert refused.status == 404, refused
        return False
    return True


def where(sim: ClusterSim, pool: AcceleratorPool) -> list[int]:
    """Ready replicas on each rung."""
    found = sim.api.call("GET", "/api/v1/namespaces/default/pods", labelSelector="app=model")["items"]
    ready = [p["spec"].get("nodeName") for p in found if is_ready(p) and not p["metadata"].get("deletionTimestamp")]
    nodes = [sim.nodes(rung.physical_name) for rung in pool.rungs]
    return [sum(node in mine for node in ready) for mine in nodes]


def test_pain_05_rungs_fill_in_their_order_and_the_next_stands_in(climber: tuple[ClusterSim, AcceleratorPool]) -> None:
    sim, pool = climber
    sim.api.call("POST", "/apis/apps/v1/namespaces/default/deployments", _deployment(pool, REPLICAS))
    assert until(lambda: where(sim, pool) == [RESERVED, REPLICAS - RESERVED, 0]), where(sim, pool)
    spot = pool.rungs[1].physical_name
    sim.exhaust(spot, exhausted=True)
    sim.reclaim(spot, REPLICAS)
    assert until(lambda: where(sim, pool) == [RESERVED, 0, REPLICAS - RESERVED]), where(sim, pool)


@pytest.mark.parametrize("climber", [Cloud.GCP], indirect=True, ids=str)
def test_gke_grows_nothing_for_a_class_that_is_not_there(climber: tuple[ClusterSim, AcceleratorPool]) -> None:
    sim, pool = climber
    sim.api.call("DELETE", f"/apis/cloud.google.com/v1/computeclasses/{pool.compute_class}")
    assert until(lambda: compute_class.order(sim.api) == {})
    sim.api.call("POST", "/apis/apps/v1/namespaces/default/deployments", _deployment(pool, REPLICAS))
    assert not waiting.until(lambda: any(where(sim, pool)), seconds=6)
    assert [p.size for p in sim.pools()] == [0, 0, 0]
