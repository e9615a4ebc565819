"""Facts about who makes the nodes of a cluster's pools: what a provisioner can do, and where there is one.

Karpenter makes a node for pods that wait and takes it once it is empty: it holds none ready (static capacity is alpha,
https://karpenter.sh/docs/concepts/nodepools/), counts a GPU once however often it is shared (aws/karpenter#729), though it
knows Neuron's cores, and leaves pods alone that claim devices (`ignoreDRARequests`,
https://karpenter.sh/docs/reference/settings/).
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.clouds import Cloud
from fleet.checks.finding import Finding, Path
from fleet.spec import Allocation, ClusterSpec, PoolSpec, Provisioning

# Clouds whose provisioner this repository drives.
_AUTO = (Cloud.AWS,)
_BACK = "set provisioning: groups"


def check(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of `provisioning`, and of pools that only a group of nodes can be."""
    if cluster.provisioning is not Provisioning.AUTO:
        return
    where = (*path, "provisioning")
    if cluster.cloud not in _AUTO:
        message = f"auto is Karpenter, which runs on EKS here; node auto-provisioning of {cluster.cloud} is not driven yet"
        yield Finding(where, message, "'auto'", "groups", "leave it out", needs=(where, (*path, "cloud")))
        return
    for name, pool in cluster.pools.items():
        yield from _pool((*path, "pools", name), pool, where)


def _pool(path: Path, pool: PoolSpec, auto: Path) -> Iterator[Finding]:
    for bound in ("min", "start"):
        if asked := getattr(pool.nodes, bound):
            at = (*path, "nodes", bound)
            message = "Karpenter makes nodes for pods that wait, and holds none ready"
            remedy = f"leave it out: a model's replicas.min keeps its nodes; or {_BACK}"
            yield Finding(at, message, str(asked), "0", remedy, needs=(at, auto))
    if pool.allocation is Allocation.DRA:
        at = (*path, "allocation")
        message = "Karpenter makes no node for a pod that claims devices"
        yield Finding(at, message, "'dra'", "device-plugin", f"leave it out, or {_BACK}", needs=(at, auto))
    if pool.sharing and not pool.sharing.cores:
        at = (*path, "sharing")
        message = "Karpenter counts a GPU once, shared or not, and would make a node for each pod"
        yield Finding(at, message, allowed="whole GPUs", remedy=f"remove it, or {_BACK}", at_key=True, needs=(at, auto))
