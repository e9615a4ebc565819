"""Facts about how a pool is bought: its ladder as a whole, and what the pools in the cloud are called.

A single rung's facts are `fleet.checks.rungs`'.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.clouds import Cloud
from fleet.catalog.tpu import TOPOLOGIES, tpu_slice
from fleet.checks import rungs
from fleet.checks.finding import Finding, Path, fields
from fleet.plan import rung_names
from fleet.spec import ClusterSpec, PoolSpec, Provisioning, Purchase

_AKS_LONGEST = 12
_LADDER_ONLY = (Purchase.RESERVATION, Purchase.CAPACITY_BLOCK, Purchase.FLEX_START)


def check(path: Path, name: str, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of what a pool is bought as."""
    if pool.capacity and pool.model_fields_set & {"purchase", "fallback"}:
        where = (*path, next(key for key in ("purchase", "fallback") if key in pool.model_fields_set))
        remedy = "write it as a rung of capacity, and take this line away"
        needs = (where, *fields(path, "purchase", "fallback"))
        yield Finding(where, "says what capacity says", allowed="one of the two", remedy=remedy, at_key=True, needs=needs)
        return
    if not pool.capacity and pool.purchase in _LADDER_ONLY:
        message = f"{pool.purchase} needs to say more than its name"
        remedy = f"write `capacity: [{{purchase: {pool.purchase}, …}}]` instead"
        yield Finding((*path, "purchase"), message, repr(str(pool.purchase)), "spot, on-demand", remedy)
        return
    if pool.fallback and (pool.purchase, pool.fallback) != (Purchase.SPOT, Purchase.ON_DEMAND):
        where = (*path, "fallback")
        needs = (where, *fields(path, "purchase"))
        message = f"{pool.fallback} cannot stand in for {pool.purchase}"
        remedy = "set purchase: spot and fallback: on-demand, or leave fallback out"
        yield Finding(where, message, repr(str(pool.fallback)), "on-demand, beside purchase: spot", remedy, needs=needs)
        return
    whole = list(_whole_slice(path, pool))
    yield from whole
    if whole:
        return
    for i, rung in enumerate(pool.ladder):
        yield from rungs.check(_place(path, pool, i), rung, pool, cluster, first=i == 0)
    yield from _repeated(path, pool)
    yield from _names(path, name, pool, cluster)
    yield from _climb(path, pool, cluster)


def _climb(path: Path, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Pods move by GKE's active migration or Karpenter's consolidation; cluster-autoscaler has nothing of the kind."""
    at = (*path, "climb")
    if pool.climb and len(pool.ladder) < 2:
        message = "is bought in one way, and has nothing to climb back to"
        needs = (at, *fields(path, "purchase", "fallback", "capacity"))
        yield Finding(at, message, "true", "a pool with a fallback or several rungs", "leave it out", needs=needs)
    elif pool.climb and cluster.cloud is not Cloud.GCP and cluster.provisioning is not Provisioning.AUTO:
        message = "cluster-autoscaler moves no running pod"
        remedy = "set provisioning: auto, or do it by hand (docs/capacity.md, When spot is back)"
        needs = (at, *fields(path[:2], "cloud", "provisioning"))
        yield Finding(at, message, "true", "provisioning: auto, or cloud: gcp", remedy, needs=needs)


def _place(path: Path, pool: PoolSpec, i: int) -> Path:
    """Where a rung stands in the file."""
    return (*path, "capacity", i) if pool.capacity else (*path, ("purchase", "fallback")[i])


def _repeated(path: Path, pool: PoolSpec) -> Iterator[Finding]:
    seen: list[object] = []
    for i, rung in enumerate(pool.capacity):
        what = (rung.purchase, rung.reservation)
        if what in seen:
            where = (*path, "capacity", i)
            first = seen.index(what)
            message = f"{rung.purchase} is rung {first + 1} already"
            read = (where, (*path, "capacity", first))
            yield Finding(where, message, allowed="each way to buy once", remedy="take one of the two away", needs=read)
        seen.append(what)


def _whole_slice(path: Path, pool: PoolSpec) -> Iterator[Finding]:
    if pool.topology not in TOPOLOGIES.get(pool.accelerator, ()) or not tpu_slice(pool.accelerator, pool.topology).multi_host:
        return
    needs = fields(path, "accelerator", "topology", "fallback", "capacity")
    if len(pool.ladder) > 1:
        where = _place(path, pool, 1)
        message = "a multi-host slice is bought whole, and nothing moves between two of them"
        remedy = "keep one rung" if pool.capacity else "leave fallback out"
        yield Finding(where, message, repr(str(pool.ladder[1].purchase)), "", remedy, needs=(where, *needs))
    elif pool.ladder[0].purchase is Purchase.FLEX_START:
        where = _place(path, pool, 0)
        message = "a multi-host slice stands whole or not at all, and flex-start brings nodes as pods ask for them"
        yield Finding(where, message, "'flex-start'", "reservation, spot, on-demand", "buy it otherwise", needs=(where, *needs))


def _names(path: Path, name: str, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """What a pool is called in the cloud, where that is not its own name."""
    for i, made in enumerate(rung_names(name, pool)):
        where = _place(path, pool, i)
        if made == name:
            continue
        if made in cluster.pools:
            message = f"makes a pool '{made}' in the cloud, and there is one of that name"
            read = (where, (*path[:-1], made))
            yield Finding(where, message, allowed="a free name", remedy="rename one of the two", at_key=True, needs=read)
        elif cluster.cloud is Cloud.AZURE and len(made.replace("-", "")) > _AKS_LONGEST:
            message = f"makes a pool '{made.replace('-', '')}', longer than the {_AKS_LONGEST} characters that AKS allows"
            most = _AKS_LONGEST - (len(made) - len(name) - 1)
            read = (where, (*path[:2], "cloud"))
            allowed = f"names up to {most} characters"
            yield Finding(where, message, allowed=allowed, remedy="shorten the name", at_key=True, needs=read)
            return
