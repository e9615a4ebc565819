"""Facts about how a pool is bought: what may stand in for what, and what the second pool in the cloud is called."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machines_with
from fleet.catalog.tpu import TOPOLOGIES, tpu_slice
from fleet.checks.finding import Finding, Path, fields, listed
from fleet.plan import choose_machine, fallback_name
from fleet.spec import ClusterSpec, PoolSpec, Purchase

_AKS_LONGEST = 12


def check(path: Path, name: str, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of what a pool is bought as, and of its fallback."""
    yield from _sold((*path, "purchase"), pool, cluster, pool.purchase)
    if pool.fallback is None:
        return
    where = (*path, "fallback")
    needs = (where, *fields(path, "purchase"))
    if (pool.purchase, pool.fallback) != (Purchase.SPOT, Purchase.ON_DEMAND):
        message = f"{pool.fallback} cannot stand in for {pool.purchase}"
        remedy = "set purchase: spot and fallback: on-demand, or leave fallback out"
        yield Finding(where, message, repr(str(pool.fallback)), "on-demand, beside purchase: spot", remedy, needs=needs)
        return
    if pool.topology in TOPOLOGIES.get(pool.accelerator, ()) and tpu_slice(pool.accelerator, pool.topology or "").multi_host:
        message = "a multi-host slice is bought whole, and nothing moves between two of them"
        read = (where, *fields(path, "accelerator", "topology"))
        yield Finding(where, message, repr(str(pool.fallback)), "", "leave fallback out", needs=read)
    yield from _sold(where, pool, cluster, pool.fallback)
    second = fallback_name(name)
    if second in cluster.pools:
        message = f"makes a pool '{second}' in the cloud, and there is one of that name"
        read = (where, (*path[:-1], second))
        yield Finding(where, message, allowed="a free name", remedy="rename one of the two", at_key=True, needs=read)
    elif cluster.cloud is Cloud.AZURE and len(second.replace("-", "")) > _AKS_LONGEST:
        message = f"makes a pool '{second.replace('-', '')}', longer than the {_AKS_LONGEST} characters that AKS allows"
        read = (where, (*path[:2], "cloud"))
        yield Finding(
            where,
            message,
            allowed=f"names up to {_AKS_LONGEST - 2} characters",
            remedy="shorten the name",
            at_key=True,
            needs=read,
        )


def _sold(where: Path, pool: PoolSpec, cluster: ClusterSpec, purchase: Purchase) -> Iterator[Finding]:
    """A machine that its cloud does not sell in this way; TPUs are sold in both."""
    try:
        row = choose_machine(pool, cluster)
    except LookupError:
        return
    if purchase in row.purchases:
        return
    here = machines_with(cluster.cloud, pool.accelerator, cluster.region)
    others = [m.name for m in here if purchase in m.purchases]
    needs = (where, *fields(where[:-1], "accelerator", "machine", "per_node"), *fields(where[:2], "cloud", "region"))
    message = f"{row.name} is not sold {purchase}"
    allowed = f"{listed(row.purchases)}; {purchase} there is {listed(others)}"
    instead = "leave fallback out" if where[-1] == "fallback" else f"set purchase: {row.purchases[0]}"
    yield Finding(where, message, repr(str(purchase)), allowed, f"{instead}, or choose another machine", needs=needs)
