"""AKS's node pools: from what a cluster or an agent pool asks for to the pool that the cluster simulation runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine
from fleet.catalog.nodes import Taint
from fleet.catalog.sharing import mig_profiles_on
from sandbox.cloud.errors import CloudError
from sandbox.cloud.pools import cut, hardware, integer, size_after
from sandbox.cloud.quotas import refuse_over_quota
from sandbox.cloud.records import Record
from sandbox.cluster import NodePool

if TYPE_CHECKING:
    from sandbox.cloud.world import World


def provisions(cluster: dict[str, Any]) -> bool:
    """Whether AKS makes nodes there by itself."""
    return str((cluster.get("nodeProvisioningProfile") or {}).get("mode")) == "Auto"


def refuse_two_autoscalers(cluster: dict[str, Any], pools: list[dict[str, Any]]) -> None:
    if provisions(cluster) and any(pool.get("enableAutoScaling") for pool in pools):
        raise CloudError("BadRequest", "node auto-provisioning cannot be enabled on a cluster with cluster autoscaler enabled")


def pool_of(asked: dict[str, Any], name: str, record: Record, where: str | None = None) -> NodePool:
    machine_name = str(asked.get("vmSize") or "Standard_D4s_v5")
    scaled = bool(asked.get("enableAutoScaling"))
    count = integer(asked.get("count"), integer(asked.get("minCount"), 1))
    driver = (asked.get("gpuProfile") or {}).get("driver")
    row = hardware(Cloud.AZURE, machine_name)
    return NodePool(
        name=name,
        cloud=Cloud.AZURE,
        region=where or str(record.inputs.get("location") or record.config.get("location") or "eastus"),
        zones=tuple(asked.get("availabilityZones") or ("1",)),
        machine_name=machine_name,
        hardware=row,
        spot=str(asked.get("scaleSetPriority", "")).lower() == "spot",
        labels=dict(asked.get("nodeLabels") or {}),
        taints=tuple(_taint(t) for t in asked.get("nodeTaints") or []),
        min_nodes=integer(asked.get("minCount"), count) if scaled else count,
        max_nodes=integer(asked.get("maxCount"), count) if scaled else count,
        size=count,
        topology=None,
        autoscaled=scaled,
        has_cpu_pool=True,
        plugin_builtin=False,
        driver_ok=str(driver or "Install").lower() != "none",
        disk_gib=integer(asked.get("osDiskSizeGB"), 128),
        sharing=cut(Cloud.AZURE, row, _profile(row, asked.get("gpuInstanceProfile"))),
    )


def _profile(row: Machine | None, named: str | None) -> str | None:
    """`MIG1g` -> `1g.10gb`, the profile of that many slices that AKS makes on this GPU."""
    if not named or row is None or row.accelerator is None:
        return named
    slices = named.removeprefix("MIG")
    return next((p for p in mig_profiles_on(Cloud.AZURE, row.accelerator.name) if p.startswith(f"{slices}.")), named)


def _taint(text: str) -> Taint:
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    return Taint(key, value, effect)


def resize(
    world: World, cluster: str, old: dict[str, Any], new: dict[str, Any], name: str, record: Record, where: str | None = None
) -> NodePool:
    before, after = pool_of(old, name, record, where), pool_of(new, name, record, where)
    current = world.clusters.size("azure", cluster, name)
    bounds = (before.min_nodes, before.max_nodes, before.size), (after.min_nodes, after.max_nodes, after.size)
    pool = replace(after, size=size_after(*bounds, current if current is not None else before.size))
    refuse_over_quota(world, cluster, pool)
    world.clusters.set_pool("azure", cluster, pool)
    return pool
