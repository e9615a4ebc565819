"""Facts about models: the pool they name, what one node of it offers, their store."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog import neuron
from fleet.checks import carbon, images, numa, routes, scaling, share, triggers, versions, weights
from fleet.checks.finding import Finding, Path, fields, listed, nearest
from fleet.contract import AcceleratorPool
from fleet.plan import accelerators_of, least_nodes, pools
from fleet.spec import ClusterSpec, ModelSpec


def check(path: Path, model: ModelSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of one model by itself, and against its pool and store."""
    yield from images.check((*path, "image"), model.image) or versions.of_image_on(path, model, cluster)
    pool = planned(cluster, model.pool) if model.pool in cluster.pools else None
    if pool is not None and pool.tpu and pool.tpu.multi_host:
        yield from scaling.on_slice(path, model, pool, hardware(path, model.pool))
    else:
        yield from scaling.check(path, model)
    yield from triggers.check(path, model, cluster)
    yield from weights.check(path, model, cluster)
    yield from carbon.of_model(path, model)
    yield from routes.check(path, model, cluster)
    if model.pool not in cluster.pools:
        where = (*path, "pool")
        remedy = nearest(model.pool, cluster.pools, "add it under pools:")
        needs = (where, (*path[:2], "pools", model.pool))
        yield Finding(where, "no such pool in this cluster", repr(model.pool), listed(cluster.pools), remedy, needs=needs)
    elif pool is not None:
        wrong = list(_room(path, model, pool))
        yield from wrong
        if not wrong:
            read = (*hardware(path, model.pool), *fields(path, "pool", "accelerators"))
            yield from numa.of_model(path, model, pool, read)
            yield from share.check(path, model, pool, read)


def hardware(path: Path, pool: str) -> tuple[Path, ...]:
    """What a pool's machine follows from."""
    place = fields(path[:2], "cloud", "region")
    return (*place, *fields((*path[:2], "pools", pool), "accelerator", "per_node", "machine", "topology"))


def planned(cluster: ClusterSpec, pool: str) -> AcceleratorPool | None:
    """The pool as it would be made, without its models; None where its own faults leave it no machine."""
    only = cluster.model_copy(update={"pools": {pool: cluster.pools[pool]}, "models": {}})
    try:
        return pools("", "", only)[pool]
    except (LookupError, ValueError):
        return None


def _room(path: Path, model: ModelSpec, pool: AcceleratorPool) -> Iterator[Finding]:
    needs = (*hardware(path, model.pool), *fields(path, "pool", "accelerators"))
    count = accelerators_of(model, pool.machine, pool.tpu)
    where = (*path, "accelerators")
    if pool.sharing and count != 1:
        message = f"pool {pool.name} shares its accelerators ({pool.sharing}), and a replica takes one part"
        remedy = "leave accelerators out, or take sharing from the pool"
        read = (*needs, (*path[:2], "pools", pool.name, "sharing"))
        yield Finding(where, message, str(count), "1", remedy, needs=read)
        return
    if count > pool.per_node:
        message = f"a replica asks for {count} {pool.accelerator.name}, a {pool.machine.name} has {pool.per_node}"
        remedy = "ask for less, or give the pool a larger per_node"
        yield Finding(where, message, str(count), f"1 to {pool.per_node}", remedy, needs=needs)
        return
    if count not in pool.counts:
        yield _neighbours(where, count, pool, (*needs, (*path[:2], "pools", pool.name, "neuron_scheduler")))
        return
    if pool.tpu and count != pool.per_node:
        message = f"a TPU pod takes all {pool.per_node} chips of its host"
        yield Finding(where, message, str(count), str(pool.per_node), "leave accelerators out", needs=needs)
        return
    if pool.tpu and pool.tpu.multi_host:
        return  # as many replicas as hosts, neither more nor fewer
    replicas, fit = model.replicas.max, pool.most_nodes * (pool.slots // count)
    if replicas > fit:
        nodes = -(-replicas // (pool.slots // count))
        message = f"{replicas} replicas need {nodes} nodes, pool {pool.name} has {pool.most_nodes} at most"
        short = pool.most_nodes < (pool.bound or 0)
        more = "let a rung of the pool have more nodes" if short else f"raise the pool's nodes.max to {nodes}"
        remedy = f"{more}, or lower max"
        on_pool = fields((*path[:2], "pools", pool.name), "nodes", "sharing", "capacity")
        read = (*needs, *on_pool, *fields(path, "replicas.min", "replicas.max"))
        yield Finding((*path, "replicas", "max"), message, str(replicas), f"up to {fit}", remedy, needs=read)


def _neighbours(where: Path, count: int, pool: AcceleratorPool, needs: tuple[Path, ...]) -> Finding:
    """Neuron devices that no scheduler there puts side by side."""
    remedy = f"set accelerators: {min(pool.counts, key=lambda fine: (abs(fine - count), -fine))}"
    if pool.neuron_scheduler:
        message = f"on {pool.machine.name} Neuron's scheduler finds neighbours in these numbers alone"
    else:
        message = "Neuron devices of one pod lie side by side, and the scheduler sees to that for one or for all of a node"
        if count in neuron.counts(pool.machine, scheduled=True):
            remedy += ", or neuron_scheduler: true on the pool"
    return Finding(where, message, str(count), listed(pool.counts), remedy, needs=needs)


def together(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """Pools too small for the minimum replicas of all their models, each of which would fit alone."""
    for name in cluster.pools:
        on_pool = {key: model for key, model in cluster.models.items() if model.pool == name}
        pool = planned(cluster, name)
        if len(on_pool) < 2 or pool is None:
            continue
        if pool.tpu and pool.tpu.multi_host:
            yield from _one_model(path, name, list(on_pool))
            continue
        sizes = {key: accelerators_of(model, pool.machine, pool.tpu) for key, model in on_pool.items()}
        if any(sizes[key] > pool.slots or _alone(model, sizes[key], pool) for key, model in on_pool.items()):
            continue
        nodes = least_nodes(on_pool.values(), pool.machine, pool.tpu, pool.sharing)
        if nodes > pool.most_nodes:
            where = (*path, "pools", name, "nodes", "max")
            message = f"the minimum replicas of {listed(on_pool)} need {nodes} nodes together"
            remedy = f"set nodes.max to {nodes}, or give a model a pool of its own"
            read = (field for key in on_pool for field in fields((*path, "models", key), "pool", "accelerators", "replicas"))
            needs = (where, *hardware(path, name), (*path, "pools", name, "sharing"), *read)
            yield Finding(where, message, str(pool.most_nodes), f"at least {nodes}", remedy, needs=needs)


def _one_model(path: Path, name: str, models: list[str]) -> Iterator[Finding]:
    """Every model after the first on a slice: that one has a worker on each host, and each takes the host whole."""
    for model in models[1:]:
        where = (*path, "models", model, "pool")
        needs = (where, (*path, "models", models[0], "pool"), *hardware(where, name))
        message = f"model {models[0]} takes the slice of pool {name} whole"
        yield Finding(where, message, repr(name), "a pool that no other model is on", "give it a pool of its own", needs=needs)


def _alone(model: ModelSpec, size: int, pool: AcceleratorPool) -> bool:
    """Whether the model's largest number of replicas is too much for the pool by itself: said there already."""
    return max(model.replicas.min, model.replicas.max) > pool.most_nodes * (pool.slots // size)
