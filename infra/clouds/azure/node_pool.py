"""An accelerator pool: an AKS agent pool of its own, whose nodes are what the scheduling contract says.

Owns the agent pool; the driver comes with AKS's node image, the device plugin with `infra.kubernetes`. Refuses to
repeat what AKS itself puts on a spot node. https://learn.microsoft.com/azure/aks/use-nvidia-gpu
"""

from __future__ import annotations

import pulumi
from pulumi_azure_native import compute, containerservice

from fleet.catalog.drivers import driver
from fleet.catalog.numa import CPU_MANAGER_POLICY, Numa
from fleet.catalog.sharing import Sharing
from fleet.contract import AcceleratorPool
from fleet.naming import physical
from infra.clouds.azure.cluster import AksCluster
from infra.clouds.base import NodePoolArgs

MAX_DISK_GIB = 2048  # AKS's limit of osDiskSizeGB
SPOT_LABEL = "kubernetes.azure.com/scalesetpriority"


class AksNodePool(pulumi.ComponentResource):
    """One agent pool in mode User, autoscaled between the contract's bounds.

    Raises:
        ValueError: the boot disk is larger than AKS allows (2048 GiB).
    """

    pool_name: pulumi.Output[str]

    def __init__(self, name: str, args: NodePoolArgs[AksCluster], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:azure:AksNodePool", name, None, opts)
        pool, cluster = args.pool, args.cluster
        if pool.disk_gib > MAX_DISK_GIB:
            raise ValueError(
                f"pool {pool.name}: a boot disk of {pool.disk_gib} GiB, but AKS allows {MAX_DISK_GIB}: "
                f"set disk_gib to {MAX_DISK_GIB} or less and keep the weights on another volume"
            )
        # The autoscaler owns the size (pulumi-azure#780). Not `min_count` and `max_count`: those are ours.
        ignored = ["count"]
        if pool.spot:
            # AKS writes its spot taint and label into the pool's own lists (azurerm#18237), and after a refresh an
            # update would try to take them out. Ours follow from the family, which never changes within a pool.
            ignored += ["nodeTaints", f'nodeLabels["{SPOT_LABEL}"]']
        agent_pool = containerservice.AgentPool(
            name,
            agent_pool_name=pool.physical_name,
            resource_group_name=cluster.resource_group_name,
            resource_name_=cluster.cluster_name,
            mode="User",
            type="VirtualMachineScaleSets",
            os_type="Linux",
            os_sku="Ubuntu",  # the one image with drivers for every GPU size
            orchestrator_version=cluster.kubernetes,
            vm_size=pool.machine.name,
            availability_zones=list(pool.zones) or None,
            vnet_subnet_id=cluster.network.subnet_for(pool.zones).id,
            enable_auto_scaling=True,
            min_count=pool.min_nodes,
            max_count=pool.max_nodes,
            count=pool.start_nodes,
            scale_down_mode="Delete",  # a deallocated node still holds its quota
            os_disk_size_gb=pool.disk_gib,
            gpu_instance_profile=_mig(pool.sharing),
            gpu_profile=containerservice.GPUProfileArgs(driver=_driver(pool)),
            kubelet_config=_kubelet(pool.numa),
            node_labels=pool.node_labels,
            node_taints=[f"{taint.key}={taint.value}:{taint.effect}" for taint in pool.node_taints],
            proximity_placement_group_id=_side_by_side(self, name, args),
            scale_set_priority="Spot" if pool.spot else "Regular",
            scale_set_eviction_policy="Delete" if pool.spot else None,
            spot_max_price=-1 if pool.spot else None,  # up to the on-demand price: evicted for capacity alone
            # The cluster's identity needs a role on the group: it is not ours, so whoever reserved it grants that.
            # https://learn.microsoft.com/azure/aks/use-capacity-reservation-groups
            capacity_reservation_group_id=pool.terms.reservation if pool.terms else None,
            # An upgrade must not ask for accelerators that nobody has: drain one node, then replace it (pain 20).
            # AKS refuses any such setting on a spot pool (azurerm#19355).
            upgrade_settings=None
            if pool.spot
            else containerservice.AgentPoolUpgradeSettingsArgs(max_surge="0", max_unavailable="1"),
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=ignored),
        )
        self.pool_name = agent_pool.name
        self.register_outputs({"pool_name": self.pool_name})


def _side_by_side(parent: pulumi.Resource, name: str, args: NodePoolArgs[AksCluster]) -> pulumi.Output[str] | None:
    """A proximity placement group for a pool with a fabric, but for reserved machines: those have their place, and take none.

    https://learn.microsoft.com/azure/aks/reduce-latency-ppg
    """
    pool, cluster = args.pool, args.cluster
    if pool.fabric is None or pool.terms is not None:
        return None
    group = compute.ProximityPlacementGroup(
        f"{name}-placement",
        proximity_placement_group_name=physical(cluster.name, pool.physical_name, limit=80),
        resource_group_name=cluster.resource_group_name,
        location=cluster.region,
        proximity_placement_group_type="Standard",
        tags=args.tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    placed: pulumi.Output[str] = group.id
    return placed


def _kubelet(numa: Numa | None) -> containerservice.KubeletConfigArgs | None:
    """Set when the pool is made, and never after: https://learn.microsoft.com/azure/aks/custom-node-configuration"""
    if numa is None:
        return None
    return containerservice.KubeletConfigArgs(
        cpu_manager_policy=CPU_MANAGER_POLICY, topology_manager_policy=numa.topology_policy
    )


def _driver(pool: AcceleratorPool) -> str:
    """`Install`: AKS puts the driver that fits the machine size."""
    found = driver(pool.cloud, pool.accelerator)
    assert found is not None and found.setting, f"drivers.csv lacks {pool.accelerator.name} on AKS"
    return found.setting


def _mig(sharing: Sharing | None) -> str | None:
    """`1g.10gb` -> `MIG1g`: AKS names a profile by its compute slices alone, and cuts every GPU of the node so.

    https://learn.microsoft.com/azure/aks/gpu-multi-instance
    """
    return f"MIG{sharing.profile.partition('.')[0]}" if sharing and sharing.profile else None
