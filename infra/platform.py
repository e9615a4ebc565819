"""A stack's clusters, each with network, pools, stores, identities, device plugins and models: the table of contents.

Makes no cloud resource itself; every line hands a piece of the spec to the component that owns it: what a cluster stands on to
`infra.ground`, what it runs for its models to `infra.addons`.
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet import weights
from fleet.contract import AcceleratorPool
from fleet.monitoring.figures import replicas
from fleet.plan import pools
from fleet.queues import OF_SERVICE
from fleet.spec import ModelSpec, Provisioning
from fleet.spec import Monitoring as Watched
from infra import addons, ground
from infra.kubernetes.compute_class import ComputeClass
from infra.kubernetes.dra_driver import DraDriver
from infra.kubernetes.fabric import fabrics
from infra.kubernetes.model_serving import ModelServing, ModelServingArgs
from infra.kubernetes.monitoring import Monitoring
from infra.kubernetes.namespaces import ModelsNamespace
from infra.kubernetes.neuron_scheduler import NeuronScheduler
from infra.kubernetes.tenancy import NO_TEAM, Tenancy, Tenant
from infra.provisioning import ProvisionArgs, provision
from infra.services import services
from infra.site import Site
from infra.stack import Stack


def deploy(stack: Stack) -> dict[str, Any]:
    """Provision every cluster of the stack; returns its outputs."""
    sites = {name: Site(stack, name, spec) for name, spec in stack.spec.clusters.items()}
    return {"clusters": {name: _Cluster(site).outputs for name, site in sites.items()}}


class _Cluster(pulumi.ComponentResource):
    """One cluster and all that belongs to it."""

    outputs: dict[str, Any]

    def __init__(self, site: Site) -> None:
        super().__init__("accelfleet:platform:Cluster", site.name, {})
        name, spec = site.name, site.spec
        self.site = site
        self.providers = ground.providers(site, _account(site), pulumi.ResourceOptions(parent=self))
        in_cloud = pulumi.ResourceOptions(parent=self, providers=self.providers)

        accelerators = pools(site.stack.name, name, spec, pool_name=site.cloud.pool_name)
        auto = spec.provisioning is Provisioning.AUTO
        network = ground.network(site, in_cloud)
        cluster = ground.cluster(site, network, tuple(accelerators.values()) if auto else None, in_cloud)
        system = ground.system_pool(site, cluster, in_cloud)
        # GKE taints GPU nodes only where a CPU pool stands already: the system pool always comes first.
        after_system = [system] if system is not None else []
        api = kubernetes.Provider(
            f"{name}-kubernetes",
            kubeconfig=cluster.kubeconfig,
            opts=pulumi.ResourceOptions(parent=self, depends_on=after_system),
        )
        self.providers = [*self.providers, api]
        rungs = [rung for pool in accelerators.values() for rung in pool.rungs]
        grouped = {} if auto else accelerators
        node_pools = {
            key: ground.node_pools(site, pool, cluster, self._everywhere(after_system)) for key, pool in grouped.items()
        }
        stores = {key: ground.store(site, key, network, in_cloud) for key in spec.stores}
        self.services = services(site, network, stores, in_cloud)
        tpu_vms = {key: ground.tpu_vm(site, key, network, stores, in_cloud) for key in spec.tpu_vms}
        in_kubernetes = pulumi.ResourceOptions(parent=self, providers=[api])
        plugins, directories = addons.node_agents(site, rungs, in_kubernetes)
        claimed = [rung for rung in rungs if rung.dra]
        drivers = [DraDriver(f"{name}-dra-driver", claimed, opts=in_kubernetes)] if claimed else []
        beside = any(rung.neuron_scheduler for rung in rungs)
        before_pods = [
            *addons.admission(site, accelerators, in_kubernetes),
            *([NeuronScheduler(f"{name}-neuron", site.minor, site.protect, in_kubernetes)] if beside else []),
        ]
        addons.autoscaler(site, cluster, list(grouped.values()), in_cloud, in_kubernetes)
        if auto:
            args = ProvisionArgs(site=site, cluster=cluster, pools=accelerators)
            node_pools = provision(args, in_cloud, in_kubernetes)
        in_cloud_pools = [made for of_pool in node_pools.values() for made in of_pool]
        fabric = fabrics(name, site.physical, rungs, plugins, in_cloud_pools, in_kubernetes)
        classes = [
            ComputeClass(f"{name}-{key}-class", pool, opts=in_kubernetes) for key, pool in grouped.items() if pool.compute_class
        ]
        queues = [queue for queue in map(self._queue, spec.models.values()) if queue is not None]
        keda = addons.keda(site, cluster, queues, self._everywhere(), in_kubernetes)
        keda += addons.grid(site, in_kubernetes)
        if spec.monitoring is Watched.PROMETHEUS:
            Monitoring(f"{name}-monitoring", replicas(spec, accelerators), in_kubernetes)
        namespace = ModelsNamespace(f"{name}-models", opts=in_kubernetes)
        tenancy = Tenancy(name, spec, list(accelerators.values()), in_kubernetes) if spec.teams else None
        for key, model in spec.models.items():
            tenant, home = (tenancy.tenants[model.team], tenancy) if tenancy and model.team else (NO_TEAM, namespace)
            before = [*node_pools[model.pool], *before_pods, *classes, plugins, *drivers, *fabric, *keda, *directories, home]
            self._model(key, model, accelerators[model.pool], cluster, stores, tenant, self._everywhere(before))

        self.outputs = {
            "cloud": str(spec.cloud),
            "region": spec.region,
            "name": cluster.cluster_name,
            "kubeconfig": pulumi.Output.secret(cluster.kubeconfig),
            "stores": {key: store.url for key, store in stores.items()},
            "services": {key: service.address for key, service in self.services.items()},
            "pools": {key: _describe(pool) for key, pool in accelerators.items()},
            **({"tpuVms": {key: vm.vm_name for key, vm in tpu_vms.items()}} if tpu_vms else {}),
        }
        self.register_outputs(self.outputs)

    def _everywhere(self, after: list[Any] | None = None) -> pulumi.ResourceOptions:
        """For what is made in the cloud and in the cluster both."""
        return pulumi.ResourceOptions(parent=self, providers=self.providers, depends_on=after)

    def _queue(self, model: ModelSpec) -> pulumi.Input[str] | None:
        """The address of a model's queue; where `services:` makes it, known once it is made."""
        address = model.scaling.queue.address if model.scaling.queue else None
        if address is None or not address.startswith(OF_SERVICE):
            return address
        return self.services[address.removeprefix(OF_SERVICE)].counted  # type: ignore[no-any-return]

    def _model(
        self,
        key: str,
        model: ModelSpec,
        pool: AcceleratorPool,
        cluster: Any,
        stores: dict[str, Any],
        tenant: Tenant,
        opts: pulumi.ResourceOptions,
    ) -> None:
        identity, url = None, None
        if model.weights is not None and model.weights.store and self.site.cloud.workload_identity is not None:
            store, path = stores[model.weights.store], model.weights.path
            identity = ground.identity(self.site, key, tenant.namespace, cluster, store, self._everywhere())
            url = store.url.apply(lambda base: f"{base}/{path}".rstrip("/"))
            put = store.put(path, weights.files(model.weights.files)) if model.weights.files else []
            opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=put))
        args = ModelServingArgs.of(
            key, model, pool, weights_url=url, identity=identity, tenant=tenant, queue=self._queue(model)
        )
        ModelServing(f"{self.site.name}-{key}", args, opts)


def _account(site: Site) -> str | None:
    """The project or subscription of Pulumi's own configuration, where the cloud has such a thing."""
    if site.cloud.account_key is None:
        return None
    return pulumi.Config(site.cloud.config_namespace).get(site.cloud.account_key)


def _describe(pool: AcceleratorPool) -> dict[str, Any]:
    """What the demo's table and other stacks read of a pool."""
    return {
        "accelerator": pool.accelerator.name,
        "resource": pool.resource,
        "deviceClass": pool.device_class,
        "machine": pool.machine.name,
        "perNode": pool.per_node,
        "slots": pool.slots,
        "sharing": str(pool.sharing) if pool.sharing else None,
        "minNodes": pool.min_nodes,
        "maxNodes": pool.most_nodes,
        "purchase": pool.purchase,
        "usdHour": pool.hosts.usd_hour if pool.hosts else None,
    }
