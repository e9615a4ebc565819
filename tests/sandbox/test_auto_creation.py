"""GKE makes a pool's nodes by itself, on a real scheduler: for pods that ask for its class, rung by rung, up to its bound."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

import sandbox.cluster
from fleet.catalog.clouds import Cloud
from fleet.contract import AcceleratorPool
from fleet.plan import pools
from fleet.spec import ClusterSpec
from infra.clouds.gcp.provisioning import limits
from infra.kubernetes.compute_class import order
from sandbox.cluster import ClusterSim, compute_class
from sandbox.cluster.api import ApiError, is_ready
from sandbox.control_plane import ControlPlane
from tests import waiting
from tests.sandbox.test_spot import _deployment

until = partial(waiting.until, seconds=120)
pytestmark = pytest.mark.sandbox
MOST = 3
SPOT, ON_DEMAND = "nap-l4-0", "nap-l4-1"


def planned() -> AcceleratorPool:
    pool = {"accelerator": "nvidia-l4", "per_node": 1, "nodes": {"max": MOST}, "purchase": "spot", "fallback": "on-demand"}
    pool["climb"] = True
    raw = {"cloud": "gcp", "region": "us-central1", "provisioning": "auto", "pools": {"l4": pool}}
    return pools("s", "main", ClusterSpec.model_validate(raw))["l4"]


@pytest.fixture
def sim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ClusterSim]:
    monkeypatch.setattr(sandbox.cluster, "_IDLE_S", 10.0)
    plane = ControlPlane(f"auto-{Cloud.GCP}", tmp_path)
    plane.start()
    sim, pool = ClusterSim(plane, lambda _pool, _size: None), planned()
    try:
        compute_class.install(sim.api)
        sim.limits = limits([pool], "e2-standard-4", 1)
        # Served a moment after it is defined.
        assert until(lambda: _classed(sim, pool))
        yield sim
    finally:
        sim.close()
        plane.stop()


def _classed(sim: ClusterSim, pool: AcceleratorPool) -> bool:
    spec = order(pool) | {"nodePoolConfig": {"serviceAccount": "nodes@example.iam.gserviceaccount.com"}}
    about = {"apiVersion": "cloud.google.com/v1", "kind": "ComputeClass", "metadata": {"name": pool.compute_class}}
    try:
        sim.api.call("POST", "/apis/cloud.google.com/v1/computeclasses?fieldValidation=Strict", about | {"spec": spec})
    except ApiError as refused:
        assert refused.status == 404, refused
        return False
    return True


def ready(sim: ClusterSim) -> int:
    found = sim.api.call("GET", "/api/v1/namespaces/default/pods", labelSelector="app=model")["items"]
    return sum(is_ready(pod) and not pod["metadata"].get("deletionTimestamp") for pod in found)


def sizes(sim: ClusterSim) -> dict[str, int]:
    return {pool.name: pool.size for pool in sim.pools()}


def test_pain_13_nodes_come_for_the_class_on_its_rungs_and_no_more_than_the_pool_may_have(sim: ClusterSim) -> None:
    pool = planned()
    assert until(lambda: sizes(sim) == {SPOT: 0, ON_DEMAND: 0}), sizes(sim)
    sim.api.call("POST", "/apis/apps/v1/namespaces/default/deployments", _deployment(pool, MOST + 1))
    assert until(lambda: ready(sim) == MOST), sizes(sim)
    assert sizes(sim) == {SPOT: MOST, ON_DEMAND: 0}
    (node, *_) = (sim.api.call("GET", f"/api/v1/nodes/{name}") for name in sim.nodes(SPOT))
    assert pool.node_labels.items() <= node["metadata"]["labels"].items()
    sim.exhaust(SPOT, exhausted=True)
    sim.reclaim(SPOT, MOST)
    assert until(lambda: (sizes(sim), ready(sim)) == ({SPOT: 0, ON_DEMAND: MOST}, MOST)), sizes(sim)
    # Spot is back: with `climb` GKE moves the pods there by itself, where the limit has room for a node more.
    sim.api.patch("/apis/apps/v1/namespaces/default/deployments/model", {"spec": {"replicas": MOST - 1}})
    sim.exhaust(SPOT, exhausted=False)
    assert until(lambda: (sizes(sim), ready(sim)) == ({SPOT: MOST - 1, ON_DEMAND: 0}, MOST - 1)), sizes(sim)
