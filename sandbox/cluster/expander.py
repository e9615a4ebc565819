"""Which pool grows when several could: what cluster-autoscaler calls an expander.

On EKS and AKS the priority expander's own table decides, where it is switched on, and on AKS the weights of NodePools where it
provisions nodes; on GKE the pools' ComputeClass, and
outside of one the cheapest pool, which is spot before on-demand. Without either, any order may come about in life; here
it is that of creation.
https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/expander/priority/readme.md
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import yaml

from fleet.catalog.clouds import Cloud
from sandbox.cluster import compute_class, node_provisioning
from sandbox.cluster.api import Api, ApiError, Object
from sandbox.cluster.pool import NodePool

_TABLE = "/api/v1/namespaces/kube-system/configmaps/cluster-autoscaler-priority-expander"
# A node group's name in its cloud, as the table's patterns see it.
_GROUP = {
    Cloud.AWS: "eks-{}-0b5d9a1e-6c1f-4d52-9d3a-0f2b7c8e1a44",
    Cloud.GCP: "gke-{}-12345678-grp",
    Cloud.AZURE: "aks-{}-12345678-vmss",
}


def ranked(api: Api, pools: Iterable[NodePool], pods: list[Object], managed: str | None) -> list[NodePool]:
    """The pools, the one to grow first in front.

    Args:
        managed: the expander that a cloud's own autoscaler is told to use (AKS's `autoScalerProfile.expander`), or `WEIGHTS`.
    """
    pools = list(pools)
    if not pools:
        return pools
    if pools[0].cloud is Cloud.GCP:
        return _by_compute_class(api, pools)
    if managed == node_provisioning.WEIGHTS:
        weights = node_provisioning.weights(api)
        return sorted(pools, key=lambda pool: -weights.get(pool.name, 0))
    if not (managed == "priority" or _asks_for_priority(pods)):
        return pools
    table = _table(api)
    return sorted(pools, key=lambda pool: -_priority(table, group(pool)))


def group(pool: NodePool) -> str:
    """The pool's node group, as its cloud calls it."""
    return _GROUP[pool.cloud].format(pool.name)


def _by_compute_class(api: Api, pools: list[NodePool]) -> list[NodePool]:
    """In the order of their ComputeClass, the cheapest first outside of one; what names a class that is not there stays."""
    rank = compute_class.order(api)
    growing = [pool for pool in pools if compute_class.LABEL not in pool.labels or pool.name in rank]
    return sorted(growing, key=lambda pool: rank.get(pool.name, int(not pool.spot)))


def _asks_for_priority(pods: list[Object]) -> bool:
    """Whether the cluster's own autoscaler runs with the priority expander."""
    arguments = (
        argument
        for pod in pods
        if pod["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "cluster-autoscaler"
        for container in pod["spec"].get("containers") or []
        for argument in container.get("args") or []
    )
    return any(re.match(r"--expander=(.*,)?priority(,|$)", argument) for argument in arguments)


def _table(api: Api) -> dict[int, list[str]]:
    try:
        found = api.call("GET", _TABLE)
        read = yaml.safe_load((found.get("data") or {}).get("priorities") or "") or {}
    except (ApiError, yaml.YAMLError):
        return {}
    return {int(priority): list(patterns) for priority, patterns in read.items()}


def _priority(table: dict[int, list[str]], group: str) -> int:
    return max((p for p, patterns in table.items() if any(re.match(pattern, group) for pattern in patterns)), default=0)
