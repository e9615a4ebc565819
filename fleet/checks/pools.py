"""Facts about accelerator pools: does the cloud have it, here, in that size and shape."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fleet.catalog.accelerators import ACCELERATORS, Family
from fleet.catalog.clouds import Cloud, regions, zones
from fleet.catalog.machines import Machine, machine, machines, machines_with, regions_with
from fleet.catalog.tpu import TOPOLOGIES, tpu_slice
from fleet.checks.finding import Finding, Path, listed, nearest
from fleet.plan import disk_gib
from fleet.spec import ClusterSpec, ModelSpec, PoolSpec

# Kubernetes' own syntax of label keys and values.
_LABEL_KEY = re.compile(r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")
_LABEL_VALUE = re.compile(r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")
# Ours, and what the clouds keep for themselves: EKS and AKS refuse pools with such labels.
_RESERVED = ("accelfleet.io/", "kubernetes.io/", "k8s.io/", "eks.amazonaws.com/", "cloud.google.com/", "kubernetes.azure.com/")
# AKS caps a node's operating-system disk at 2 TiB.
_LARGEST_AKS_DISK_GIB = 2048


def check(path: Path, name: str, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of one pool; what depends on an unknown accelerator or region is not asked."""
    yield from _bounds(path, pool)
    yield from _labels(path, pool)
    yield from _zones(path, pool, cluster)
    yield from _disk(path, name, pool, cluster)
    accelerator = ACCELERATORS.get(pool.accelerator)
    if accelerator is None:
        remedy = nearest(pool.accelerator, ACCELERATORS, "use a name of the catalogue")
        yield Finding((*path, "accelerator"), "no such accelerator", repr(pool.accelerator), listed(ACCELERATORS), remedy)
        return
    if accelerator.withdrawn:
        yield Finding(
            (*path, "accelerator"),
            f"is withdrawn: {accelerator.withdrawn}",
            pool.accelerator,
            _offered(cluster.cloud),
            "choose another one",
        )
        return
    offered = machines_with(cluster.cloud, pool.accelerator)
    if not offered:
        others = sorted({m.cloud for m in machines() if m.accelerator is accelerator})
        message = f"{cluster.cloud} has no {pool.accelerator}"
        yield Finding(
            (*path, "accelerator"), message, allowed=f"it is on {listed(others)}", remedy="choose another accelerator or cloud"
        )
        return
    if accelerator.family is Family.TPU:
        yield from _tpu(path, pool, cluster)
    elif pool.topology is not None:
        remedy = "remove it, or choose a TPU"
        message = f"only TPUs have a topology, {pool.accelerator} is none"
        yield Finding((*path, "topology"), message, repr(pool.topology), listed(TOPOLOGIES), remedy)
    else:
        yield from _machine(path, pool, cluster)


def _offered(cloud: Cloud) -> str:
    rows = {m.accelerator for m in machines() if m.cloud is cloud and m.accelerator}
    return listed(sorted(a.name for a in rows if not a.withdrawn))


def _bounds(path: Path, pool: PoolSpec) -> Iterator[Finding]:
    nodes = pool.nodes
    where = (*path, "nodes")
    if nodes.min > nodes.max:
        yield Finding(
            (*where, "min"), f"min {nodes.min} is more than max {nodes.max}", str(nodes.min), f"0 to {nodes.max}", "swap them"
        )
    elif nodes.start is not None and not nodes.min <= nodes.start <= nodes.max:
        yield Finding(
            (*where, "start"), "start is outside min and max", str(nodes.start), f"{nodes.min} to {nodes.max}", "move it inside"
        )


def _labels(path: Path, pool: PoolSpec) -> Iterator[Finding]:
    for key, value in pool.labels.items():
        where = (*path, "labels", key)
        prefix = key.rpartition("/")[0]
        if any(prefix == r[:-1] or prefix.endswith("." + r[:-1]) for r in _RESERVED):
            yield Finding(
                where,
                f"label '{key}' has a prefix that is not yours",
                allowed="a prefix of your own",
                remedy="rename it",
                at_key=True,
            )
        elif not _LABEL_KEY.match(key):
            yield Finding(where, f"'{key}' is no label key", allowed=_LABEL_KEY.pattern, remedy="rename it", at_key=True)
        elif not _LABEL_VALUE.match(value):
            yield Finding(where, "is no label value", repr(value), "up to 63 letters, digits, - _ .", "shorten or clean it")


def _zones(path: Path, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    if cluster.region not in regions(cluster.cloud):
        return
    known = zones(cluster.cloud, cluster.region)
    for i, zone in enumerate(pool.zones):
        if zone not in known:
            remedy = nearest(zone, known, "use a zone of the region")
            yield Finding((*path, "zones", i), f"{cluster.region} has no zone {zone}", repr(zone), listed(known), remedy)


def _disk(path: Path, name: str, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    if pool.disk_gib is None:
        return
    where = (*path, "disk_gib")
    if cluster.cloud is Cloud.AZURE and pool.disk_gib > _LARGEST_AKS_DISK_GIB:
        yield Finding(
            where, "AKS has no such large node disk", str(pool.disk_gib), f"up to {_LARGEST_AKS_DISK_GIB}", "make it smaller"
        )
        return
    models: list[ModelSpec] = [m for m in cluster.models.values() if m.pool == name]
    least = disk_gib(models)
    if models and pool.disk_gib < least:
        message = "is too small for the images and weights of its models (pods would be evicted in a loop)"
        yield Finding(
            where, message, str(pool.disk_gib), f"at least {least}", f"set {least}, or leave it out to have it computed"
        )


def _machine(path: Path, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    known_region = cluster.region in regions(cluster.cloud)
    if pool.machine is not None:
        named = machine(cluster.cloud, pool.machine)
        carries = machine(cluster.cloud, pool.machine, pool.accelerator)
        fitting = [m.name for m in machines_with(cluster.cloud, pool.accelerator)]
        if carries is None:
            what = f"has no {pool.accelerator}" if named else f"is no machine type the catalogue knows on {cluster.cloud}"
            remedy = nearest(pool.machine, fitting, "use one of the allowed machines")
            yield Finding((*path, "machine"), f"{pool.machine} {what}", repr(pool.machine), listed(fitting), remedy)
        elif pool.per_node is not None and carries.accelerators != pool.per_node:
            message = f"{pool.machine} has {carries.accelerators} {pool.accelerator}, per_node says {pool.per_node}"
            yield Finding(
                (*path, "per_node"),
                message,
                str(pool.per_node),
                str(carries.accelerators),
                "leave per_node out, or change the machine",
            )
        elif known_region:
            yield from _in_region((*path, "machine"), carries, cluster)
        return
    sizes = sorted({m.accelerators for m in machines_with(cluster.cloud, pool.accelerator)})
    if pool.per_node is not None and pool.per_node not in sizes:
        message = f"no {cluster.cloud} machine has {pool.per_node} {pool.accelerator}"
        yield Finding((*path, "per_node"), message, str(pool.per_node), listed(sizes), "use a size on offer")
        return
    fits = [m for m in machines_with(cluster.cloud, pool.accelerator) if pool.per_node in (None, m.accelerators)]
    if known_region and not any(cluster.region in regions_with(m) for m in fits):
        places = sorted({r for m in fits for r in regions_with(m)})
        field = "accelerator" if pool.per_node is None else "per_node"
        message = f"{cluster.region} offers no {pool.accelerator}" + (f" with {pool.per_node} a node" if pool.per_node else "")
        yield Finding(
            (*path, field), message, allowed=f"in {listed(places)}", remedy="move the cluster, or choose another accelerator"
        )


def _in_region(path: Path, row: Machine, cluster: ClusterSpec) -> Iterator[Finding]:
    places = regions_with(row)
    if cluster.region not in places:
        message = f"{row.name} is not on offer in {cluster.region}"
        yield Finding(path, message, repr(row.name), f"in {listed(places)}", "move the cluster, or choose another machine")


def _tpu(path: Path, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    shapes = TOPOLOGIES[pool.accelerator]
    if pool.topology is None:
        yield Finding(path, "a TPU pool needs a topology", allowed=listed(shapes), remedy="add topology:", at_key=True)
        return
    if pool.topology not in shapes:
        yield Finding(
            (*path, "topology"),
            f"{pool.accelerator} has no such topology",
            repr(pool.topology),
            listed(shapes),
            "use a shape on offer",
        )
        return
    shape = tpu_slice(pool.accelerator, pool.topology)
    if pool.machine not in (None, shape.machine.name):
        message = f"a {pool.topology} slice is made of {shape.machine.name}"
        yield Finding((*path, "machine"), message, repr(pool.machine), shape.machine.name, "leave machine out")
    if pool.per_node not in (None, shape.machine.accelerators):
        message = f"a host of a {pool.topology} slice has {shape.machine.accelerators} chips"
        yield Finding((*path, "per_node"), message, str(pool.per_node), str(shape.machine.accelerators), "leave per_node out")
    if cluster.region in regions(cluster.cloud):
        yield from _in_region((*path, "accelerator"), shape.machine, cluster)
    if not shape.multi_host:
        return
    if pool.nodes.max != shape.hosts or pool.nodes.min not in (0, shape.hosts):
        message = f"a {pool.topology} slice of {pool.accelerator} is {shape.hosts} hosts, all or none"
        got = f"min {pool.nodes.min}, max {pool.nodes.max}"
        remedy = f"set nodes: {{min: {shape.hosts}, max: {shape.hosts}}}"
        yield Finding((*path, "nodes"), message, got, f"min and max {shape.hosts}", remedy)
    if len(pool.zones) > 1:
        yield Finding(
            (*path, "zones"), "a multi-host slice lives in one zone", listed(pool.zones), "one zone", "keep one of them"
        )
