"""From a checked cluster spec to its accelerator pools: machine, slice, zones, size and disk, all computed here.

Assumes `fleet.checks` found nothing wrong; makes no resource and reads no file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from fleet.catalog.clouds import zones
from fleet.catalog.machines import Machine, machine, machines_with
from fleet.catalog.tpu import TpuSlice, tpu_slice
from fleet.contract import AcceleratorPool
from fleet.spec import ClusterSpec, ModelSpec, PoolSpec, Purchase

# GiB a node's boot disk needs before any weights: the operating system with its agents, and two serving images
# unpacked (vLLM's is about 25 GiB on disk), as an update pulls the new one beside the old (pain 17).
_SYSTEM_GIB = 20
_IMAGES_GIB = 50
_LEAST_GIB = 100


def network_zones(cluster: ClusterSpec) -> tuple[str, ...]:
    """The zones the cluster's network has subnets in: the region's first ones, and every one a pool names."""
    region = zones(cluster.cloud, cluster.region)
    named = {zone for pool in cluster.pools.values() for zone in pool.zones}
    first = [zone for zone in region if zone in named]
    rest = [zone for zone in region if zone not in named]
    return tuple(sorted([*first, *rest][: max(cluster.network.zones, len(first))]))


def pools(
    stack: str, cluster_name: str, cluster: ClusterSpec, *, pool_name: Callable[[str], str] = str
) -> dict[str, AcceleratorPool]:
    """The cluster's accelerator pools by their names in the stack file.

    Args:
        stack, cluster_name: where they belong; names are unique inside a cluster, so neither is part of a pool's name.
        pool_name: the cloud's rule for a pool's physical name.
    """
    return {
        name: _pool(name, spec, cluster, [m for m in cluster.models.values() if m.pool == name], pool_name(name))
        for name, spec in cluster.pools.items()
    }


def _pool(name: str, spec: PoolSpec, cluster: ClusterSpec, models: list[ModelSpec], physical_name: str) -> AcceleratorPool:
    tpu = tpu_slice(spec.accelerator, spec.topology) if spec.topology else None
    hardware = tpu.machine if tpu else choose_machine(spec, cluster)
    where = tuple(spec.zones) or network_zones(cluster)
    low, high = spec.nodes.min, spec.nodes.max
    start = spec.nodes.start if spec.nodes.start is not None else max(low, _nodes_for(models, hardware, high))
    if tpu and tpu.multi_host:
        # An atomic slice: all hosts or none, in one zone.
        low = high = start = tpu.hosts
        where = where[:1]
    return AcceleratorPool(
        name=name,
        physical_name=physical_name,
        cloud=cluster.cloud,
        region=cluster.region,
        machine=hardware,
        spot=spec.purchase is Purchase.SPOT,
        min_nodes=low,
        max_nodes=high,
        start_nodes=start,
        zones=where,
        disk_gib=spec.disk_gib or disk_gib(models),
        tpu=tpu,
        extra_labels=dict(spec.labels),
    )


def choose_machine(spec: PoolSpec, cluster: ClusterSpec) -> Machine:
    """The machine a pool takes: the one named, else the smallest on offer with that many accelerators.

    Raises:
        LookupError: there is none; `fleet.checks` reports it first, with the field.
    """
    if spec.machine is not None:
        found = machine(cluster.cloud, spec.machine, spec.accelerator)
        if found is None:
            raise LookupError(f"no {spec.machine} with {spec.accelerator} on {cluster.cloud}")
        return found
    for row in machines_with(cluster.cloud, spec.accelerator, cluster.region):
        if spec.per_node is None or row.accelerators == spec.per_node:
            return row
    raise LookupError(f"no machine with {spec.per_node or 'any'} {spec.accelerator} in {cluster.region}")


def accelerators_of(model: ModelSpec, hardware: Machine, tpu: TpuSlice | None) -> int:
    """Accelerators one replica takes: what the model says, a TPU host whole, else one."""
    return model.accelerators or (hardware.accelerators if tpu else 1)


def _nodes_for(models: Iterable[ModelSpec], hardware: Machine, high: int) -> int:
    """Nodes that the models' minimum replicas fill."""
    wanted = sum(model.replicas.min * (model.accelerators or 1) for model in models)
    return min(high, math.ceil(wanted / hardware.accelerators))


def disk_gib(models: Iterable[ModelSpec]) -> int:
    """Boot disk, GiB: system, images, and every model's weights twice (download and unpacked), to the next ten."""
    weights = sum(model.weights.size_gib for model in models if model.weights)
    return max(_LEAST_GIB, math.ceil((_SYSTEM_GIB + _IMAGES_GIB + 2 * weights) / 10) * 10)
