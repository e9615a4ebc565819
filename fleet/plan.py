"""From a checked cluster spec to its accelerator pools: machine, slice, zones, size and disk, all computed here.

Assumes `fleet.checks` found nothing wrong; makes no resource and reads no file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from fleet.catalog import neuron
from fleet.catalog.accelerators import ACCELERATORS
from fleet.catalog.clouds import Cloud, zones
from fleet.catalog.fabric import NodeFabric, node_fabric
from fleet.catalog.machines import Machine, host, machine, machines_with
from fleet.catalog.nodes import Taint
from fleet.catalog.sharing import Sharing, SharingMode, mig
from fleet.catalog.tpu import TpuSlice, tpu_slice
from fleet.contract import AcceleratorPool, Hosts, Terms
from fleet.spec import Allocation, ClusterSpec, HostDriver, HostsSpec, ModelSpec, PoolSpec, Provisioning, Purchase, RungSpec

# GiB a node's boot disk needs before any weights: the operating system with its agents, and two serving images
# unpacked (vLLM's is about 25 GiB on disk), as an update pulls the new one beside the old (pain 17).
_SYSTEM_GIB = 20
_IMAGES_GIB = 50
_LEAST_GIB = 100
# Of a system node, which runs what the cluster itself needs; AKS's default is left as it is.
SYSTEM_DISK_GIB = 80
# Two letters: AKS allows twelve in a pool's name.
_SHORT = {
    Purchase.RESERVATION: "rs",
    Purchase.CAPACITY_BLOCK: "cb",
    Purchase.FLEX_START: "fs",
    Purchase.SPOT: "sp",
    Purchase.ON_DEMAND: "od",
}
# Nodes of these stand only while pods ask for them: a block has its hours, flex-start comes when it comes.
COMES_AND_GOES = (Purchase.CAPACITY_BLOCK, Purchase.FLEX_START)
# https://cloud.google.com/kubernetes-engine/docs/concepts/dws
LONGEST_FLEX_H = 168
# One volume each: EBS gp3 16 TiB, GCP persistent disk 64 TiB, of which 16 here, AKS's OS disk 2 TiB.
LARGEST_DISK_GIB = {Cloud.AWS: 16384, Cloud.GCP: 16384, Cloud.AZURE: 2048, Cloud.EXISTING: 16384}


def network_zones(cluster: ClusterSpec) -> tuple[str, ...]:
    """The zones the cluster's network has subnets in: the region's first ones, and every one a pool names; of a network that
    is there already, its own.
    """
    region = zones(cluster.cloud, cluster.region)
    if cluster.network.existing and (given := [zone for zone in region if zone in cluster.network.existing.subnets]):
        return tuple(given)
    named = {zone for pool in cluster.pools.values() for zone in (*pool.zones, *(r.zone for r in pool.ladder if r.zone))}
    first = [zone for zone in region if zone in named]
    rest = [zone for zone in region if zone not in named]
    return tuple(sorted([*first, *rest][: max(cluster.network.zones, len(first))]))


def pool_zones(spec: PoolSpec, cluster: ClusterSpec, fabric: NodeFabric | None) -> tuple[str, ...]:
    """Zones of a pool: those it names, else the network's; a fabric has one, of those that its machines are in."""
    known = [zone for zone in zones(cluster.cloud, cluster.region) if fabric and zone in fabric.zones]
    where = tuple(spec.zones) or tuple(known) or network_zones(cluster)
    return where[:1] if fabric else where


def pools(
    stack: str, cluster_name: str, cluster: ClusterSpec, *, pool_name: Callable[[str], str] = str
) -> dict[str, AcceleratorPool]:
    """The cluster's accelerator pools by their names in the stack file.

    Args:
        stack, cluster_name: where they belong; names are unique inside a cluster, so neither is part of a pool's name.
        pool_name: the cloud's rule for a pool's physical name.
    """
    return {
        name: _pool(name, spec, cluster, [m for m in cluster.models.values() if m.pool == name], pool_name)
        for name, spec in cluster.pools.items()
    }


def rung_names(pool: str, spec: PoolSpec) -> list[str]:
    """The names in the cloud of the pools that a pool is there, in the order in which they are bought.

    Those of `capacity` are told apart by how they are bought, so that a rung put in renames no other.

    >>> rung_names("l4", PoolSpec(accelerator="nvidia-l4", purchase="spot", fallback="on-demand"))
    ['l4', 'l4-od']
    """
    if not spec.capacity:
        return [pool, *(f"{pool}-{_SHORT[rung.purchase]}" for rung in spec.ladder[1:])]
    names: list[str] = []
    for rung in spec.capacity:
        name = f"{pool}-{_SHORT[rung.purchase]}"
        alike = sum(other.startswith(name) for other in names)
        names.append(f"{name}{alike + 1}" if alike else name)
    return names


def _pool(
    name: str, spec: PoolSpec, cluster: ClusterSpec, models: list[ModelSpec], pool_name: Callable[[str], str]
) -> AcceleratorPool:
    tpu = tpu_slice(spec.accelerator, spec.topology) if spec.topology else None
    hardware = tpu.machine if tpu else choose_machine(spec, cluster)
    cut = sharing(spec)
    fabric = node_fabric(hardware) if spec.fabric else None
    where = pool_zones(spec, cluster, fabric)
    low, high = spec.nodes.min, spec.nodes.max
    auto = cluster.provisioning is Provisioning.AUTO
    # A provisioner makes nodes for pods that wait, and none before.
    start = 0 if auto else spec.nodes.start
    if start is None:
        start = min(high, max(low, least_nodes(models, hardware, tpu, cut)))
    if tpu and tpu.multi_host:
        # An atomic slice: all hosts or none, in one zone.
        low = high = start = tpu.hosts
        where = where[:1]
    if spec.hosts:
        low = high = start = len(spec.hosts.names)
    whole = AcceleratorPool(
        name=name,
        physical_name=pool_name(name),
        cloud=cluster.cloud,
        region=cluster.region,
        machine=hardware,
        spot=False,
        min_nodes=low,
        max_nodes=high,
        start_nodes=start,
        zones=where,
        disk_gib=spec.disk_gib or min(disk_gib(models), LARGEST_DISK_GIB[cluster.cloud]),
        tpu=tpu,
        sharing=cut,
        dra=spec.allocation is Allocation.DRA,
        fabric=fabric,
        numa=spec.numa,
        climb=spec.climb,
        neuron_scheduler=spec.neuron_scheduler,
        hosts=_hosts(spec.hosts) if spec.hosts else None,
        # GKE's way to say which pool comes first, and what pools it may make; elsewhere cluster-autoscaler has a table.
        compute_class=name if cluster.cloud is Cloud.GCP and (auto or len(spec.ladder) > 1) else None,
        auto=auto,
        extra_labels=dict(spec.labels),
    )
    made: AcceleratorPool | None = None
    for i, (rung, physical) in reversed(list(enumerate(zip(spec.ladder, rung_names(name, spec), strict=True)))):
        made = _rung(whole, rung, pool_name(physical), first=i == 0, below=made)
    assert made is not None, "a ladder has one rung at least"
    return made


def _rung(
    whole: AcceleratorPool, rung: RungSpec, physical: str, *, first: bool, below: AcceleratorPool | None
) -> AcceleratorPool:
    """One pool in the cloud; the nodes that must stand are the first rung's."""
    most = min(rung.nodes or whole.max_nodes, whole.max_nodes)
    stands = first and rung.purchase not in COMES_AND_GOES
    flex = rung.purchase is Purchase.FLEX_START
    plain = rung.purchase in (Purchase.SPOT, Purchase.ON_DEMAND)
    longest_s = (rung.hours or LONGEST_FLEX_H) * 3600 if flex else None
    wait_s = rung.wait_minutes * 60 if rung.wait_minutes else None
    return replace(
        whole,
        physical_name=physical,
        spot=rung.purchase is Purchase.SPOT,
        terms=None if plain else Terms(rung.purchase, rung.reservation, rung.ends, longest_s, wait_s),
        zones=(rung.zone,) if rung.zone else whole.zones,
        min_nodes=min(whole.min_nodes, most) if stands else 0,
        start_nodes=min(whole.start_nodes, most) if stands else 0,
        max_nodes=most,
        fallback=below,
        bound=whole.max_nodes,
    )


def choose_machine(spec: PoolSpec, cluster: ClusterSpec) -> Machine:
    """The machine a pool takes: the one named, else the smallest on offer with that many accelerators.

    Raises:
        LookupError: there is none; `fleet.checks` reports it first, with the field.
    """
    if cluster.cloud is Cloud.EXISTING:
        if spec.hosts is None or spec.accelerator not in ACCELERATORS:
            raise LookupError(f"nobody says what the hosts with {spec.accelerator} are")
        return host(ACCELERATORS[spec.accelerator], spec.per_node or 1, spec.hosts.vcpus, spec.hosts.memory_gib)
    if spec.machine is not None:
        found = machine(cluster.cloud, spec.machine, spec.accelerator)
        if found is None:
            raise LookupError(f"no {spec.machine} with {spec.accelerator} on {cluster.cloud}")
        return found
    for row in machines_with(cluster.cloud, spec.accelerator, cluster.region):
        # Who names an accelerator means a whole one; a part of it is asked for by its machine's name.
        if row.part == 1 and spec.per_node in (None, row.accelerators):
            return row
    raise LookupError(f"no machine with {spec.per_node or 'any'} {spec.accelerator} in {cluster.region}")


def _hosts(spec: HostsSpec) -> Hosts:
    return Hosts(
        names=tuple(spec.names),
        taints=tuple(_taint(text) for text in spec.taints),
        operated=spec.driver is HostDriver.OPERATOR,
        runtime_class=spec.runtime_class,
        usd_hour=spec.usd_hour,
    )


def _taint(text: str) -> Taint:
    """`key=value:Effect`, as `kubectl taint` writes it."""
    marked, _, effect = text.rpartition(":")
    key, _, value = marked.partition("=")
    return Taint(key, value, effect)


def sharing(spec: PoolSpec) -> Sharing | None:
    """How the pool's accelerators are shared.

    Raises:
        LookupError: the GPU has no such MIG profile, the device no cores; `fleet.checks` reports it first.
    """
    if spec.sharing is None:
        return None
    if spec.sharing.mig is not None:
        return mig(spec.accelerator, spec.sharing.mig)
    if spec.sharing.cores:
        return neuron.cores(spec.accelerator)
    if spec.sharing.mps_clients is not None:
        return Sharing(SharingMode.MPS, spec.sharing.mps_clients)
    return Sharing(SharingMode.TIME_SLICING, spec.sharing.time_slices or 1)


def accelerators_of(model: ModelSpec, hardware: Machine, tpu: TpuSlice | None) -> int:
    """Accelerators one replica takes: what the model says, a TPU host whole, else one."""
    return model.accelerators or (hardware.accelerators if tpu else 1)


def nodes_for(sizes: Iterable[int], per_node: int) -> int:
    """Nodes that hold replicas of these sizes (accelerators each), the largest placed first; no replica is split.

    Raises:
        ValueError: a replica larger than a node.
    """
    free: list[int] = []
    for size in sorted(sizes, reverse=True):
        if size > per_node:
            raise ValueError(f"a replica takes {size} accelerators, a node has {per_node}")
        room = next((i for i, left in enumerate(free) if left >= size), None)
        if room is None:
            free.append(per_node - size)
        else:
            free[room] -= size
    return len(free)


def least_nodes(models: Iterable[ModelSpec], hardware: Machine, tpu: TpuSlice | None, shared: Sharing | None) -> int:
    """Nodes that the models' minimum replicas fill."""
    sizes = [size for model in models for size in [accelerators_of(model, hardware, tpu)] * model.replicas.min]
    return nodes_for(sizes, hardware.accelerators * (shared.slots if shared else 1))


def needed_gib(models: Iterable[ModelSpec]) -> int:
    """GiB of boot disk that these models need: system, images, and the weights twice (download and unpacked)."""
    return _SYSTEM_GIB + _IMAGES_GIB + 2 * sum(model.weights.size_gib for model in models if model.weights)


def disk_gib(models: Iterable[ModelSpec]) -> int:
    """Boot disk where the stack file says none, GiB: what is needed to the next ten, and no less than 100."""
    return max(_LEAST_GIB, -(-needed_gib(models) // 10) * 10)
