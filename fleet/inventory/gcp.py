"""What resources of pulumi-gcp are paid for. Sizes of a GKE pool are a zone's, and count once for each zone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fleet.catalog.clouds import Cloud, regions, zones
from fleet.inventory.resource import Index, Resource, at, each, number, text
from fleet.inventory.thing import Count, Reader, Thing, bounds

_CLUSTER = "gcp:container/cluster:Cluster"
_TEMPLATES = ("gcp:compute/instanceTemplate:InstanceTemplate", "gcp:compute/regionInstanceTemplate:RegionInstanceTemplate")
_AUTOSCALERS = ("gcp:compute/autoscaler:Autoscaler", "gcp:compute/regionAutoscaler:RegionAutoscaler")
# https://cloud.google.com/kubernetes-engine/docs/reference/rest/v1/NodeConfig
_GKE_MACHINE, _GKE_DISK_GIB, _GKE_DISK = "e2-medium", 100, "pd-balanced"
_ZONE = re.compile(r"^([a-z]+-[a-z]+\d+)-[a-z]$")
# Regional clusters of GKE take three zones unless they name theirs.
_GKE_ZONES = 3


def region(resource: Resource) -> str | None:
    """By its zone, its own word, or its provider, whose zone stands for its region."""
    place = text(resource.props, "zone", "location", "region") or resource.region
    if not place:
        return None
    place = place.rsplit("/", 1)[-1]
    zone = _ZONE.match(place)
    return zone[1] if zone else place


def _thing(resource: Resource, kind: Any, what: str, count: Count | None = (1, 1, 1), **more: Any) -> Thing:
    return Thing(kind=kind, resource=resource, cloud=Cloud.GCP, region=region(resource), what=what, count=count, **more)


def _machines(resource: Resource, config: Any, count: Count | None, machine: str | None, unknown: str = "") -> Thing:
    guests = each(config, "guestAccelerators", "guestAccelerator")
    gpu = next(((kind, many) for one in guests if (kind := text(one, "type")) and (many := number(one, "count"))), None)
    model = text(config, "scheduling.provisioningModel") or ""
    spot = any(at(config, path) is True for path in ("spot", "preemptible", "scheduling.preemptible")) or model == "SPOT"
    name = machine.rsplit("/", 1)[-1] if machine else None
    return _thing(
        resource,
        "machines",
        (name or "machines") + (f" with {gpu[1]} {gpu[0].rsplit('/', 1)[-1]}" if gpu else ""),
        count,
        machine=name,
        gpu=(gpu[0].rsplit("/", 1)[-1], gpu[1]) if gpu else None,
        purchase="spot" if spot else "on-demand",
        unknown=unknown or ("" if name else "its machine type is not in the file"),
    )


def _disk(resource: Resource, kind: str, gib: int, count: Count | None = (1, 1, 1)) -> Thing:
    return _thing(resource, "disk", f"{gib} GiB {kind}", count, disk=(kind, gib))


def _boot(resource: Resource, config: Any, count: Count | None) -> Iterator[Thing]:
    """The disks of an instance, or of a template's."""
    boot = at(config, "bootDisk.initializeParams")
    if boot is not None and (size := number(boot, "size")):
        yield _disk(resource, text(boot, "type") or "pd-standard", size, count)
    for disk in each(config, "disks", "disk"):
        if size := number(disk, "diskSizeGb"):
            yield _disk(resource, text(disk, "diskType") or "pd-standard", size, count)


def _instance(resource: Resource, index: Index) -> Iterator[Thing]:
    yield _machines(resource, resource.props, (1, 1, 1), text(resource.props, "machineType"))
    yield from _boot(resource, resource.props, (1, 1, 1))


def _group(resource: Resource, index: Index) -> Iterator[Thing]:
    size = number(resource.props, "targetSize")
    count = bounds(size, size, size)
    for scaler in index.of(*_AUTOSCALERS):
        if index.behind(scaler, "target", resource.type) is resource:
            policy = at(scaler.props, "autoscalingPolicy")
            count = bounds(number(policy, "minReplicas"), size, number(policy, "maxReplicas"))
    path = "versions.instanceTemplate"
    template = index.behind(resource, path, *_TEMPLATES)
    config = template.props if template else {}
    yield _machines(resource, config, count, text(config, "machineType"))
    yield from _boot(resource, config, count)


def _zones(resource: Resource, cluster: Resource | None) -> int:
    """In how many zones a pool's nodes stand."""
    for one in (resource, cluster):
        if one and (named := each(one.props, "nodeLocations")):
            # A cluster's further zones come to its own where its location is a zone.
            own = text(one.props, "location") or ""
            return len({*named, own}) if _ZONE.match(own) and one is cluster else len(named)
    place = next((p for one in (resource, cluster) if one and (p := text(one.props, "location"))), resource.region or "")
    if _ZONE.match(place):
        return 1
    known = len(zones(Cloud.GCP, place)) if place in regions(Cloud.GCP) else _GKE_ZONES
    return min(_GKE_ZONES, known)


def _pool_count(props: Any, zone_count: int) -> Count | None:
    scaling = at(props, "autoscaling")
    start = number(props, "nodeCount", "initialNodeCount")
    if scaling:
        total = bounds(number(scaling, "totalMinNodeCount"), None, number(scaling, "totalMaxNodeCount"))
        if number(scaling, "totalMaxNodeCount") is not None:
            return total
        each_zone = bounds(number(scaling, "minNodeCount"), start, number(scaling, "maxNodeCount"))
    else:
        each_zone = bounds(start, start, start)
    return None if each_zone is None else (each_zone[0] * zone_count, each_zone[1] * zone_count, each_zone[2] * zone_count)


def _nodes(resource: Resource, config: Any, count: Count | None) -> Iterator[Thing]:
    machine = text(config, "machineType") or _GKE_MACHINE
    yield _machines(resource, config, count, machine)
    yield _disk(resource, text(config, "diskType") or _GKE_DISK, number(config, "diskSizeGb") or _GKE_DISK_GIB, count)


def _node_pool(resource: Resource, index: Index) -> Iterator[Thing]:
    cluster = index.behind(resource, "cluster", _CLUSTER)
    count = _pool_count(resource.props, _zones(resource, cluster))
    yield from _nodes(resource, at(resource.props, "nodeConfig"), count)


def _cluster(resource: Resource, index: Index) -> Iterator[Thing]:
    props = resource.props
    yield _thing(resource, "control-plane", "GKE control plane", service="control-plane")
    if at(props, "enableAutopilot") is True:
        yield _thing(resource, "service", "Autopilot pods", unknown="paid by use: the pods' vCPUs, memory and accelerators")
        return
    inline = each(props, "nodePools")
    if inline and not any(True for _ in index.of("gcp:container/nodePool:NodePool")):
        for pool in inline:
            yield from _nodes(resource, at(pool, "nodeConfig"), _pool_count(pool, _zones(resource, None)))
    elif at(props, "removeDefaultNodePool") is not True and (start := number(props, "initialNodeCount")):
        many = start * _zones(resource, None)
        yield from _nodes(resource, at(props, "nodeConfig"), (many, many, many))


def _volume(resource: Resource, index: Index) -> Iterator[Thing]:
    if size := number(resource.props, "size"):
        yield _disk(resource, (text(resource.props, "type") or "pd-standard").rsplit("/", 1)[-1], size)
    else:
        yield _thing(resource, "service", "a disk", unknown="its size is that of its image or snapshot")


def _nat(resource: Resource, index: Index) -> Iterator[Thing]:
    yield _thing(resource, "nat", "Cloud NAT", service="nat-a-node")


def _rule(resource: Resource, index: Index) -> Iterator[Thing]:
    yield _thing(resource, "load-balancer", "forwarding rule", service="forwarding-rules")


READERS: dict[str, Reader] = {
    "gcp:compute/instance:Instance": _instance,
    "gcp:compute/instanceGroupManager:InstanceGroupManager": _group,
    "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager": _group,
    "gcp:container/nodePool:NodePool": _node_pool,
    _CLUSTER: _cluster,
    "gcp:compute/disk:Disk": _volume,
    "gcp:compute/routerNat:RouterNat": _nat,
    "gcp:compute/forwardingRule:ForwardingRule": _rule,
    "gcp:compute/globalForwardingRule:GlobalForwardingRule": _rule,
}
