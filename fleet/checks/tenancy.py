"""Facts about teams: shares that the pools can hold, models that fit into their team's, and who may borrow.

How much the account may have in all is not asked: the catalogue knows the clouds' quotas by name and nobody's limits.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet import tenancy
from fleet.catalog import dra
from fleet.catalog.accelerators import ACCELERATORS
from fleet.checks.finding import Finding, Path, fields, listed, nearest
from fleet.checks.models import hardware, planned
from fleet.contract import AcceleratorPool
from fleet.plan import accelerators_of
from fleet.spec import Allocation, ClusterSpec, ModelSpec, Queueing


def check(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of `teams` and `queueing` by themselves, against the pools, and of models against their teams."""
    yield from _queueing(path, cluster)
    yield from _claimed(path, cluster)
    yield from _unknown(path, cluster)
    pools = {name: pool for name in cluster.pools if (pool := planned(cluster, name)) is not None}
    yield from _shares(path, cluster, pools)
    for team in cluster.teams:
        yield from _models(path, team, cluster, pools)


def _queueing(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    switch = (*path, "queueing")
    if cluster.queueing is Queueing.KUEUE:
        if not cluster.teams:
            message, remedy = "queues are teams', and the cluster has none", "add teams:, or leave queueing out"
            yield Finding(switch, message, "'kueue'", "none", remedy, needs=(switch, (*path, "teams")))
        return
    for name, team in cluster.teams.items():
        where = (*path, "teams", name, "borrow")
        if team.borrow:
            message = "without a queue nobody could give back what another team borrowed"
            remedy = "set queueing: kueue on the cluster, or leave borrow out"
            yield Finding(where, message, "true", "false", remedy, needs=(where, switch))


def _claimed(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """Shares that could be counted twice or not at all, once pods claim accelerators."""
    ways: dict[Allocation, list[str]] = {}
    for name, pool in cluster.pools.items():
        if (known := ACCELERATORS.get(pool.accelerator)) and dra.device_class(known.family):
            ways.setdefault(pool.allocation, []).append(name)
    claimed, counted = ways.get(Allocation.DRA, []), ways.get(Allocation.DEVICE_PLUGIN, [])
    if not cluster.teams or not claimed:
        return
    at = {name: (*path, "pools", name, "allocation") for name in (*claimed, *counted)}
    kinds = [(*path, "pools", name, "accelerator") for name in at]
    if cluster.queueing is Queueing.KUEUE:
        where = (*path, "queueing")
        message = f"Kueue counts no claims without a feature gate of its own, and those of pool {claimed[0]} are claimed"
        remedy = "set queueing: none, or leave the pools' allocation out"
        yield Finding(where, message, "'kueue'", "none", remedy, needs=(where, *at.values(), *kinds))
    elif counted:
        where = at[claimed[0]]
        message = (
            f"a team's share is one number for all NVIDIA GPUs, those of {listed(claimed)} are claimed and those of "
            f"{listed(counted)} counted, and it could take its share of each"
        )
        remedy = "give all of them the same allocation, or make two clusters of it"
        needs = (*at.values(), *kinds, (*path, "teams"))
        yield Finding(where, message, "'dra'", "one way in a cluster with teams", remedy, needs=needs)


def _unknown(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    for name, model in cluster.models.items():
        if model.team is None or model.team in cluster.teams:
            continue
        where = (*path, "models", name, "team")
        remedy = nearest(model.team, cluster.teams, "add it under teams:")
        needs = (where, (*path, "teams", model.team))
        yield Finding(where, "no such team in this cluster", repr(model.team), listed(cluster.teams), remedy, needs=needs)


def _shares(path: Path, cluster: ClusterSpec, pools: dict[str, AcceleratorPool]) -> Iterator[Finding]:
    """Shares of what no pool has, and shares that are together more than the pools can hold."""
    known = sorted({pool.accelerator for pool in cluster.pools.values()})
    for name, team in cluster.teams.items():
        for accelerator in team.accelerators:
            if accelerator not in known:
                where = (*path, "teams", name, "accelerators", accelerator)
                needs = (where, *((*path, "pools", pool, "accelerator") for pool in cluster.pools))
                message, remedy = f"no pool of the cluster has {accelerator}", "add a pool of it, or take the share away"
                if accelerator not in ACCELERATORS:
                    message, remedy = f"no such accelerator as '{accelerator}'", nearest(accelerator, known, remedy)
                yield Finding(where, message, allowed=listed(known), remedy=remedy, at_key=True, needs=needs)
    for accelerator, total in tenancy.shares(cluster).items():
        if accelerator in known:
            yield from _together(path, accelerator, total, cluster, pools)


def _together(
    path: Path, accelerator: str, total: int, cluster: ClusterSpec, pools: dict[str, AcceleratorPool]
) -> Iterator[Finding]:
    """One fault at most: at the largest share. Models without a team are there, too, as many as they never go below."""
    of_it = {name: pool for name, pool in pools.items() if pool.accelerator.name == accelerator}
    free = {key: model for key, model in cluster.models.items() if model.team is None and model.pool in of_it}
    taken = sum(_demand(model, of_it[model.pool])[0] for model in free.values())
    room = tenancy.capacity(of_it.values()).get(accelerator, 0)
    if not of_it or total + taken <= room:
        return
    holders = {name: team.accelerators[accelerator] for name, team in cluster.teams.items() if accelerator in team.accelerators}
    largest = max(holders, key=lambda name: holders[name])
    where = (*path, "teams", largest, "accelerators", accelerator)
    held = [f"{name} {count}" for name, count in holders.items()]
    held += [f"{listed(free)} without a team {taken}"] if taken else []
    offered = [f"{name} {pool.most_nodes} nodes x {pool.slots}" for name, pool in of_it.items()]
    message = (
        f"{total + taken} {accelerator} are promised ({', '.join(held)}), and the pools hold {room} ({', '.join(offered)})"
    )
    fits = holders[largest] - (total + taken - room)
    allowed = f"up to {fits} here" if fits > 0 else f"{room} in all"
    remedy = "lower the shares, or raise nodes.max of a pool"
    needs = (
        *((*path, "teams", name, "accelerators", accelerator) for name in holders),
        *(field for name in of_it for field in (*hardware(path, name), *_size(path, name))),
        *(field for key in free for field in _read(path, key)),
    )
    yield Finding(where, message, str(holders[largest]), allowed, remedy, needs=needs)


def _models(path: Path, team: str, cluster: ClusterSpec, pools: dict[str, AcceleratorPool]) -> Iterator[Finding]:
    """A team's models that its share has no room for: one by itself at its largest, or all at their smallest."""
    mine = {key: model for key, model in cluster.models.items() if model.team == team and model.pool in pools}
    share, most = cluster.teams[team].accelerators, tenancy.most(cluster, team)
    held = (*path, "teams", team)
    by_accelerator: dict[str, dict[str, ModelSpec]] = {}
    for key, model in mine.items():
        by_accelerator.setdefault(pools[model.pool].accelerator.name, {})[key] = model
    for accelerator, models in by_accelerator.items():
        alone = [
            f for key, model in models.items() for f in _alone(path, key, model, pools[model.pool], most.get(accelerator, 0))
        ]
        if alone:
            yield from alone
            continue
        least = sum(_demand(model, pools[model.pool])[0] for model in models.values())
        has = share.get(accelerator, 0)
        if least > has:
            where = (*held, "accelerators", accelerator) if has else (*held, "accelerators")
            message = f"the minimum replicas of {listed(models)} need {least} {accelerator}, team {team} has {has} of its own"
            remedy = f"raise it to {least}, or lower a model's replicas.min"
            read = [field for key, model in models.items() for field in (*_read(path, key), *hardware(path, model.pool))]
            needs = (where, (*held, "borrow"), (*path, "queueing"), *read)
            yield Finding(where, message, str(has), f"at least {least}", remedy, needs=needs)


def _alone(path: Path, key: str, model: ModelSpec, pool: AcceleratorPool, most: int) -> Iterator[Finding]:
    """A model that can never have all the replicas it may grow to."""
    size, needed = accelerators_of(model, pool.machine, pool.tpu), _demand(model, pool)[1]
    if needed <= most:
        return
    accelerator, own = pool.accelerator.name, (*path, "teams", str(model.team))
    needs = (*_read(path, key), *hardware(path, model.pool), (*own, "accelerators"), (*own, "borrow"), (*path, "queueing"))
    if most < size:
        where = (*path, "models", key, "team")
        message = f"a replica takes {size} {accelerator}, and team {model.team} may hold {most}"
        remedy = f"add {accelerator}: {needed} to the team's accelerators, or name another team"
        yield Finding(where, message, repr(model.team), f"a team with at least {size}", remedy, needs=needs)
        return
    where = (*path, "models", key, "replicas", "max")
    message = f"{needed // size} replicas of {size} need {needed} {accelerator}, team {model.team} may hold {most}"
    allowed, otherwise = f"up to {most // size}", "lower max"
    if pool.tpu and pool.tpu.multi_host:
        allowed, otherwise = f"a share of at least {needed}", "name another team"
    remedy = f"raise the team's share to {needed}, or {otherwise}"
    yield Finding(where, message, str(needed // size), allowed, remedy, needs=needs)


def _demand(model: ModelSpec, pool: AcceleratorPool) -> tuple[int, int]:
    """What a model's replicas take, least and most; a multi-host slice has a worker on each host, whatever is written."""
    size = accelerators_of(model, pool.machine, pool.tpu)
    if pool.tpu and pool.tpu.multi_host:
        return size * pool.tpu.hosts, size * pool.tpu.hosts
    return size * model.replicas.min, size * model.replicas.max


def _size(path: Path, pool: str) -> tuple[Path, ...]:
    return fields((*path, "pools", pool), "nodes", "sharing")


def _read(path: Path, model: str) -> tuple[Path, ...]:
    """What a model's demand and its place follow from."""
    return fields((*path, "models", model), "pool", "team", "accelerators", "replicas")
