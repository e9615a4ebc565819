"""Which node a cloud empties so that its pods climb back: decided on objects alone, no API server behind them."""

from __future__ import annotations

from typing import Any, cast

import pytest

from fleet.plan import pools
from fleet.spec import ClusterSpec
from infra.kubernetes.compute_class import order
from sandbox.cluster import auto_creation
from sandbox.cluster.api import Api
from sandbox.cluster.climbing import climb
from sandbox.cluster.pool import NodePool

SPOT, ON_DEMAND = "nap-l4-0", "nap-l4-1"


class Calls:
    """An API that has one ComputeClass, and notes what it is asked to change."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec, self.made = spec, list[str]()

    def items(self, _path: str) -> list[dict[str, Any]]:
        return [{"metadata": {"name": "l4"}, "spec": self._spec}]

    def patch(self, path: str, _body: dict[str, Any]) -> None:
        self.made.append(f"close {path.rpartition('/')[2]}")

    def call(self, _method: str, path: str, *_: Any) -> dict[str, Any]:
        self.made.append(f"evict {path.split('/')[-2]}")
        return {}


@pytest.fixture
def planned() -> tuple[Calls, list[NodePool], list[dict[str, Any]], list[dict[str, Any]]]:
    """The pools that GKE makes of a class with `climb`, an on-demand node, and a model's pod there."""
    rungs = {"accelerator": "nvidia-l4", "purchase": "spot", "fallback": "on-demand", "climb": True, "nodes": {"max": 2}}
    raw = {"cloud": "gcp", "region": "us-central1", "provisioning": "auto", "pools": {"l4": rungs}}
    pool = pools("s", "main", ClusterSpec.model_validate(raw))["l4"]
    api = Calls(order(pool))
    ranked = [made.at(1) for made in auto_creation.pools(cast(Api, api))]
    assert [made.name for made in ranked] == [SPOT, ON_DEMAND]
    node = ranked[1].node("us-central1-a", "dear")
    placed = pool.placement(1)
    spec = {
        "nodeName": "dear",
        "nodeSelector": placed.node_selector,
        "tolerations": placed.tolerations,
        "containers": [{"resources": {"limits": {str(placed.resource): "1"}}}],
    }
    pod = {"metadata": {"name": "chat", "namespace": "models"}, "spec": spec, "status": {"phase": "Running"}}
    return api, ranked, [node], [pod]


def test_a_node_whose_pods_spot_would_take_is_closed_and_emptied(planned: Any) -> None:
    api, ranked, nodes, pods = planned
    climb(api, ranked, {SPOT, ON_DEMAND}, lambda _pool: True, nodes, pods)
    assert api.made == ["close dear", "evict chat"]


@pytest.mark.parametrize("why", ["nobody asked", "no machines", "a pod waits", "on spot already"])
def test_else_nothing_moves(planned: Any, why: str) -> None:
    api, ranked, nodes, pods = planned
    waits = {"conditions": [{"type": "PodScheduled", "reason": "Unschedulable"}]}
    if why == "a pod waits":
        pods = [*pods, {"metadata": {"name": "next", "namespace": "models"}, "spec": {}, "status": waits}]
    if why == "on spot already":
        nodes = [ranked[0].node("us-central1-a", "dear")]
    movable = set() if why == "nobody asked" else {SPOT, ON_DEMAND}
    climb(api, ranked, movable, lambda _pool: why != "no machines", nodes, pods)
    assert api.made == []
