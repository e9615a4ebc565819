"""AKS makes nodes by itself, on a real scheduler: from NodePools of the contract, the heaviest first, up to their limits."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

import sandbox.cluster
from fleet import naming
from fleet.catalog.clouds import Cloud
from fleet.contract import AcceleratorPool
from fleet.plan import pools
from fleet.spec import ClusterSpec
from infra.kubernetes import node_pool
from infra.kubernetes.aks_provisioning import specs
from sandbox.cluster import ClusterSim, node_provisioning
from sandbox.cluster.api import ApiError, is_ready
from sandbox.control_plane import ControlPlane
from tests import waiting
from tests.sandbox.test_spot import _deployment, device_plugin

until = partial(waiting.until, seconds=120)
pytestmark = pytest.mark.sandbox
MOST = 3
SUBNET = "/subscriptions/0/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v/subnets/nodes-1"
CLASSES = "/apis/karpenter.azure.com/v1beta1/aksnodeclasses"


def planned() -> AcceleratorPool:
    pool = {"accelerator": "nvidia-t4", "nodes": {"max": MOST}, "purchase": "spot", "fallback": "on-demand"}
    raw = {"cloud": "azure", "region": "eastus", "provisioning": "auto", "pools": {"t4": pool}}
    return pools("s", "main", ClusterSpec.model_validate(raw), pool_name=naming.aks_pool)["t4"]


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterSim]:
    plane = ControlPlane(f"auto-{Cloud.AZURE}", tmp_path_factory.mktemp("auto"))
    plane.start()
    sim = ClusterSim(plane, lambda _pool, _size: None)
    try:
        with pytest.MonkeyPatch.context() as patch:
            # Longer than a busy machine needs for a device plugin on a new node, or that node would go as an idle one.
            patch.setattr(sandbox.cluster, "_IDLE_S", 10.0)
            node_provisioning.install(sim.api)
            sim.expander = node_provisioning.WEIGHTS
            yield sim
    finally:
        sim.close()
        plane.stop()


def post(sim: ClusterSim, path: str, api: str, kind: str, name: str, spec: dict[str, Any]) -> None:
    """Served a moment after it is defined; what its definition lacks is refused."""
    body = {"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}

    def made() -> bool:
        try:
            sim.api.call("POST", f"{path}?fieldValidation=Strict", body)
        except ApiError as refused:
            assert refused.status == 404, refused
            return False
        return True

    assert until(made)


def ready(sim: ClusterSim) -> int:
    found = sim.api.call("GET", "/api/v1/namespaces/default/pods", labelSelector="app=model")["items"]
    return sum(is_ready(pod) and not pod["metadata"].get("deletionTimestamp") for pod in found)


def sizes(sim: ClusterSim) -> dict[str, int]:
    return {pool.name: pool.size for pool in sim.pools()}


def test_pain_06_nodes_come_by_weight_within_limits_fall_back_and_go(sim: ClusterSim) -> None:
    pool = planned()
    # The lightest is made first: it is the weights that count.
    for depth, rung in reversed(list(enumerate(pool.rungs))):
        how, what = specs(rung, node_pool.weight(pool, depth), SUBNET, {"owner": "ml"})
        post(sim, CLASSES, "karpenter.azure.com/v1beta1", "AKSNodeClass", rung.physical_name, how)
        post(sim, "/apis/karpenter.sh/v1/nodepools", "karpenter.sh/v1", "NodePool", rung.physical_name, what)
    assert until(lambda: sizes(sim) == {"t4": 0, "t4od": 0}), sizes(sim)
    sim.api.call("POST", "/apis/apps/v1/namespaces/default/daemonsets", device_plugin())
    sim.api.call("POST", "/apis/apps/v1/namespaces/default/deployments", _deployment(pool, MOST + 1))

    # All of the spot that its limit lets be, and on-demand for the pod that it has no room for.
    assert until(lambda: (ready(sim), sizes(sim)) == (MOST + 1, {"t4": MOST, "t4od": 1})), (ready(sim), sizes(sim))
    (node, *_) = (sim.api.call("GET", f"/api/v1/nodes/{name}") for name in sim.nodes("t4"))
    assert {**pool.node_labels, **pool.cloud_labels}.items() <= node["metadata"]["labels"].items()
    assert "agentpool" not in node["metadata"]["labels"]
    assert {taint["key"] for taint in node["spec"]["taints"]} >= {taint.key for taint in pool.all_taints}

    # The bound holds: of four pods that want a node, three find one when there is no spot.
    sim.exhaust("t4", exhausted=True)
    sim.reclaim("t4", MOST)
    assert until(lambda: (ready(sim), sizes(sim)) == (MOST, {"t4": 0, "t4od": MOST})), (ready(sim), sizes(sim))

    sim.exhaust("t4", exhausted=False)
    # Spot is back, and so is the pod that waited.
    assert until(lambda: (ready(sim), sizes(sim)) == (MOST + 1, {"t4": 1, "t4od": MOST})), (ready(sim), sizes(sim))
    sim.api.call("DELETE", "/apis/apps/v1/namespaces/default/deployments/model?propagationPolicy=Background")
    assert until(lambda: sizes(sim) == {"t4": 0, "t4od": 0}), "idle nodes go"


def test_a_class_that_azure_does_not_know_is_refused_by_the_api(sim: ClusterSim) -> None:
    (rung, *_) = planned().rungs
    how, _ = specs(rung, 10, SUBNET, {})
    with pytest.raises(AssertionError, match=r"osDiskSizeGB|unknown field"):
        post(sim, CLASSES, "karpenter.azure.com/v1beta1", "AKSNodeClass", "wrong", {**how, "osDiskSizeGB": 4096})
    with pytest.raises(AssertionError, match="unknown field"):
        post(sim, CLASSES, "karpenter.azure.com/v1beta1", "AKSNodeClass", "wrong", {**how, "proximityPlacementGroup": "x"})
