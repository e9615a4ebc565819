"""Facts about a cluster's place: region, zones, address range and version, and its system pool."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from fleet.catalog.clouds import Cloud, regions, zones
from fleet.catalog.fabric import GPUDIRECT_RANGE, Fabric
from fleet.catalog.machines import machine, machines
from fleet.checks import existing_network
from fleet.checks.finding import Finding, Path, fields, listed, nearest
from fleet.spec import ClusterSpec, NodesSpec
from fleet.spec_network import Nat

PRIVATE = tuple(IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
# AKS's pods and services live here (infra/clouds/azure); a network over them would swallow their routes.
_AKS_TAKEN = tuple(IPv4Network(n) for n in ("100.64.0.0/12", "100.80.0.0/16"))
# infra/clouds/aws cuts a VPC for so many.
_MOST_ZONES = 4


def check(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of a cluster apart from its pools and models."""
    known = regions(cluster.cloud)
    if cluster.region not in known:
        remedy = nearest(cluster.region, known, "use a region of the catalogue")
        yield Finding(
            (*path, "region"),
            f"{cluster.cloud} has no region the catalogue knows by that name",
            repr(cluster.region),
            listed(known),
            remedy,
            needs=fields(path, "region", "cloud"),
        )
    if cluster.network.existing:
        yield from existing_network.check(path, cluster, cluster.network.existing)
    else:
        yield from _network(path, cluster)
    yield from _system_pool(path, cluster)


def _network(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    net, where = cluster.network, (*path, "network")
    if not 16 <= net.cidr.prefixlen <= 20:
        yield Finding(
            (*where, "cidr"), f"a /{net.cidr.prefixlen} does not fit a cluster", str(net.cidr), "/16 to /20", "use 10.0.0.0/16"
        )
    elif not any(net.cidr.subnet_of(private) for private in PRIVATE):
        yield Finding((*where, "cidr"), "is not a private range", str(net.cidr), listed(PRIVATE), "use 10.0.0.0/16")
    elif cluster.cloud is Cloud.AZURE and any(net.cidr.overlaps(taken) for taken in _AKS_TAKEN):
        needs = fields(path, "network.cidr", "cloud")
        allowed = "outside 100.64.0.0/12"
        yield Finding(
            (*where, "cidr"), "AKS's pods and services live there", str(net.cidr), allowed, "use 10.0.0.0/16", needs=needs
        )
    yield from _beside_fabric(path, cluster)
    place = fields(path, "network.zones", "cloud", "region")
    if cluster.cloud is Cloud.AWS and net.zones < 2:
        needs = fields(path, "network.zones", "cloud")
        yield Finding(
            (*where, "zones"), "EKS needs subnets in two zones", str(net.zones), "2 to 4", "set zones: 2", needs=needs
        )
    elif cluster.region in regions(cluster.cloud) and net.zones > (most := len(zones(cluster.cloud, cluster.region))):
        message = f"{cluster.region} has {most} zones"
        yield Finding((*where, "zones"), message, str(net.zones), f"1 to {most}", f"set zones: {most}", needs=place)
    yield from _subnets(path, cluster)
    if cluster.cloud is Cloud.AZURE and net.nat is Nat.NONE and not cluster.api.private:
        message = "AKS without a way out needs a private API: its nodes could not reach a public one"
        needs = fields(path, "network.nat", "cloud", "api.private")
        remedy = "set api.private: true, or nat: single"
        yield Finding((*where, "nat"), message, repr(str(net.nat)), "single or per-zone", remedy, needs=needs)


def _beside_fabric(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """A node that is in the cluster's network and in its pool's further ones must tell them apart."""
    having = [name for name, pool in cluster.pools.items() if pool.fabric is Fabric.GPUDIRECT]
    if having and cluster.cloud is Cloud.GCP and cluster.network.cidr.overlaps(GPUDIRECT_RANGE):
        where = (*path, "network", "cidr")
        message = f"the fabric of pool {having[0]} has {GPUDIRECT_RANGE}"
        needs = (where, (*path, "cloud"), *((*path, "pools", name, "fabric") for name in having))
        got, allowed = str(cluster.network.cidr), f"outside {GPUDIRECT_RANGE}"
        yield Finding(where, message, got, allowed, "use 10.0.0.0/16", needs=needs)


def _subnets(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """The network has subnets in every zone that a pool names, and room for those of so many zones."""
    if cluster.cloud is not Cloud.AWS or cluster.region not in regions(cluster.cloud):
        return
    known, named, read = zones(cluster.cloud, cluster.region), set[str](), list[Path]()
    for name, pool in cluster.pools.items():
        named.update(zone for zone in pool.zones if zone in known)
        read.append((*path, "pools", name, "zones"))
        if len(named) > _MOST_ZONES:
            message = f"the pools' zones are {len(named)} with these, a network has subnets in {_MOST_ZONES}"
            allowed = f"{_MOST_ZONES} zones among all pools"
            needs = (*read, *fields(path, "cloud", "region"))
            yield Finding(read[-1], message, listed(pool.zones), allowed, "take zones that another pool has", needs=needs)
            return


def _system_pool(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    pool, where = cluster.system_pool, (*path, "system_pool")
    if pool.nodes.min == 0:
        message = "a system pool at zero has nothing left that could scale it up"
        yield Finding((*where, "nodes", "min"), message, "0", f"1 to {pool.nodes.max}", "set min: 1")
    else:
        yield from bounds((*where, "nodes"), pool.nodes, least=1)
    plain = [m.name for m in machines() if m.cloud is cluster.cloud and m.accelerator is None]
    if pool.machine is None or pool.machine in plain:
        return
    row = machine(cluster.cloud, pool.machine)
    if row is not None and row.accelerator is not None:
        message = f"a {pool.machine} carries {row.accelerator.name}: the system pool is for CPU machines"
    else:
        message = f"is no machine type the catalogue knows on {cluster.cloud}"
    remedy = nearest(pool.machine, plain, "use a CPU machine of the catalogue")
    needs = fields(path, "system_pool.machine", "cloud")
    yield Finding((*where, "machine"), message, repr(pool.machine), listed(plain), remedy, needs=needs)


def bounds(path: Path, nodes: NodesSpec, *, least: int = 0) -> Iterator[Finding]:
    """Faults between a pool's min, max and start; `least` is what min may be."""
    low, high, start = nodes.min, nodes.max, nodes.start
    if low > high:
        message = f"min {low} is more than max {high}"
        remedy = f"raise max to {low}, or lower min"
        yield Finding((*path, "min"), message, str(low), f"{least} to {high}", remedy, needs=fields(path, "min", "max"))
    elif start is not None and not low <= start <= high:
        needs = fields(path, "min", "max", "start")
        message = "start is outside min and max"
        yield Finding((*path, "start"), message, str(start), f"{low} to {high}", "move it inside", needs=needs)


def overlaps(clusters: dict[str, ClusterSpec]) -> Iterator[Finding]:
    """Clusters of one stack whose address ranges overlap: they could never be connected."""
    seen: list[tuple[str, IPv4Network]] = []
    for name, cluster in clusters.items():
        if cluster.cloud is Cloud.EXISTING or cluster.network.existing:
            continue
        cidr = cluster.network.cidr
        for other, taken in seen:
            if cidr.overlaps(taken):
                path: Path = ("clusters", name, "network", "cidr")
                needs = (path, ("clusters", other, "network", "cidr"))
                message = f"overlaps the network of cluster {other}"
                yield Finding(path, message, str(cidr), f"a range outside {taken}", "move one of them", needs=needs)
                break
        seen.append((name, cidr))
