"""AKS's node auto-provisioning, which is Karpenter run by Azure: what it may make for accelerator pools, and for the system.

Owns AKSNodeClasses and NodePools (`infra.kubernetes.node_pool`), one of each for a rung of a pool. That the provisioner runs at
all is the cluster's (`infra/clouds/azure/cluster.py`). AKS lets no cluster autoscaler stand beside it, so what the system pool
may grow by is a NodePool, too. The driver is AKS's: a class that says nothing of GPUs gets it.
https://learn.microsoft.com/azure/aks/node-auto-provisioning-aksnodeclass, …/node-auto-provisioning-node-pools
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pulumi

from fleet.catalog.clouds import Cloud, zone_label
from fleet.catalog.numa import CPU_MANAGER_POLICY
from fleet.contract import AcceleratorPool
from infra.kubernetes import node_pool

SYSTEM = "system-more"
_SYSTEM_DISK_GIB = 128
Subnet = Callable[[tuple[str, ...]], pulumi.Input[str]]
# Pods wait until Cilium runs on a node; by the label Karpenter counts what Cilium takes of it.
_CILIUM_LABEL = {"kubernetes.azure.com/ebpf-dataplane": "cilium"}
_CILIUM_TAINT = {"key": "node.cilium.io/agent-not-ready", "value": "true", "effect": "NoExecute"}


class AksAutoPool(pulumi.ComponentResource):
    """What Azure may make for one pool: its rungs in the order of their weights.

    Args:
        subnet: of zones, the one where a node there belongs. tags: on machines, their disks and interfaces.
    """

    def __init__(
        self, name: str, pool: AcceleratorPool, *, subnet: Subnet, tags: Mapping[str, str], opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("accelfleet:kubernetes:AksAutoPool", name, {}, opts)
        for depth, rung in enumerate(pool.rungs):
            how, what = specs(rung, node_pool.weight(pool, depth), subnet(rung.zones), tags)
            node_pool.made(self, f"{name}-{rung.physical_name}", rung.physical_name, node_pool.AKS, how, what)
        self.register_outputs({})


def specs(
    rung: AcceleratorPool, weight: int, subnet: pulumi.Input[str], tags: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The specs of a rung's AKSNodeClass and of its NodePool."""
    how = {**_machine(rung.disk_gib, tags), "vnetSubnetID": subnet}
    if rung.numa:
        policies = {"cpuManagerPolicy": CPU_MANAGER_POLICY, "topologyManagerPolicy": rung.numa.topology_policy}
        how["kubelet"] = policies
    return how, _on_cilium(node_pool.node_pool(rung, weight, node_pool.AKS))


class AksSystemNodes(pulumi.ComponentResource):
    """CPU nodes for what the system pool, which here is of one size, has no room for.

    Args:
        most: how many of them. machine, zones: the system pool's. subnet, tags: as for a pool.
    """

    def __init__(
        self,
        name: str,
        *,
        machine: str,
        region: str,
        zones: tuple[str, ...],
        most: int,
        subnet: Subnet,
        tags: Mapping[str, str],
        opts: pulumi.ResourceOptions,
    ) -> None:
        super().__init__("accelfleet:kubernetes:AksSystemNodes", name, {}, opts)
        how = {**_machine(_SYSTEM_DISK_GIB, tags), "vnetSubnetID": subnet(zones)}
        where = [zone_label(Cloud.AZURE, region, zone) for zone in zones]
        what = node_pool.nodes(machine, where, "on-demand", node_pool.AKS, SYSTEM)
        node_pool.made(
            self, f"{name}-{SYSTEM}", SYSTEM, node_pool.AKS, how, _on_cilium({"limits": {"nodes": str(most)}, **what})
        )
        self.register_outputs({})


def _machine(disk_gib: int, tags: Mapping[str, str]) -> dict[str, Any]:
    return {"imageFamily": "Ubuntu", "osDiskSizeGB": disk_gib, "tags": dict(tags)}


def _on_cilium(spec: dict[str, Any]) -> dict[str, Any]:
    template = spec["template"]
    labels = {**template.get("metadata", {}).get("labels", {}), **_CILIUM_LABEL}
    told = {**template["spec"], "startupTaints": [_CILIUM_TAINT]}
    return {**spec, "template": {"metadata": {"labels": labels}, "spec": told}}
