"""Facts about who makes the nodes of a cluster's pools: what a provisioner can do, and where there is one.

Karpenter makes a node for pods that wait and takes it once it is empty: it holds none ready (static capacity is alpha,
https://karpenter.sh/docs/concepts/nodepools/), counts a GPU once however often it is shared (aws/karpenter#729), though it
knows Neuron's cores, and leaves pods alone that claim devices (`ignoreDRARequests`,
https://karpenter.sh/docs/reference/settings/).

On AKS Karpenter is Azure's own (node auto-provisioning): it makes machines of the sizes whose driver AKS installs, knows no
reservation, placement group or MIG profile, and no cluster autoscaler stands beside it.
https://learn.microsoft.com/azure/aks/node-auto-provisioning, Azure/karpenter-provider-azure@352646f5 pkg/apis/v1beta1

GKE makes node pools from a ComputeClass, empties and removes them: it holds no node ready, and counts accelerators of a kind
in the whole cluster, not nodes of a way to buy. What its class has no field for, or what is not written there yet, is refused.
https://cloud.google.com/kubernetes-engine/docs/concepts/node-auto-provisioning, …/docs/reference/crds/computeclass
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from fleet.catalog import aks_auto
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machines_with
from fleet.catalog.tpu import tpu_slice
from fleet.checks.finding import Finding, Path, listed
from fleet.plan import choose_machine
from fleet.spec import Allocation, ClusterSpec, PoolSpec, Provisioning, Purchase

# Clouds whose provisioner this repository drives, and what it is called there.
_AUTO = {Cloud.AWS: "Karpenter", Cloud.GCP: "GKE", Cloud.AZURE: "node auto-provisioning"}
_BACK = "set provisioning: groups"


def check(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of `provisioning`, and of pools that only a group of nodes can be."""
    if cluster.provisioning is not Provisioning.AUTO:
        return
    where = (*path, "provisioning")
    maker = _AUTO.get(cluster.cloud)
    if maker is None:
        message = "auto is for clusters that are made here: nobody makes nodes of an existing one"
        yield Finding(where, message, "'auto'", "groups", "leave it out", needs=(where, (*path, "cloud")))
        return
    for name, pool in cluster.pools.items():
        at = (*path, "pools", name)
        if cluster.cloud is not Cloud.GCP:
            yield from _nothing_ready(at, pool, maker, where)
            yield from _by_karpenter(at, pool, where)
            if cluster.cloud is Cloud.AZURE:
                yield from _by_azure(at, pool, cluster, where)
        elif _hosts(pool) > 1:  # whose nodes.min must be its hosts
            yield from _slice(at, pool, where)
        else:
            yield from _nothing_ready(at, pool, maker, where)
            yield from _by_class(at, pool, where)


def _nothing_ready(path: Path, pool: PoolSpec, maker: str, auto: Path) -> Iterator[Finding]:
    for bound in ("min", "start"):
        if asked := getattr(pool.nodes, bound):
            at = (*path, "nodes", bound)
            message = f"{maker} makes nodes for pods that wait, and holds none ready"
            remedy = f"leave it out: a model's replicas.min keeps its nodes; or {_BACK}"
            yield Finding(at, message, str(asked), "0", remedy, needs=(at, auto))


def _by_karpenter(path: Path, pool: PoolSpec, auto: Path) -> Iterator[Finding]:
    if pool.allocation is Allocation.DRA:
        yield _claimed(path, "Karpenter makes no node for a pod that claims devices", auto)
    if pool.sharing and not pool.sharing.cores:
        yield _shared(path, "Karpenter counts a GPU once, shared or not, and would make a node for each pod", auto)


def _by_azure(path: Path, pool: PoolSpec, cluster: ClusterSpec, auto: Path) -> Iterator[Finding]:
    with contextlib.suppress(LookupError):  # no such machine: `fleet.checks.shape` says so
        machine = choose_machine(pool, cluster).name
        if not aks_auto.makes(machine):
            at = (*path, "machine" if pool.machine else "accelerator")
            others = [
                row.name for row in machines_with(Cloud.AZURE, pool.accelerator, cluster.region) if aks_auto.makes(row.name)
            ]
            message = f"node auto-provisioning makes no {machine}, as it brings no driver for it"
            yield Finding(at, message, f"'{machine}'", listed(others), f"choose another machine, or {_BACK}", needs=(at, auto))
    if pool.fabric:
        at = (*path, "fabric")
        message = "an AKSNodeClass puts nodes into no proximity placement group, without which InfiniBand joins none"
        yield Finding(at, message, f"'{pool.fabric}'", "a pool without", f"remove it, or {_BACK}", needs=(at, auto))
    for i, rung in enumerate(pool.capacity):
        if rung.purchase is Purchase.RESERVATION:
            at = (*path, "capacity", i, "purchase")
            message = "node auto-provisioning buys spot and on-demand, and knows no capacity reservation group"
            yield Finding(at, message, "'reservation'", "spot, on-demand", f"remove the rung, or {_BACK}", needs=(at, auto))


def _by_class(path: Path, pool: PoolSpec, auto: Path) -> Iterator[Finding]:
    if pool.allocation is Allocation.DRA:
        yield _claimed(path, "no node that GKE makes by itself is set up for claims", auto)
    if pool.sharing:
        yield _shared(path, "no ComputeClass is written for shared GPUs yet", auto)
    for field, message in (
        ("fabric", "a ComputeClass does not name the further networks of a node"),
        ("numa", "a ComputeClass does not say how kubelets keep devices and CPUs together"),
    ):
        if asked := getattr(pool, field):
            at = (*path, field)
            yield Finding(at, message, f"'{asked}'", "a pool without", f"remove it, or {_BACK}", needs=(at, auto))
    for i, rung in enumerate(pool.capacity):
        if rung.nodes is not None:
            at = (*path, "capacity", i, "nodes")
            message = "a ComputeClass counts no nodes of a way to buy"
            remedy = f"leave it out: nodes.max holds for all of them; or {_BACK}"
            yield Finding(at, message, str(rung.nodes), "no nodes in a rung", remedy, needs=(at, auto))


def _slice(path: Path, pool: PoolSpec, auto: Path) -> Iterator[Finding]:
    at, hosts = (*path, "topology"), _hosts(pool)
    message = f"a slice of {hosts} hosts comes whole or not at all, and is not left to GKE here"
    needs = (at, auto, (*path, "accelerator"))
    yield Finding(at, message, f"'{pool.topology}'", "slices of one host", f"take a smaller slice, or {_BACK}", needs=needs)


def _claimed(path: Path, message: str, auto: Path) -> Finding:
    at = (*path, "allocation")
    return Finding(at, message, "'dra'", "device-plugin", f"leave it out, or {_BACK}", needs=(at, auto))


def _shared(path: Path, message: str, auto: Path) -> Finding:
    at = (*path, "sharing")
    return Finding(at, message, allowed="whole GPUs", remedy=f"remove it, or {_BACK}", at_key=True, needs=(at, auto))


def _hosts(pool: PoolSpec) -> int:
    """Hosts of its slice; 0 where there is no such slice, which `fleet.checks.shape` says."""
    try:
        return tpu_slice(pool.accelerator, pool.topology or "").hosts
    except (KeyError, ValueError):
        return 0
