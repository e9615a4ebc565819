"""GKE node pools: the CPU pool every cluster has, and pools of GPU or TPU nodes.

GKE brings driver, device plugin and the accelerators' labels itself; here stands what it must be told. The size
between the bounds belongs to the autoscaler, never to Pulumi (pain 11).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_gcp as gcp

from fleet.catalog.accelerators import Family
from fleet.catalog.nodes import Taint
from fleet.contract import AcceleratorPool
from infra.clouds.base import NodePoolArgs, SystemPoolArgs
from infra.clouds.gcp.cluster import GkeCluster

_SYSTEM_POOL = "cluster-system"  # longer than any pool name of a stack file may be: no clash
_SYSTEM_DISK_GIB = 80
_EFFECT = {"NoSchedule": "NO_SCHEDULE", "PreferNoSchedule": "PREFER_NO_SCHEDULE", "NoExecute": "NO_EXECUTE"}
_SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
# The autoscaler moves it, and GKE counts `initialNodeCount` a zone.
_AUTOSCALED = ["initialNodeCount", "nodeCount"]


class GkeSystemPool(pulumi.ComponentResource):
    """CPU nodes for what keeps the cluster going. It comes first: GKE taints GPU nodes only where such a pool stands."""

    pool_name: pulumi.Output[str]

    def __init__(self, name: str, args: SystemPoolArgs[GkeCluster], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:gcp:GkeSystemPool", name, {}, opts)
        made = gcp.container.NodePool(
            f"{name}-nodes",
            name=_SYSTEM_POOL,
            cluster=args.cluster.cluster_id,
            location=args.cluster.region,
            node_locations=list(args.zones),
            initial_node_count=1,
            autoscaling=gcp.container.NodePoolAutoscalingArgs(
                total_min_node_count=max(1, args.min_nodes),
                total_max_node_count=max(args.max_nodes, len(args.zones)),
                location_policy="BALANCED",
            ),
            management=gcp.container.NodePoolManagementArgs(auto_repair=True, auto_upgrade=True),
            node_config=_node_config(args.cluster, args.machine, _SYSTEM_DISK_GIB, {}, (), args.tags),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=_AUTOSCALED),
        )
        self.pool_name = made.name
        self.register_outputs({"poolName": self.pool_name})


class GkeNodePool(pulumi.ComponentResource):
    """Accelerator nodes of one machine type, labelled and tainted as their contract says.

    TPU pools follow "Plan TPUs in GKE": a single host sets no topology (xpk#825), a multi-host slice is one atomic pool
    with a compact placement policy, in one zone, with exactly as many nodes as the slice has hosts.

    Raises:
        ValueError: GKE has no machine with that accelerator.
    """

    pool_name: pulumi.Output[str]

    def __init__(self, name: str, args: NodePoolArgs[GkeCluster], opts: pulumi.ResourceOptions | None = None) -> None:
        pool = args.pool
        if pool.accelerator.gke_name is None:
            raise ValueError(f"pool {pool.name}: GKE has no machine with {pool.accelerator.name}")
        super().__init__("accelfleet:gcp:GkeNodePool", name, {}, opts)
        slice_ = pool.tpu if pool.tpu and pool.tpu.multi_host else None
        shape: dict[str, Any] = _slice(pool) if slice_ else _bounds(pool)
        made = gcp.container.NodePool(
            f"{name}-nodes",
            name=pool.physical_name,
            cluster=args.cluster.cluster_id,
            location=args.cluster.region,
            node_locations=list(pool.zones),
            management=gcp.container.NodePoolManagementArgs(auto_repair=True, auto_upgrade=True),
            # Accelerators are scarce: an upgrade takes one node away before it asks for its successor.
            upgrade_settings=gcp.container.NodePoolUpgradeSettingsArgs(max_surge=0, max_unavailable=1),
            node_config=_node_config(
                args.cluster, pool.machine.name, pool.disk_gib, pool.node_labels, pool.node_taints, args.tags, pool
            ),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=[] if slice_ else _AUTOSCALED),
            **shape,
        )
        self.pool_name = made.name
        self.register_outputs({"poolName": self.pool_name})


def _bounds(pool: AcceleratorPool) -> dict[str, Any]:
    """Bounds over all zones. `ANY` lets the autoscaler go where there is capacity, which for accelerators is not everywhere."""
    return {
        # A zone each; more come as pods ask for them.
        "initial_node_count": -(-pool.start_nodes // len(pool.zones)),
        "autoscaling": gcp.container.NodePoolAutoscalingArgs(
            total_min_node_count=pool.min_nodes, total_max_node_count=pool.max_nodes, location_policy="ANY"
        ),
    }


def _slice(pool: AcceleratorPool) -> dict[str, Any]:
    assert pool.tpu is not None
    return {
        "node_count": pool.tpu.hosts,
        "placement_policy": gcp.container.NodePoolPlacementPolicyArgs(type="COMPACT", tpu_topology=pool.tpu.topology),
    }


def _node_config(
    cluster: GkeCluster,
    machine: str,
    disk_gib: int,
    labels: Mapping[str, str],
    taints: Sequence[Taint],
    tags: dict[str, str],
    pool: AcceleratorPool | None = None,
) -> gcp.container.NodePoolNodeConfigArgs:
    return gcp.container.NodePoolNodeConfigArgs(
        machine_type=machine,
        disk_size_gb=disk_gib,
        # TPU v6e and the newest GPU machines take Hyperdisk only; GKE chooses it where pd-balanced is not to be had.
        disk_type=None if pool else "pd-balanced",
        service_account=cluster.node_account,
        oauth_scopes=_SCOPES,
        labels=dict(labels),
        taints=[gcp.container.NodePoolNodeConfigTaintArgs(key=t.key, value=t.value, effect=_EFFECT[t.effect]) for t in taints],
        resource_labels=tags,
        spot=bool(pool and pool.spot),
        guest_accelerators=_guests(pool),
        workload_metadata_config=gcp.container.NodePoolNodeConfigWorkloadMetadataConfigArgs(mode="GKE_METADATA"),
        shielded_instance_config=gcp.container.NodePoolNodeConfigShieldedInstanceConfigArgs(
            enable_integrity_monitoring=True, enable_secure_boot=True
        ),
        gcfs_config=gcp.container.NodePoolNodeConfigGcfsConfigArgs(enabled=True) if _streams(pool) else None,
    )


def _streams(pool: AcceleratorPool | None) -> bool:
    """Image streaming spares GPU nodes most of a serving image's pull; TPU nodes do not have it."""
    return pool is not None and pool.family is Family.NVIDIA


def _guests(pool: AcceleratorPool | None) -> list[gcp.container.NodePoolNodeConfigGuestAcceleratorArgs] | None:
    """GPUs have to be named even where the machine type implies them, or GKE installs no driver."""
    if pool is None or pool.family is not Family.NVIDIA:
        return None
    return [
        gcp.container.NodePoolNodeConfigGuestAcceleratorArgs(
            type=pool.accelerator.gke_name or "",
            count=pool.per_node,
            gpu_driver_installation_config=gcp.container.NodePoolNodeConfigGuestAcceleratorGpuDriverInstallationConfigArgs(
                gpu_driver_version="DEFAULT"
            ),
        )
    ]
