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
from fleet.catalog.drivers import driver
from fleet.catalog.machines import gke_boot_disk, gke_name
from fleet.catalog.nodes import Taint
from fleet.catalog.numa import CPU_MANAGER_POLICY, Numa
from fleet.catalog.sharing import Sharing, SharingMode
from fleet.contract import AcceleratorPool, Terms
from fleet.plan import SYSTEM_DISK_GIB
from infra.clouds.base import NodePoolArgs, SystemPoolArgs
from infra.clouds.gcp import fabric
from infra.clouds.gcp.cluster import SCOPES, GkeCluster

_SYSTEM_POOL = "cluster-system"  # longer than any pool name of a stack file may be: no clash
_EFFECT = {"NoSchedule": "NO_SCHEDULE", "PreferNoSchedule": "PREFER_NO_SCHEDULE", "NoExecute": "NO_EXECUTE"}
_AUTOSCALED = ["initialNodeCount", "nodeCount"]


class GkeSystemPool(pulumi.ComponentResource):
    """CPU nodes for what keeps the cluster going. It comes first: GKE taints GPU nodes only where such a pool stands."""

    pool_name: pulumi.Output[str]

    def __init__(self, name: str, args: SystemPoolArgs[GkeCluster], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:gcp:GkeSystemPool", name, {}, opts)
        zones = args.zones[: args.max_nodes]  # GKE makes at least one node in each at the start
        made = gcp.container.NodePool(
            f"{name}-nodes",
            name=_SYSTEM_POOL,
            cluster=args.cluster.cluster_name,
            location=args.cluster.region,
            node_locations=list(zones),
            initial_node_count=per_zone(max(1, args.min_nodes), args.max_nodes, len(zones)),
            autoscaling=gcp.container.NodePoolAutoscalingArgs(
                total_min_node_count=args.min_nodes, total_max_node_count=args.max_nodes, location_policy="BALANCED"
            ),
            management=gcp.container.NodePoolManagementArgs(auto_repair=True, auto_upgrade=True),
            node_config=_node_config(args.cluster, args.machine, SYSTEM_DISK_GIB, args.tags),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=_AUTOSCALED),
        )
        self.pool_name = made.name
        self.register_outputs({"poolName": self.pool_name})


class GkeNodePool(pulumi.ComponentResource):
    """Accelerator nodes of one machine type, labelled and tainted as their contract says.

    GPUs follow "Run GPUs in GKE Standard node pools", TPUs "Plan TPUs in GKE". The caller makes it depend on the system
    pool, which makes GKE's GPU taint certain (terraform-google-kubernetes-engine#703).

    Raises:
        ValueError: GKE has no machine with that accelerator, or a multi-host slice is asked for in other than one
            zone, or with other bounds than its hosts.
    """

    pool_name: pulumi.Output[str]

    def __init__(self, name: str, args: NodePoolArgs[GkeCluster], opts: pulumi.ResourceOptions | None = None) -> None:
        pool = args.pool
        if pool.accelerator.gke_name is None:
            raise ValueError(f"pool {pool.name}: GKE has no machine with {pool.accelerator.name}: choose another accelerator")
        atomic = pool.tpu is not None and pool.tpu.multi_host
        size = _slice(pool) if atomic else _bounds(pool)
        super().__init__("accelfleet:gcp:GkeNodePool", name, {}, opts)
        networks = args.cluster.fabric_of(pool)
        made = gcp.container.NodePool(
            f"{name}-nodes",
            name=pool.physical_name,
            cluster=args.cluster.cluster_name,
            location=args.cluster.region,
            node_locations=list(pool.zones),
            # A flex-start node that is ill would be replaced by one that queues anew.
            management=gcp.container.NodePoolManagementArgs(auto_repair=not _flex(pool.terms), auto_upgrade=True),
            # Accelerators are scarce: an upgrade takes one node away before it asks for its successor (pain 20).
            upgrade_settings=gcp.container.NodePoolUpgradeSettingsArgs(max_surge=0, max_unavailable=1),
            node_config=_node_config(
                args.cluster,
                pool.machine.name,
                pool.disk_gib,
                args.tags,
                labels=pool.node_labels,
                taints=pool.node_taints,
                spot=pool.spot,
                guest_accelerators=_gpus(pool),
                kubelet_config=_kubelet(pool.numa),
                gvnic=gcp.container.NodePoolNodeConfigGvnicArgs(enabled=True) if networks else None,
                **_bought(pool.terms),
            ),
            # A slice's size is its shape's: ignored, a new topology would be made with the old one's hosts.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=[] if atomic else _AUTOSCALED),
            **size,
            **fabric.node_pool_args(pool, networks),
        )
        self.pool_name = made.name
        self.register_outputs({"poolName": self.pool_name})


def per_zone(start: int, most: int, zones: int) -> int:
    """Nodes at creation, a zone, which is how GKE counts them: rounded up, but never beyond `most` in all zones.

    Rounded down to fewer than `start`, the autoscaler adds the rest as pods ask for it.

    >>> per_zone(1, most=4, zones=2), per_zone(1, most=1, zones=2)
    (1, 0)
    """
    up = -(-start // zones)
    return up if up * zones <= most else start // zones


def _bounds(pool: AcceleratorPool) -> dict[str, Any]:
    """Bounds over all zones together, so that they are the ones people wrote."""
    return {
        "initial_node_count": per_zone(pool.start_nodes, pool.max_nodes, len(pool.zones)),
        "autoscaling": gcp.container.NodePoolAutoscalingArgs(
            total_min_node_count=pool.min_nodes,
            total_max_node_count=pool.max_nodes,
            # Where there is capacity, reservations first: accelerators and spot are not to be had in every zone alike.
            location_policy="ANY",
        ),
    }


def _slice(pool: AcceleratorPool) -> dict[str, Any]:
    """A multi-host slice: all its hosts or none, side by side in one zone. A single host sets no topology (xpk#825)."""
    assert pool.tpu is not None
    hosts = pool.tpu.hosts
    if len(pool.zones) != 1 or (pool.min_nodes, pool.max_nodes) != (hosts, hosts):
        raise ValueError(
            f"pool {pool.name}: a {pool.tpu.topology} slice of {pool.accelerator.name} is {hosts} hosts in one zone, "
            f"not {pool.min_nodes} to {pool.max_nodes} in {', '.join(pool.zones)}: set nodes and zones so"
        )
    return {
        "node_count": hosts,
        "placement_policy": gcp.container.NodePoolPlacementPolicyArgs(type="COMPACT", tpu_topology=pool.tpu.topology),
    }


def _flex(terms: Terms | None) -> bool:
    return terms is not None and terms.purchase == "flex-start"


def _bought(terms: Terms | None) -> dict[str, Any]:
    """Nodes from one reservation and no other, or from the queue that flex-start is.

    https://cloud.google.com/kubernetes-engine/docs/how-to/consuming-reservations and …/concepts/dws
    """
    affinity = gcp.container.NodePoolNodeConfigReservationAffinityArgs
    if terms is None:
        return {}
    if _flex(terms):
        none = affinity(consume_reservation_type="NO_RESERVATION")
        return {"flex_start": True, "max_run_duration": f"{terms.longest_s}s", "reservation_affinity": none}
    one = affinity(
        consume_reservation_type="SPECIFIC_RESERVATION",
        key="compute.googleapis.com/reservation-name",
        values=[terms.reservation or ""],
    )
    return {"reservation_affinity": one}


def _gpus(pool: AcceleratorPool) -> list[gcp.container.NodePoolNodeConfigGuestAcceleratorArgs] | None:
    """GPUs are named even where the machine type implies them, or GKE installs no driver; it does for TPUs unasked."""
    if pool.family is not Family.NVIDIA:
        return None
    return [
        gcp.container.NodePoolNodeConfigGuestAcceleratorArgs(
            type=gke_name(pool.machine) or "",
            count=pool.per_node,
            **_sharing(pool.sharing),
            gpu_driver_installation_config=gcp.container.NodePoolNodeConfigGuestAcceleratorGpuDriverInstallationConfigArgs(
                gpu_driver_version=_driver(pool)
            ),
        )
    ]


def _kubelet(numa: Numa | None) -> gcp.container.NodePoolNodeConfigKubeletConfigArgs | None:
    """https://cloud.google.com/kubernetes-engine/docs/how-to/node-system-config"""
    if numa is None:
        return None
    return gcp.container.NodePoolNodeConfigKubeletConfigArgs(
        cpu_manager_policy=CPU_MANAGER_POLICY,
        topology_manager=gcp.container.NodePoolNodeConfigKubeletConfigTopologyManagerArgs(policy=numa.topology_policy),
    )


def _driver(pool: AcceleratorPool) -> str:
    """`DEFAULT`: the driver that GKE tested with the node's version; none beside a DRA driver (set-up-dra in GKE's guide)."""
    if pool.dra:
        return "INSTALLATION_DISABLED"  # infra/kubernetes/gke_driver.py
    found = driver(pool.cloud, pool.accelerator)
    assert found is not None and found.setting, f"drivers.csv lacks {pool.accelerator.name} on GKE"
    return found.setting


def _sharing(sharing: Sharing | None) -> dict[str, Any]:
    """GKE cuts and shares GPUs itself, and its own plugin offers the parts."""
    if sharing is None:
        return {}
    if sharing.mode is SharingMode.MIG:
        return {"gpu_partition_size": sharing.profile}
    return {
        "gpu_sharing_config": gcp.container.NodePoolNodeConfigGuestAcceleratorGpuSharingConfigArgs(
            gpu_sharing_strategy="MPS" if sharing.mode is SharingMode.MPS else "TIME_SHARING",
            max_shared_clients_per_gpu=sharing.slots,
        )
    }


def _node_config(
    cluster: GkeCluster,
    machine: str,
    disk_gib: int,
    tags: dict[str, str],
    *,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[Taint] = (),
    spot: bool = False,
    guest_accelerators: list[gcp.container.NodePoolNodeConfigGuestAcceleratorArgs] | None = None,
    **bought: Any,
) -> gcp.container.NodePoolNodeConfigArgs:
    return gcp.container.NodePoolNodeConfigArgs(
        machine_type=machine,
        disk_size_gb=disk_gib,
        disk_type=gke_boot_disk(machine),
        service_account=cluster.node_account,
        oauth_scopes=SCOPES,
        labels=dict(labels or {}),
        taints=[gcp.container.NodePoolNodeConfigTaintArgs(key=t.key, value=t.value, effect=_EFFECT[t.effect]) for t in taints],
        resource_labels=tags,
        spot=spot,
        guest_accelerators=guest_accelerators,
        # Pods get their own identity from GKE's metadata server and cannot ask for the node's (pain 15).
        workload_metadata_config=gcp.container.NodePoolNodeConfigWorkloadMetadataConfigArgs(mode="GKE_METADATA"),
        # The drivers GKE installs are signed by Google, so secure boot holds on GPU nodes too.
        shielded_instance_config=gcp.container.NodePoolNodeConfigShieldedInstanceConfigArgs(
            enable_integrity_monitoring=True, enable_secure_boot=True
        ),
        **bought,
    )
