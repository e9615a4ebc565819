"""Cluster autoscaling as the clouds do it: pools grow for pods that would fit their template, and shrink when idle.

Simulates the decision, not the product; Karpenter and cluster-autoscaler decide in finer ways. On EKS nothing happens
without a running cluster-autoscaler, as in life (modelplane#166).
"""

from __future__ import annotations

import time
from decimal import Decimal

from fleet.catalog.clouds import Cloud
from sandbox.cluster import claims
from sandbox.cluster.api import Object, is_daemon, is_ready
from sandbox.cluster.pool import FOUND_BY, POOL, NodePool

_UNITS = {unit: Decimal(2) ** power for unit, power in (("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40))} | {
    unit: Decimal(10) ** power for unit, power in (("m", -3), ("k", 3), ("M", 6), ("G", 9))
}


def quantity(text: str) -> Decimal:
    """A Kubernetes quantity (`500m`, `16Gi`) as a number."""
    for unit, factor in _UNITS.items():
        if text.endswith(unit):
            return Decimal(text.removesuffix(unit)) * factor
    return Decimal(text)


def acts(pool: NodePool, pods: list[Object]) -> bool:
    """Whether anything scales this pool: on EKS cluster-autoscaler, if it runs and the group's tags let it be found."""
    if not pool.autoscaled:
        return False
    if pool.cloud is not Cloud.AWS:
        return True
    return FOUND_BY in pool.group_tags and any(
        is_ready(p) and p["metadata"].get("labels", {}).get("app.kubernetes.io/name") == "cluster-autoscaler" for p in pods
    )


def requests(pod: Object) -> dict[str, Decimal]:
    """What a pod asks of a node, summed over its containers, and what it claims."""
    total: dict[str, Decimal] = {"pods": Decimal(1)}
    total |= {key: Decimal(amount) for key, amount in (pod.get("claimed") or {}).items()}
    for container in pod["spec"].get("containers") or []:
        resources = container.get("resources") or {}
        for key, amount in {**(resources.get("limits") or {}), **(resources.get("requests") or {})}.items():
            total[key] = total.get(key, Decimal(0)) + quantity(amount)
    return total


def room(pool: NodePool, nodes: list[Object] | None = None) -> dict[str, Decimal]:
    """What an empty node of the pool offers, as far as the autoscaler knows.

    Args:
        nodes: the cluster's; of a pool that has one there cluster-autoscaler on EKS knows all, of another what it is told.
    """
    told = nodes is not None and pool.cloud is Cloud.AWS and not _names(pool, nodes)
    accelerators = pool.told() if told else pool.accelerators()
    claimable = {key: Decimal(amount) for key, amount in claims.offered(pool, nodes or []).items()}
    return {key: quantity(amount) for key, amount in {**pool.capacity(), **accelerators}.items()} | claimable


def fits(pod: Object, pool: NodePool, nodes: list[Object] | None = None) -> bool:
    """Whether the pod could run on an empty node of the pool; `nodes` as for `room`."""
    labels = pool.all_labels(pool.zones[0], "template")
    if any(labels.get(k) != v for k, v in (pod["spec"].get("nodeSelector") or {}).items()):
        return False
    if not _affinity(pod, labels):
        return False
    tolerations = pod["spec"].get("tolerations") or []
    if any(not any(_tolerates(t, taint) for t in tolerations) for taint in pool.all_taints()):
        return False
    offered = room(pool, nodes)
    return all(amount <= offered.get(key, Decimal(0)) for key, amount in requests(pod).items())


def _tolerates(toleration: Object, taint: dict[str, str]) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    return toleration.get("key") == taint["key"] and toleration.get("value", "") == taint["value"]


def _affinity(pod: Object, labels: dict[str, str]) -> bool:
    required = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if not required:
        return True

    def matches(term: Object) -> bool:
        for need in term.get("matchExpressions") or []:
            value, operator, values = labels.get(need["key"]), need["operator"], need.get("values") or []
            good = {
                "In": value in values,
                "NotIn": value not in values,
                "Exists": value is not None,
                "DoesNotExist": value is None,
            }.get(operator, True)
            if not good:
                return False
        return True

    return any(matches(term) for term in required.get("nodeSelectorTerms") or [])


def waiting(pool: NodePool, nodes: list[Object], pods: list[Object], served: set[str]) -> list[Object]:
    """Pending pods that a node of the pool would take, and that no pool grows for."""
    return [p for p in pods if is_waiting(p) and p["metadata"]["uid"] not in served and fits(p, pool, nodes)]


def growth(pool: NodePool, nodes: list[Object], pods: list[Object], served: set[str]) -> int:
    """Nodes to add now: enough for the pending pods, less the empty nodes that are still on their way to take them.

    Args:
        served: uids of the pods that another pool grows for; gets those that this one grows for.
    """
    empty = room(pool, nodes)
    # Up to the pool's size all nodes are there or ordered, replacements of reclaimed ones too.
    coming = max(0, pool.size - len(_busy(pods) & set(_names(pool, nodes))))
    most = coming + max(0, pool.max_nodes - pool.size)
    needed, left = 0, dict[str, Decimal]()
    for pod in waiting(pool, nodes, pods, served):
        wants = requests(pod)
        if not left or any(amount > left.get(key, Decimal(0)) for key, amount in wants.items()):
            if needed == most:
                break
            needed, left = needed + 1, dict(empty)
        left = {key: amount - wants.get(key, Decimal(0)) for key, amount in left.items()}
        served.add(pod["metadata"]["uid"])
    return max(0, needed - coming)


def _names(pool: NodePool, nodes: list[Object]) -> list[str]:
    return [n["metadata"]["name"] for n in nodes if (n["metadata"].get("annotations") or {}).get(POOL) == pool.name]


def _busy(pods: list[Object]) -> set[str]:
    """Nodes with work on them; daemons are none."""
    return {
        p["spec"].get("nodeName", "") for p in pods if not is_daemon(p) and p["status"].get("phase") in ("Pending", "Running")
    }


def is_waiting(pod: Object) -> bool:
    """Whether the scheduler found no node for it."""
    if pod["spec"].get("nodeName") or pod["metadata"].get("deletionTimestamp"):
        return False
    return any(
        c["type"] == "PodScheduled" and c.get("reason") == "Unschedulable" for c in pod["status"].get("conditions") or []
    )


def idle(pool: NodePool, nodes: list[Object], pods: list[Object], since: dict[str, float], after_s: float) -> list[str]:
    """Names of nodes to give back: without work for `after_s` seconds, never below the pool's minimum.

    Args:
        since: node -> when it was first seen idle; kept up to date here.
    """
    busy, mine = _busy(pods), _names(pool, nodes)
    now = time.monotonic()
    for name in mine:
        if name in busy:
            since.pop(name, None)
        else:
            since.setdefault(name, now)
    spare = max(0, len(mine) - pool.min_nodes)
    return [name for name in reversed(mine) if name in since and now - since[name] >= after_s][:spare]
