"""Facts about models: the pool they name, what one node of it offers, their store, their scaling."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from fleet.checks.finding import Finding, Path, listed, nearest
from fleet.plan import accelerators_of, pools
from fleet.spec import Autoscaler, ClusterSpec, ModelSpec

_TAGGED = re.compile(r"^[^\s@]+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$")


def check(
    path: Path, model: ModelSpec, cluster: ClusterSpec, pool_names: set[str], store_names: set[str], sound: set[str]
) -> Iterator[Finding]:
    """Faults of one model.

    Args:
        pool_names, store_names: every one the file names, sound or not.
        sound: pools without a fault of their own; only they are measured against.
    """
    yield from _image(path, model)
    yield from _scaling(path, model)
    if model.weights and model.weights.store not in store_names:
        remedy = nearest(model.weights.store, store_names, "add it under stores:")
        yield Finding(
            (*path, "weights", "store"),
            "no such store in this cluster",
            repr(model.weights.store),
            listed(sorted(store_names)),
            remedy,
        )
    if model.pool not in pool_names:
        remedy = nearest(model.pool, pool_names, "add it under pools:")
        yield Finding((*path, "pool"), "no such pool in this cluster", repr(model.pool), listed(sorted(pool_names)), remedy)
    elif model.pool in sound:
        yield from _room(path, model, cluster)


def _image(path: Path, model: ModelSpec) -> Iterator[Finding]:
    name, _, tag = model.image.partition("@")[0].rpartition(":")
    if not _TAGGED.match(model.image):
        yield Finding((*path, "image"), "is no image name", repr(model.image), "name:tag or name@sha256:…", "write name:tag")
    elif "@" not in model.image and (not name or "/" in tag or tag == "latest"):
        what = "'latest' is another image tomorrow" if tag == "latest" else "the image has no tag"
        yield Finding((*path, "image"), what, repr(model.image), "name:tag or name@sha256:…", "name a version")


def _scaling(path: Path, model: ModelSpec) -> Iterator[Finding]:
    low, high = model.replicas.min, model.replicas.max
    where = (*path, "replicas")
    if low > high:
        yield Finding((*where, "min"), f"min {low} is more than max {high}", str(low), f"0 to {high}", "swap them")
    elif model.autoscaler is Autoscaler.NONE and low != high:
        message = f"replicas {low} to {high}, but autoscaler is none"
        yield Finding(where, message, allowed="hpa or keda", remedy="set autoscaler:, or make min and max the same")
    elif model.autoscaler is Autoscaler.HPA and low == 0:
        yield Finding((*where, "min"), "an HPA cannot scale to zero", "0", "at least 1", "use autoscaler: keda, or min: 1")


def _room(path: Path, model: ModelSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    only = cluster.model_copy(update={"pools": {model.pool: cluster.pools[model.pool]}, "models": {}})
    pool = pools("check", "check", only)[model.pool]
    count = accelerators_of(model, pool.machine, pool.tpu)
    if count > pool.per_node:
        message = f"a replica asks for {count} {pool.accelerator.name}, a {pool.machine.name} has {pool.per_node}"
        yield Finding(
            (*path, "accelerators"),
            message,
            str(count),
            f"1 to {pool.per_node}",
            "ask for less, or give the pool a larger per_node",
        )
        return
    if pool.tpu and count != pool.per_node:
        message = f"a TPU pod takes all {pool.per_node} chips of its host"
        yield Finding((*path, "accelerators"), message, str(count), str(pool.per_node), "leave accelerators out")
        return
    replicas = model.replicas.max
    nodes = math.ceil(replicas / (pool.per_node // count))
    if nodes > pool.max_nodes:
        message = f"{replicas} replicas need {nodes} nodes, pool {pool.name} has {pool.max_nodes} at most"
        fit = pool.max_nodes * (pool.per_node // count)
        remedy = f"raise the pool's nodes.max to {nodes}, or lower max"
        yield Finding((*path, "replicas", "max"), message, str(replicas), f"up to {fit}", remedy)
