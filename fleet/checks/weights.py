"""Facts about a model's weights: their store, and the folder that they come from."""

from __future__ import annotations

from collections.abc import Iterator

from fleet import weights
from fleet.catalog.clouds import Cloud
from fleet.checks.finding import Finding, Path, listed, nearest
from fleet.spec import ClusterSpec, ModelSpec, WeightsSpec


def check(path: Path, model: ModelSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of where a model at `path` has its weights."""
    if model.weights is None:
        return
    where = (*path, "weights")
    if cluster.cloud is Cloud.EXISTING:
        message = "an existing cluster has no store of ours to read weights from"
        remedy = "leave weights out, and name an image that brings them"
        yield Finding(where, message, remedy=remedy, at_key=True, needs=(where, (*path[:2], "cloud")))
        return
    if (store := model.weights.store) not in cluster.stores:
        at = (*where, "store")
        remedy = nearest(store, cluster.stores, "add it under stores:")
        needs = (at, (*path[:2], "stores", store))
        yield Finding(at, "no such store in this cluster", repr(store), listed(cluster.stores), remedy, needs=needs)
    yield from _files(path, model.weights, cluster)


def _files(path: Path, given: WeightsSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    if given.files is None:
        return
    where = (*path, "weights", "files")
    if cluster.cloud is Cloud.AZURE:
        # What puts a blob signs with the account's key, which `infra.clouds.azure.object_store` does not let in.
        message = "a storage account here lets in neither shared keys nor a network but the cluster's"
        remedy = "leave files out, and put them there from inside of the network"
        yield Finding(where, message, repr(given.files), "none on Azure", remedy, needs=(where, (*path[:2], "cloud")))
    elif (wrong := weights.fault(given.files)) is not None:
        message, remedy = wrong
        yield Finding(where, message, repr(given.files), f"a folder with at most {weights.MOST_MIB} MiB", remedy)


def together(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """Two models whose files would lie in one place of one store."""
    seen: dict[tuple[str, str], str] = {}
    for name, model in cluster.models.items():
        if model.weights is None or model.weights.files is None:
            continue
        place = (model.weights.store, model.weights.path.strip("/"))
        if (other := seen.setdefault(place, name)) != name:
            where = (*path, "models", name, "weights", "path")
            there = (*path, "models", other, "weights")
            message = f"model {other} has its files there already"
            needs = (where, (*where[:-1], "store"), (*there, "path"), (*there, "store"))
            yield Finding(where, message, repr(place[1]), "a path of its own", "give each model a path", needs=needs)
