"""Facts about a model's weights: their store or image, the folder that they come from, and where they are kept."""

from __future__ import annotations

from collections.abc import Iterator

from fleet import weights
from fleet.catalog.clouds import Cloud
from fleet.catalog.servers import Server, server_in
from fleet.checks import images
from fleet.checks.finding import Finding, Path, fields, listed, nearest
from fleet.spec import ClusterSpec, ModelSpec
from fleet.spec_serving import WeightsSpec

# From here on the kubelet mounts images unless told otherwise; the nodes need containerd 2.1.
# https://kubernetes.io/docs/concepts/storage/volumes/#image, read 2026-11-30.
_IMAGE_VOLUMES = 35
_OF_STORE = ("path", "files", "cache")


def check(path: Path, model: ModelSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of where a model at `path` has its weights."""
    if model.weights is None:
        return
    where, given = (*path, "weights"), model.weights
    if given.image is not None:
        yield from _in_image(where, given, cluster)
        return
    if cluster.cloud is Cloud.EXISTING:
        message = "an existing cluster has no store of ours to read weights from"
        remedy = "leave weights out, or name an image that brings them"
        yield Finding(where, message, remedy=remedy, at_key=True, needs=(where, (*path[:2], "cloud")))
        return
    if given.store is None:
        message = "nothing says where the weights are"
        remedy = "add store: and the name of a store, or image:"
        yield Finding(where, message, allowed="store, image", remedy=remedy, at_key=True)
    elif given.store not in cluster.stores:
        at, store = (*where, "store"), given.store
        remedy = nearest(store, cluster.stores, "add it under stores:")
        needs = (at, (*path[:2], "stores", store))
        yield Finding(at, "no such store in this cluster", repr(store), listed(cluster.stores), remedy, needs=needs)
    yield from _files(path, given, cluster)
    yield from _cache(path, model, given)


def _in_image(where: Path, given: WeightsSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    at, minor = (*where, "image"), (*where[:2], "kubernetes")
    assert given.image is not None, "the caller looked"
    if given.store is not None:
        message, needs = "the weights are in a store already", (at, (*where, "store"))
        yield Finding(at, message, repr(given.image), "store or image", "remove one of the two", at_key=True, needs=needs)
        return
    yield from images.check(at, given.image)
    for key in _OF_STORE:
        if key in given.model_fields_set:
            message = "is of weights in a store, and these are in an image"
            place = (*where, key)
            yield Finding(place, message, allowed="with store:", remedy="remove it", at_key=True, needs=(place, at))
    if cluster.kubernetes is not None and int(cluster.kubernetes.partition(".")[2]) < _IMAGE_VOLUMES:
        message = f"Kubernetes {cluster.kubernetes} mounts no images: that takes 1.{_IMAGE_VOLUMES}"
        remedy = "update the cluster, or put the weights into a store"
        yield Finding(at, message, repr(given.image), f"on 1.{_IMAGE_VOLUMES} and later", remedy, needs=(at, minor))


def _cache(path: Path, model: ModelSpec, given: WeightsSpec) -> Iterator[Finding]:
    if given.cache is None:
        return
    where = (*path, "weights", "cache")
    if len(given.cache.given) != 1:
        message = f"weights are kept in one place, and {listed(given.cache.given)} say where"
        allowed = "one of node, claim, storage_class"
        yield Finding(where, message, allowed=allowed, remedy="keep one of them", at_key=True)
    elif server_in(model.image) is Server.VLLM:
        message = "vLLM streams weights from the store into the accelerator, and keeps nothing on a disk"
        remedy = "remove it, or put the weights into an image (weights.image)"
        needs = (where, *fields(path, "image"))
        yield Finding(where, message, allowed="with another server", remedy=remedy, at_key=True, needs=needs)


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
        if model.weights is None or model.weights.files is None or model.weights.store is None:
            continue
        place = (model.weights.store, model.weights.path.strip("/"))
        if (other := seen.setdefault(place, name)) != name:
            where = (*path, "models", name, "weights", "path")
            there = (*path, "models", other, "weights")
            message = f"model {other} has its files there already"
            needs = (where, (*where[:-1], "store"), (*there, "path"), (*there, "store"))
            yield Finding(where, message, repr(place[1]), "a path of its own", "give each model a path", needs=needs)
