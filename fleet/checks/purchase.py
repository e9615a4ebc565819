"""Facts about how a pool is bought: what may stand in for what, and what the second pool in the cloud is called."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.clouds import Cloud
from fleet.catalog.tpu import TOPOLOGIES, tpu_slice
from fleet.checks.finding import Finding, Path, fields
from fleet.plan import fallback_name
from fleet.spec import ClusterSpec, PoolSpec, Purchase

_AKS_LONGEST = 12


def check(path: Path, name: str, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of a pool's fallback; none without one."""
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
