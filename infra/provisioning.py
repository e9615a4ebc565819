"""Pools of a cluster with `provisioning: auto`: what makes their nodes, in the cloud and in the cluster.

The one place that knows which provisioner a cloud has: Karpenter on EKS and, run by Azure, on AKS; GKE's own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pulumi

from fleet.catalog.clouds import Cloud
from fleet.contract import AcceleratorPool
from infra.kubernetes import aks_provisioning, karpenter
from infra.kubernetes.compute_class import ComputeClass
from infra.site import Site

_Waited = dict[str, list[pulumi.Resource]]


@dataclass(frozen=True, kw_only=True)
class ProvisionArgs:
    """`cluster` is the cloud's own Cluster component."""

    site: Site
    cluster: Any
    pools: dict[str, AcceleratorPool]


def provision(args: ProvisionArgs, in_cloud: pulumi.ResourceOptions, in_kubernetes: pulumi.ResourceOptions) -> _Waited:
    """Install what the cloud does not bring and tell it of the pools; returns what a pool's models wait for, by its name.

    Raises:
        ValueError: nothing here provisions nodes on that cloud.
    """
    site = args.site
    if site.spec.cloud not in _PROVISIONERS:
        raise ValueError(f"cluster {site.name}: nothing provisions nodes on {site.spec.cloud}: leave provisioning out")
    return _PROVISIONERS[site.spec.cloud](args, in_cloud, in_kubernetes)


def _compute_classes(args: ProvisionArgs, in_cloud: pulumi.ResourceOptions, in_kubernetes: pulumi.ResourceOptions) -> _Waited:
    """GKE brings all but the pools' classes; what it may make in all its cluster says."""
    account = args.cluster.node_account
    return {
        key: [ComputeClass(f"{args.site.name}-{key}-class", pool, account, in_kubernetes)] for key, pool in args.pools.items()
    }


def _karpenter(args: ProvisionArgs, in_cloud: pulumi.ResourceOptions, in_kubernetes: pulumi.ResourceOptions) -> _Waited:
    """What it needs of the cloud comes before it and outlives its nodes: deleted in the other order, these would stay."""
    site, provisioner = args.site, args.site.cloud.provisioner
    assert provisioner is not None, "infra/clouds/aws has one"
    rights = provisioner(
        f"{site.name}-karpenter-rights",
        cluster=args.cluster,
        region=site.spec.region,
        namespace=karpenter.NAMESPACE,
        service_account=karpenter.SERVICE_ACCOUNT,
        rungs=[rung for pool in args.pools.values() for rung in pool.rungs],
        opts=in_cloud,
    )
    controller = karpenter.Karpenter(
        f"{site.name}-karpenter",
        cluster=site.physical,
        queue=rights.queue,
        # No two share a node, and cluster-autoscaler should not have to make one for it.
        replicas=min(2, site.spec.system_pool.nodes.min),
        isolated=site.spec.network.isolated,
        env=rights.env,
        opts=pulumi.ResourceOptions.merge(in_kubernetes, pulumi.ResourceOptions(depends_on=[rights])),
    )
    after = pulumi.ResourceOptions.merge(in_kubernetes, pulumi.ResourceOptions(depends_on=[controller]))
    return {
        key: [
            karpenter.KarpenterPool(
                f"{site.name}-{key}",
                pool,
                discovery=rights.discovery,
                instance_profile=rights.instance_profile,
                placement_groups=rights.placement_groups,
                user_data=rights.user_data,
                tags=site.tags,
                opts=after,
            )
        ]
        for key, pool in args.pools.items()
    }


def _aks(args: ProvisionArgs, in_cloud: pulumi.ResourceOptions, in_kubernetes: pulumi.ResourceOptions) -> _Waited:
    """Azure runs Karpenter itself; it is told of the pools, and of what the system pool may grow by."""
    site, network, system = args.site, args.cluster.network, args.site.spec.system_pool
    common: dict[str, Any] = {
        "subnet": lambda zones: network.subnet_for(zones).id,
        "tags": site.tags,
        "opts": in_kubernetes,
    }
    if more := system.nodes.max - system.nodes.min:
        aks_provisioning.AksSystemNodes(
            f"{site.name}-system",
            machine=args.cluster.args.system_machine,
            region=site.spec.region,
            zones=network.args.zones,
            most=more,
            **common,
        )
    return {key: [aks_provisioning.AksAutoPool(f"{site.name}-{key}", pool, **common)] for key, pool in args.pools.items()}


_PROVISIONERS: dict[Cloud, Callable[[ProvisionArgs, pulumi.ResourceOptions, pulumi.ResourceOptions], _Waited]] = {
    Cloud.AWS: _karpenter,
    Cloud.GCP: _compute_classes,
    Cloud.AZURE: _aks,
}
