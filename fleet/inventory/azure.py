"""What resources of pulumi-azure-native are paid for, and of Terraform's azurerm, which is pulumi-azure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fleet.catalog.clouds import Cloud
from fleet.inventory.resource import Index, Resource, at, each, number, text
from fleet.inventory.thing import Count, Reader, Thing, bounds

_CLUSTERS = (
    "azure-native:containerservice:ManagedCluster",
    "azure:containerservice/kubernetesCluster:KubernetesCluster",
)
_GROUPS = ("azure-native:resources:ResourceGroup", "azure:core/resourceGroup:ResourceGroup")
_EPHEMERAL = "AKS takes the machine's own disk where that is large enough, which is free, and a managed one where not"
_DEFAULT_SIZE = "its size is that of its image"


def region(resource: Resource, index: Index) -> str | None:
    """By its own word, its cluster's, its resource group's, or its provider's; `West Europe` is `westeurope`."""
    owners = (
        index.behind(resource, "resourceName", _CLUSTERS[0]),
        index.behind(resource, "kubernetesClusterId", _CLUSTERS[1]),
        index.behind(resource, "resourceGroupName", *_GROUPS),
    )
    found = next((place for one in (resource, *owners) if one and (place := text(one.props, "location"))), resource.region)
    return found.lower().replace(" ", "") if found else None


def _thing(resource: Resource, index: Index, kind: Any, what: str, count: Count | None = (1, 1, 1), **more: Any) -> Thing:
    where = region(resource, index)
    return Thing(kind=kind, resource=resource, cloud=Cloud.AZURE, region=where, what=what, count=count, **more)


def _machines(resource: Resource, index: Index, size: str | None, count: Count | None, *, spot: bool = False) -> Thing:
    unknown = "" if size else "its machine type is not in the file"
    how = "spot" if spot else "on-demand"
    return _thing(resource, index, "machines", size or "machines", count, machine=size, purchase=how, unknown=unknown)


def _disk(resource: Resource, index: Index, kind: str, gib: int | None, count: Count | None = (1, 1, 1)) -> Thing:
    if gib is None:
        return _thing(resource, index, "disk", kind, count, unknown=_DEFAULT_SIZE)
    return _thing(resource, index, "disk", f"{gib} GiB {kind}", count, disk=(kind, gib))


def _pool(resource: Resource, index: Index, pool: Any) -> Iterator[Thing]:
    """An agent pool, whether alone or in its cluster, in either provider's words."""
    count = bounds(number(pool, "minCount"), number(pool, "count", "nodeCount"), number(pool, "maxCount"))
    spot = (text(pool, "scaleSetPriority", "priority") or "") == "Spot"
    yield _machines(resource, index, text(pool, "vmSize"), count, spot=spot)
    size = number(pool, "osDiskSizeGB", "osDiskSizeGb")
    kind = text(pool, "osDiskType")
    if kind == "Managed" and size:
        yield _disk(resource, index, "Premium_LRS", size, count)
    elif kind != "Ephemeral":
        yield _thing(resource, index, "disk", "boot disks", count, unknown=_EPHEMERAL)


def _agent_pool(resource: Resource, index: Index) -> Iterator[Thing]:
    yield from _pool(resource, index, resource.props)


def _cluster(resource: Resource, index: Index) -> Iterator[Thing]:
    tier = (text(resource.props, "sku.tier", "skuTier") or "Free").lower()
    known = tier in ("free", "standard")
    yield _thing(
        resource,
        index,
        "control-plane",
        f"AKS control plane, {tier}",
        service=f"control-plane-{tier}" if known else None,
        unknown="" if known else f"the catalogue has no price of the {tier} tier",
    )
    alone = {text(one.props, "agentPoolName", "name") for one in index.of("azure-native:containerservice:AgentPool")}
    for pool in each(resource.props, "agentPoolProfiles", "defaultNodePool"):
        if text(pool, "name") not in alone:
            yield from _pool(resource, index, pool)


def _machine(resource: Resource, index: Index) -> Iterator[Thing]:
    props = resource.props
    spot = (text(props, "priority") or "") == "Spot"
    yield _machines(resource, index, text(props, "hardwareProfile.vmSize", "size"), (1, 1, 1), spot=spot)
    yield from _disks(resource, index, props, (1, 1, 1))


def _scale_set(resource: Resource, index: Index) -> Iterator[Thing]:
    props = resource.props
    many = number(props, "sku.capacity", "instances")
    count = bounds(many, many, many)
    profile = at(props, "virtualMachineProfile") or props
    spot = (text(profile, "priority") or "") == "Spot"
    size = text(props, "sku.name") or (text(props, "sku") if isinstance(at(props, "sku"), str) else None)
    yield _machines(resource, index, size, count, spot=spot)
    yield from _disks(resource, index, profile, count)


def _disks(resource: Resource, index: Index, props: Any, count: Count | None) -> Iterator[Thing]:
    stored = at(props, "storageProfile") or {}
    for disk in (*each(stored, "osDisk"), *each(stored, "dataDisks"), *each(props, "osDisk")):
        kind = text(disk, "managedDisk.storageAccountType", "storageAccountType") or "a managed disk of the default kind"
        yield _disk(resource, index, kind, number(disk, "diskSizeGB", "diskSizeGb"), count)


def _volume(resource: Resource, index: Index) -> Iterator[Thing]:
    kind = text(resource.props, "sku.name", "storageAccountType") or "a managed disk of the default kind"
    yield _disk(resource, index, kind, number(resource.props, "diskSizeGB", "diskSizeGb"))


def _nat(resource: Resource, index: Index) -> Iterator[Thing]:
    yield _thing(resource, index, "nat", "NAT gateway", service="nat-gateway")


def _balancer(resource: Resource, index: Index) -> Iterator[Thing]:
    rules = len(each(resource.props, "loadBalancingRules")) + len(each(resource.props, "outboundRules"))
    if (text(resource.props, "sku.name") or "Basic") == "Basic" or not rules:
        return
    count = (rules, rules, rules)
    yield _thing(resource, index, "load-balancer", "load balancer rules", count, service="load-balancer-rule")


def _rule(resource: Resource, index: Index) -> Iterator[Thing]:
    yield _thing(resource, index, "load-balancer", "load balancer rule", service="load-balancer-rule")


READERS: dict[str, Reader] = {
    "azure-native:compute:VirtualMachine": _machine,
    "azure-native:compute:VirtualMachineScaleSet": _scale_set,
    "azure-native:compute:Disk": _volume,
    "azure-native:containerservice:ManagedCluster": _cluster,
    "azure-native:containerservice:AgentPool": _agent_pool,
    "azure-native:network:NatGateway": _nat,
    "azure-native:network:LoadBalancer": _balancer,
    "azure:containerservice/kubernetesCluster:KubernetesCluster": _cluster,
    "azure:containerservice/kubernetesClusterNodePool:KubernetesClusterNodePool": _agent_pool,
    "azure:compute/linuxVirtualMachine:LinuxVirtualMachine": _machine,
    "azure:compute/linuxVirtualMachineScaleSet:LinuxVirtualMachineScaleSet": _scale_set,
    "azure:compute/managedDisk:ManagedDisk": _volume,
    "azure:network/natGateway:NatGateway": _nat,
    "azure:lb/rule:Rule": _rule,
}
