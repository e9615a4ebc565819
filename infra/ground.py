"""What a cluster stands on, by its cloud's kit: provider, network, control plane, pools of nodes, stores, identities, TPU VMs.

Reads the spec and hands it on; what a cloud makes of it is `infra.clouds`' affair. What runs in the cluster is `infra.addons`'.
"""

from __future__ import annotations

from typing import Any

import pulumi

from fleet import naming
from fleet.catalog.tpu_vms import tpu_vm_type
from fleet.contract import AcceleratorPool
from fleet.plan import network_zones, rung_names
from fleet.spec import Provisioning
from fleet.spec_network import Nat
from infra.clouds.base import (
    ClusterArgs,
    NetworkArgs,
    NodePoolArgs,
    ObjectStoreArgs,
    ProviderArgs,
    SystemPoolArgs,
    TpuVmArgs,
    WorkloadIdentityArgs,
)
from infra.site import Site


def providers(site: Site, account: str | None, opts: pulumi.ResourceOptions) -> list[pulumi.ProviderResource]:
    """The cloud's. An existing cluster has no cloud of ours: nothing is made there, so that there is nobody to make it."""
    if site.cloud.provider is None:
        return []
    args = ProviderArgs(region=site.spec.region, account=account, tags=site.tags)
    return [site.cloud.provider(f"{site.name}-{site.spec.cloud}", args, opts)]


def network(site: Site, opts: pulumi.ResourceOptions) -> Any:
    if site.cloud.network is None:
        return None
    net = site.spec.network
    args = NetworkArgs(
        name=site.physical,
        region=site.spec.region,
        cidr=str(net.cidr),
        zones=network_zones(site.spec),
        nat=Nat.NONE if net.isolated else net.nat,
        existing=net.existing,
        tags=site.tags,
        auto=site.spec.provisioning is Provisioning.AUTO,
        functions=bool(site.spec.services.functions),
    )
    return site.cloud.network(site.name, args, opts)


def cluster(site: Site, network: Any, provisioned: tuple[AcceleratorPool, ...] | None, opts: pulumi.ResourceOptions) -> Any:
    """The control plane. `provisioned`: the pools whose nodes it makes by itself; None where they have groups."""
    spec, system = site.spec, site.spec.system_pool
    args = ClusterArgs(
        name=site.physical,
        region=spec.region,
        kubernetes=site.minor,
        api=spec.api,
        admins=tuple(spec.admins),
        protect=site.protect,
        tags=site.tags,
        network=network,
        system_machine=system.machine or site.cloud.default_machine,
        system_nodes=(system.nodes.min, system.nodes.max),
        kubeconfig=site.stack.secret(spec.kubeconfig) if spec.kubeconfig else None,
        fabric=any(pool.fabric for pool in spec.pools.values()),
        routes=any(model.route for model in spec.models.values()),
        provisioned=provisioned,
        by_priority=any(len(pool.ladder) > 1 for pool in spec.pools.values()),
    )
    return site.cloud.cluster(site.name, args, opts)


def system_pool(site: Site, cluster: Any, opts: pulumi.ResourceOptions) -> Any:
    if site.cloud.system_pool is None:
        return None
    system = site.spec.system_pool
    args = SystemPoolArgs(
        cluster=cluster,
        machine=system.machine or site.cloud.default_machine,
        min_nodes=system.nodes.min,
        max_nodes=system.nodes.max,
        zones=network_zones(site.spec),
        tags=site.tags,
    )
    return site.cloud.system_pool(f"{site.name}-system", args, opts)


def node_pools(site: Site, pool: AcceleratorPool, cluster: Any, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """The pool's rungs in the cloud, in the order in which they are bought."""
    names = rung_names(pool.name, site.spec.pools[pool.name])
    return [
        site.cloud.node_pool(f"{site.name}-{name}", NodePoolArgs(cluster=cluster, pool=rung, tags=site.tags), opts)
        for name, rung in zip(names, pool.rungs, strict=True)
    ]


def store(site: Site, key: str, network: Any, opts: pulumi.ResourceOptions) -> Any:
    assert site.cloud.object_store is not None, "fleet.checks refuses stores where there are none"
    wanted = site.spec.stores[key]
    args = ObjectStoreArgs(
        name=site.cloud.store_name(pulumi.get_project(), site.stack.name, site.name, key),
        region=site.spec.region,
        network=network,
        versioned=wanted.versioned,
        expire_noncurrent_days=wanted.expire_noncurrent_days,
        protect=site.protect if wanted.protect is None else wanted.protect,
        tags=site.tags,
        analysed=site.spec.services.analyses(key),
    )
    return site.cloud.object_store(f"{site.name}-{key}", args, opts)


def tpu_vm(site: Site, key: str, network: Any, stores: dict[str, Any], opts: pulumi.ResourceOptions) -> Any:
    assert site.cloud.tpu_vm is not None, "fleet.checks refuses TPU VMs where there are none"
    spec = site.spec.tpu_vms[key]
    args = TpuVmArgs(
        name=naming.physical(site.physical, key, "tpu"),
        zone=tpu_vm_type(spec.type, site.spec.region, spec.zone).zone,
        type=spec.type,
        runtime=spec.runtime,
        spot=spec.purchase == "spot",
        network=network,
        reads=[stores[store] for store in spec.reads],
        writes=[stores[store] for store in spec.writes],
        protect=site.protect,
        tags=site.tags,
    )
    return site.cloud.tpu_vm(f"{site.name}-{key}", args, opts)


def identity(site: Site, key: str, namespace: str, cluster: Any, store: Any, opts: pulumi.ResourceOptions) -> Any:
    """A model's, with the right to read the store its weights are in."""
    assert site.cloud.workload_identity is not None, "fleet.checks refuses stores where there are none"
    args = WorkloadIdentityArgs(cluster=cluster, namespace=namespace, service_account=key, store=store, tags=site.tags)
    return site.cloud.workload_identity(f"{site.name}-{key}-identity", args, opts)
