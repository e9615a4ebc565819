"""Pods that climb back: from a node of a later way to buy to an earlier one that has machines again, one node at a time.

Simulates what GKE's active migration and Karpenter's consolidation decide where they are switched on. A node's pods are
evicted, as far as their disruption budgets allow, and grow the earlier pool; in life the new node comes first.
https://cloud.google.com/kubernetes-engine/docs/concepts/about-custom-compute-classes#active-migration
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from sandbox.cluster import autoscaler, draining
from sandbox.cluster.api import Api, Object, is_daemon
from sandbox.cluster.pool import POOL, NodePool


def climb(
    api: Api,
    ranked: Sequence[NodePool],
    movable: Collection[str],
    has_room: Callable[[NodePool], bool],
    nodes: list[Object],
    pods: list[Object],
) -> None:
    """Close one node whose pods an earlier pool would take, and evict them; nothing while any pod waits.

    Args:
        ranked: pools, the one to grow first in front. movable: names of those whose nodes may be emptied.
        has_room: whether a pool could have a node more.
    """
    if not movable or any(autoscaler.is_waiting(pod) for pod in pods):
        return
    for place in range(len(ranked) - 1, 0, -1):
        if ranked[place].name not in movable:
            continue
        better = [pool for pool in ranked[:place] if has_room(pool)]
        for node in nodes:
            if (node["metadata"].get("annotations") or {}).get(POOL) != ranked[place].name:
                continue
            work = [p for p in pods if p["spec"].get("nodeName") == node["metadata"]["name"] and not is_daemon(p)]
            if work and any(all(autoscaler.fits(pod, pool, nodes) for pod in work) for pool in better):
                draining.cordon(api, node["metadata"]["name"])
                for pod in work:
                    draining.evict(api, pod)
                return
