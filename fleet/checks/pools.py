"""Facts about accelerator pools: does the cloud have it, here, in that size and shape."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from fleet.catalog.accelerators import ACCELERATORS
from fleet.catalog.clouds import Cloud, regions, zones
from fleet.catalog.machines import machine, machines, machines_with, regions_with
from fleet.catalog.tpu import TOPOLOGIES, nearest_topology, tpu_slice
from fleet.checks import allocation, fabric, neuron, numa, purchase, sharing
from fleet.checks.finding import Finding, Path, fields, listed, nearest
from fleet.checks.network import bounds
from fleet.plan import LARGEST_DISK_GIB, needed_gib
from fleet.spec import ClusterSpec, PoolSpec

# Kubernetes' own syntax of label keys and values.
_LABEL_KEY = re.compile(r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$")
_LABEL_VALUE = re.compile(r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$")
# Ours, and what the clouds keep for themselves: EKS and AKS refuse pools with such labels.
_RESERVED = ("accelfleet.io/", "kubernetes.io/", "k8s.io/", "eks.amazonaws.com/", "cloud.google.com/", "kubernetes.azure.com/")


def check(path: Path, name: str, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of one pool; what depends on an unknown accelerator or region is not asked."""
    yield from _labels(path, pool)
    yield from numa.check(path, pool, cluster)
    if cluster.cloud is Cloud.EXISTING:
        return  # what its hosts are is `fleet.checks.existing`'s
    yield from bounds((*path, "nodes"), pool.nodes)
    yield from _zones(path, pool, cluster)
    yield from _disk(path, name, pool, cluster)
    yield from sharing.check(path, pool, cluster)
    yield from allocation.check(path, pool, cluster)
    yield from purchase.check(path, name, pool, cluster)
    yield from fabric.check(path, pool, cluster)
    yield from neuron.check(path, pool, cluster)
    hardware = _tpu if pool.accelerator in TOPOLOGIES else _machine
    yield from _accelerator(path, pool, cluster) or hardware(path, pool, cluster)


def _accelerator(path: Path, pool: PoolSpec, cluster: ClusterSpec) -> list[Finding]:
    """Why this cloud cannot offer the accelerator at all; empty where it does."""
    where, got = (*path, "accelerator"), repr(pool.accelerator)
    accelerator = ACCELERATORS.get(pool.accelerator)
    if accelerator is None:
        remedy = nearest(pool.accelerator, ACCELERATORS, "use a name of the catalogue")
        return [Finding(where, "no such accelerator", got, listed(ACCELERATORS), remedy)]
    if accelerator.withdrawn:
        message = f"is withdrawn: {accelerator.withdrawn}"
        return [Finding(where, message, got, _offered(cluster.cloud), "choose another one")]
    if accelerator.instead:
        message = f"no pool here can have it: {accelerator.instead}"
        return [Finding(where, message, got, _offered(cluster.cloud), "choose another one")]
    if not machines_with(cluster.cloud, pool.accelerator):
        others = sorted({m.cloud for m in machines() if m.accelerator is accelerator})
        allowed = f"it is on {listed(others)}; {cluster.cloud} has {_offered(cluster.cloud)}"
        remedy = "choose another accelerator or cloud"
        return [
            Finding(where, f"{cluster.cloud} has no {pool.accelerator}", got, allowed, remedy, needs=_on(path, "accelerator"))
        ]
    return []


def _on(path: Path, *names: str) -> tuple[Path, ...]:
    """What a check of the pool's hardware reads: these fields, and where the cluster is."""
    return (*fields(path, *names), (*path[:2], "cloud"), (*path[:2], "region"))


def _offered(cloud: Cloud) -> str:
    rows = {m.accelerator for m in machines() if m.cloud is cloud and m.accelerator}
    return listed(sorted(a.name for a in rows if not a.withdrawn))


def _labels(path: Path, pool: PoolSpec) -> Iterator[Finding]:
    for key, value in pool.labels.items():
        where = (*path, "labels", key)
        prefix = key.rpartition("/")[0]
        if any(prefix == r[:-1] or prefix.endswith("." + r[:-1]) for r in _RESERVED):
            message = f"label '{key}' has a prefix that is not yours"
            yield Finding(where, message, allowed="a prefix of your own", remedy="rename it", at_key=True)
        elif not _LABEL_KEY.match(key):
            yield Finding(where, f"'{key}' is no label key", allowed=_LABEL_KEY.pattern, remedy="rename it", at_key=True)
        elif not _LABEL_VALUE.match(value):
            yield Finding(where, "is no label value", repr(value), "up to 63 letters, digits, - _ .", "shorten or clean it")


def _zones(path: Path, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    if cluster.region not in regions(cluster.cloud):
        return
    known = zones(cluster.cloud, cluster.region)
    for i, zone in enumerate(pool.zones):
        where = (*path, "zones", i)
        if zone not in known:
            remedy = nearest(zone, known, "use a zone of the region")
            message = f"{cluster.region} has no zone {zone}"
            yield Finding(where, message, repr(zone), listed(known), remedy, needs=(where, *_on(path)))
        elif zone in pool.zones[:i]:
            yield Finding(where, f"zone {zone} is named twice", repr(zone), "each zone once", "remove one of the two")


def _disk(path: Path, name: str, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    on_pool = {key: model for key, model in cluster.models.items() if model.pool == name}
    least, most = needed_gib(on_pool.values()), LARGEST_DISK_GIB[cluster.cloud]
    where, cloud = (*path, "disk_gib"), (*path[:2], "cloud")
    read = [field for key in on_pool for field in fields((*path[:2], "models", key), "pool", "weights")]
    got = "" if pool.disk_gib is None else str(pool.disk_gib)
    if least > most:
        message = f"the weights of {listed(on_pool)} need {least} GiB of disk, a node on {cluster.cloud} has {most} at most"
        remedy = "give a model a pool of its own"
        yield Finding(path, message, "", f"up to {most} GiB", remedy, at_key=True, needs=(cloud, *read))
    elif pool.disk_gib is not None and pool.disk_gib > most:
        message = f"a node on {cluster.cloud} has no such large disk"
        yield Finding(where, message, got, f"up to {most}", "make it smaller", needs=(where, cloud))
    elif on_pool and pool.disk_gib is not None and pool.disk_gib < least:
        message = "is too small for the images and weights of its models (pods would be evicted in a loop)"
        remedy = f"set {least}, or leave it out to have it computed"
        yield Finding(where, message, got, f"at least {least}", remedy, needs=(where, *read))


def _machine(path: Path, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of a pool of anything but TPUs, whose accelerator the cloud has."""
    if pool.topology is not None:
        message = f"only TPUs have a topology, {pool.accelerator} is none"
        needs = fields(path, "accelerator", "topology")
        yield Finding((*path, "topology"), message, repr(pool.topology), listed(TOPOLOGIES), "remove it", needs=needs)
    rows = machines_with(cluster.cloud, pool.accelerator)
    needs = _on(path, "accelerator", "machine", "per_node")
    if pool.machine is not None:
        row = machine(cluster.cloud, pool.machine, pool.accelerator)
        if row is None:
            named = machine(cluster.cloud, pool.machine)
            what = f"has no {pool.accelerator}" if named else f"is no machine type the catalogue knows on {cluster.cloud}"
            names = [m.name for m in rows]
            remedy = nearest(pool.machine, names, "use one of the allowed machines")
            read = _on(path, "accelerator", "machine")
            yield Finding((*path, "machine"), f"{pool.machine} {what}", repr(pool.machine), listed(names), remedy, needs=read)
            return
        if pool.per_node not in (None, row.accelerators):
            message = f"{pool.machine} has {row.accelerators} {pool.accelerator}, per_node says {pool.per_node}"
            remedy = "leave per_node out, or change the machine"
            yield Finding((*path, "per_node"), message, str(pool.per_node), str(row.accelerators), remedy, needs=needs)
        yield from _in_region((*path, "machine"), pool, cluster, row.name, regions_with(row), needs)
        return
    rows = tuple(m for m in rows if m.part == 1)
    sizes = sorted({m.accelerators for m in rows})
    if pool.per_node is not None and pool.per_node not in sizes:
        message = f"no {cluster.cloud} machine has {pool.per_node} {pool.accelerator}"
        yield Finding((*path, "per_node"), message, str(pool.per_node), listed(sizes), "use a size on offer", needs=needs)
        return
    places = {region for m in rows if pool.per_node in (None, m.accelerators) for region in regions_with(m)}
    if pool.per_node and any(cluster.region in regions_with(m) for m in rows):
        # The region has the accelerator, only not this many of it in one machine.
        what = f"{pool.accelerator} with {pool.per_node} a node"
        yield from _in_region((*path, "per_node"), pool, cluster, what, sorted(places), needs)
    else:
        yield from _in_region((*path, "accelerator"), pool, cluster, pool.accelerator, sorted(places), needs)


def _in_region(
    path: Path, pool: PoolSpec, cluster: ClusterSpec, what: str, places: Sequence[str], needs: tuple[Path, ...]
) -> Iterator[Finding]:
    if cluster.region in places or cluster.region not in regions(cluster.cloud):
        return
    got = repr(getattr(pool, str(path[-1])))
    if not places:
        message = f"no region the catalogue knows offers {what}"
        here = {m.accelerator.name for m in machines() if m.accelerator and cluster.region in regions_with(m)}
        yield Finding(path, message, got, listed(sorted(here)), "choose another one", needs=needs)
        return
    message = f"{cluster.region} offers no {what}"
    yield Finding(path, message, got, f"it is in {listed(places)}", "move the cluster, or choose another", needs=needs)


def _tpu(path: Path, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    shapes = TOPOLOGIES[pool.accelerator]
    needs = fields(path, "accelerator", "topology")
    if pool.topology is None:
        message = "a TPU pool needs a topology"
        yield Finding(path, message, "", listed(shapes), "add topology:", at_key=True, needs=needs)
        return
    if pool.topology not in shapes:
        remedy = f"nearest: {nearest_topology(pool.accelerator, pool.topology)}"
        message = f"{pool.accelerator} has no such topology"
        yield Finding((*path, "topology"), message, repr(pool.topology), listed(shapes), remedy, needs=needs)
        return
    shape = tpu_slice(pool.accelerator, pool.topology)
    chips, hosts = shape.machine.accelerators, shape.hosts
    if pool.machine not in (None, shape.machine.name):
        message = f"a {pool.topology} slice is made of {shape.machine.name}"
        remedy, read = "leave machine out", (*needs, (*path, "machine"))
        yield Finding((*path, "machine"), message, repr(pool.machine), shape.machine.name, remedy, needs=read)
    if pool.per_node not in (None, chips):
        message = f"a host of a {pool.topology} slice has {chips} chips"
        remedy, read = "leave per_node out", (*needs, (*path, "per_node"))
        yield Finding((*path, "per_node"), message, str(pool.per_node), str(chips), remedy, needs=read)
    what = f"{pool.accelerator} hosts of {chips} chips, {shape.machine.name}"
    yield from _in_region((*path, "accelerator"), pool, cluster, what, regions_with(shape.machine), _on(path, *_HARDWARE))
    if not shape.multi_host:
        return
    low, high = pool.nodes.min, pool.nodes.max
    if low <= high and (low, high) != (hosts, hosts):
        message = f"a {pool.topology} slice of {pool.accelerator} is {hosts} hosts, all or none"
        remedy = f"set nodes: {{min: {hosts}, max: {hosts}}}"
        read = (*needs, *fields(path, "nodes.min", "nodes.max"))
        yield Finding((*path, "nodes"), message, f"min {low}, max {high}", f"min and max {hosts}", remedy, needs=read)
    if len(pool.zones) > 1:
        message, read = "a multi-host slice lives in one zone", (*needs, (*path, "zones"))
        yield Finding((*path, "zones"), message, listed(pool.zones), "one zone", "keep one of them", needs=read)


_HARDWARE = ("accelerator", "topology")
