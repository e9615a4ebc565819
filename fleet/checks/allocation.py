"""Facts about `allocation: dra`: whose accelerators can be claimed, on which Kubernetes, and who grows such a pool.

What a claim is, and where it works, is `fleet.catalog.dra`'s. Teams' shares of claimed devices are `fleet.checks.tenancy`'s.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog import dra
from fleet.catalog.accelerators import ACCELERATORS
from fleet.catalog.machines import machines_with
from fleet.checks.finding import Finding, Path, fields
from fleet.plan import COMES_AND_GOES
from fleet.spec import Allocation, ClusterSpec, PoolSpec, Provisioning


def check(path: Path, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of how a pool's accelerators are handed out; an accelerator that is not to be had is said elsewhere."""
    accelerator = ACCELERATORS.get(pool.accelerator)
    if pool.allocation is not Allocation.DRA or accelerator is None or accelerator.withdrawn:
        return
    if not machines_with(cluster.cloud, pool.accelerator):
        return
    where, got = (*path, "allocation"), "'dra'"
    needs = (where, *fields(path, "accelerator"))
    if dra.device_class(accelerator.family) is None:
        message = f"no DRA driver hands out {pool.accelerator} here: the device plugin counts {accelerator.family.resource}"
        yield Finding(where, message, got, "device-plugin", "leave allocation out", needs=needs)
        return
    if pool.sharing is not None:
        message = "NVIDIA's DRA driver hands out whole GPUs here: to cut or share them is alpha in it"
        remedy = "leave sharing out, or share them by the device plugin and leave allocation out"
        read = (*needs, (*path, "sharing"))
        yield Finding(where, message, got, "device-plugin, beside sharing", remedy, needs=read)
        return
    yield from _kubernetes(path, cluster)
    yield from _growth(path, pool, cluster)


def _kubernetes(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    minor, least = cluster.kubernetes, ".".join(map(str, dra.SINCE))
    if minor is None or tuple(map(int, minor.split("."))) >= dra.SINCE:
        return
    message = f"claims are stable from Kubernetes {least} on, and the cluster has {minor}"
    remedy = f"set kubernetes: '{least}', or leave allocation out"
    where = (*path[:2], "kubernetes")
    yield Finding(where, message, repr(minor), f"{least} or later", remedy, needs=(where, (*path, "allocation")))


def _growth(path: Path, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """At no nodes nobody has published a device: a pod's claim fits none, and waits for ever (modelplane#345)."""
    # What a provisioner does with claims is `fleet.checks.provisioning`'s.
    if dra.scales_from_zero(cluster.cloud) or cluster.provisioning is Provisioning.AUTO:
        return
    read = ((*path, "allocation"), (*path[:2], "cloud"))
    why = f"on {cluster.cloud} no autoscaler adds the first node for a claim (autoscaler#7799)"
    ladder = fields(path, "purchase", "fallback", "capacity")
    comes = next((rung.purchase for rung in pool.ladder if rung.purchase in COMES_AND_GOES), None)
    if len(pool.ladder) > 1 or comes:
        where = (*path, "capacity" if pool.capacity else "fallback")
        what = f"nodes of {comes} come and go" if comes else "the rungs after the first begin with none"
        remedy = "keep one rung whose nodes stand, or leave allocation out"
        yield Finding(where, f"{why}, and {what}", allowed="one rung", remedy=remedy, at_key=True, needs=(*read, *ladder))
    elif pool.nodes.min == 0:
        where = (*path, "nodes", "min")
        yield Finding(where, why, "0", "at least 1", "set nodes.min to 1, or leave allocation out", needs=(where, *read))
