"""Facts about a pool's fabric: whether its cloud and machine have it, and how far it reaches."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.clouds import zones
from fleet.catalog.fabric import Fabric, NodeFabric, node_fabric, of_cloud
from fleet.catalog.machines import machines_with
from fleet.checks.finding import Finding, Path, fields, listed
from fleet.plan import choose_machine, pool_zones
from fleet.spec import ClusterSpec, PoolSpec


def check(path: Path, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of `fabric`; at most one."""
    if pool.fabric is None:
        return
    where = (*path, "fabric")
    needs = (where, *fields(path, "accelerator", "machine", "per_node"), *fields(path[:2], "cloud", "region"))
    if pool.fabric is not (native := of_cloud(cluster.cloud)):
        message = f"{cluster.cloud} has no {pool.fabric}"
        yield Finding(
            where, message, repr(str(pool.fabric)), str(native), f"set fabric: {native}, or leave it out", needs=needs
        )
        return
    try:
        row = choose_machine(pool, cluster)
    except LookupError:
        return
    found = node_fabric(row)
    if found is None:
        having = [m for m in machines_with(cluster.cloud, pool.accelerator, cluster.region) if node_fabric(m)]
        remedy = "leave fabric out, or choose another accelerator"
        if having:
            nearest = min(having, key=lambda m: abs(m.accelerators - row.accelerators))
            remedy = f"set machine: {nearest.name}, or leave fabric out"
        allowed = f"with {pool.accelerator} there: {listed(m.name for m in having) if having else 'none'}"
        yield Finding(where, f"{row.name} has no {pool.fabric}", repr(str(pool.fabric)), allowed, remedy, needs=needs)
    else:
        yield from _reach(path, pool, cluster, row.name, found, needs)


def _reach(
    path: Path, pool: PoolSpec, cluster: ClusterSpec, machine: str, found: NodeFabric, needs: tuple[Path, ...]
) -> Iterator[Finding]:
    """One zone, which has the machine; and with it all rungs that are to talk to each other."""
    at = (*path, "zones")
    known = [zone for zone in zones(cluster.cloud, cluster.region) if zone in found.zones]
    if len(pool.zones) > 1:
        message = f"{pool.fabric} does not reach from one zone to another"
        keep = next((zone for zone in pool.zones if zone in known), pool.zones[0])
        yield Finding(at, message, listed(pool.zones), "one zone", f"keep {keep}", needs=(at, *needs))
    elif known and pool.zones and pool.zones[0] not in known:
        message = f"{pool.zones[0]} has no {machine}, nor a network for its {pool.fabric}"
        remedy = f"set zones: [{known[0]}], or leave zones out"
        yield Finding((*at, 0), message, repr(pool.zones[0]), listed(known), remedy, needs=(at, *needs))
    elif pool.fabric is Fabric.INFINIBAND and len(pool.ladder) > 1:
        place = (*path, "capacity", 1) if pool.capacity else (*path, "fallback")
        message = "each rung is a scale set of its own, and InfiniBand does not reach from one to another"
        remedy = "keep one rung" if pool.capacity else "leave fallback out"
        read = (*needs, *fields(path, "capacity", "fallback"))
        yield Finding(place, message, repr(str(pool.ladder[1].purchase)), "one way to buy", remedy, needs=read)
    elif pool.fabric is Fabric.GPUDIRECT:
        yield from _rungs(path, pool, cluster, found, needs)


def _rungs(path: Path, pool: PoolSpec, cluster: ClusterSpec, found: NodeFabric, needs: tuple[Path, ...]) -> Iterator[Finding]:
    """All rungs of a GKE pool are in the same further networks, and an RDMA one belongs to its zone."""
    first = pool_zones(pool, cluster, found)[0]
    for i, rung in enumerate(pool.capacity):
        if rung.zone not in (None, first):
            where = (*path, "capacity", i, "zone")
            message = f"the pool's {pool.fabric} is in {first}, and does not reach from one zone to another"
            remedy = f"set zones: [{rung.zone}] on the pool, or zone: {first} here"
            read = (where, (*path, "zones"), *needs)
            yield Finding(where, message, repr(rung.zone), first, remedy, needs=read)
            return
