"""A stack's clusters, each with network, pools, stores, identities, device plugins and models: the table of contents.

Makes no cloud resource itself; every line hands a piece of the spec to the component that owns it.
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet import naming, weights
from fleet.admission.facts import Facts
from fleet.carbon.deferrals import Rule
from fleet.catalog.nodes import credential_endpoints
from fleet.catalog.tpu_vms import tpu_vm_type
from fleet.contract import AcceleratorPool
from fleet.cost import grid_zone
from fleet.monitoring.figures import replicas
from fleet.plan import network_zones, pools, rung_names
from fleet.queues import OF_SERVICE
from fleet.spec import Autoscaler, ClusterSpec, Environment, ModelSpec, Provisioning
from fleet.spec import Monitoring as Watched
from fleet.spec_admission import AdmissionMode
from fleet.spec_network import Nat
from infra import versions
from infra.clouds import kit
from infra.clouds.base import (
    ClusterArgs,
    Kit,
    NetworkArgs,
    NodePoolArgs,
    ObjectStoreArgs,
    ProviderArgs,
    QueueReaderArgs,
    SystemPoolArgs,
    TpuVmArgs,
    WorkloadIdentityArgs,
)
from infra.kubernetes import cluster_autoscaler, gpu_metrics, weights_volume
from infra.kubernetes.admission import Admission
from infra.kubernetes.carbon_exporter import CarbonExporter
from infra.kubernetes.compute_class import ComputeClass
from infra.kubernetes.device_plugins import DevicePlugins
from infra.kubernetes.dra_driver import DraDriver
from infra.kubernetes.fabric import fabrics
from infra.kubernetes.gpu_metrics import GpuMetrics
from infra.kubernetes.keda import SERVICE_ACCOUNT, Keda
from infra.kubernetes.model_serving import ModelServing, ModelServingArgs
from infra.kubernetes.monitoring import Monitoring
from infra.kubernetes.namespaces import KEDA, ModelsNamespace
from infra.kubernetes.neuron_scheduler import NeuronScheduler
from infra.kubernetes.tenancy import NO_TEAM, Tenancy, Tenant
from infra.kubernetes.weights_volume import WeightsDirectories
from infra.provisioning import ProvisionArgs, provision
from infra.services import Place, services
from infra.stack import Stack


def deploy(stack: Stack) -> dict[str, Any]:
    """Provision every cluster of the stack; returns its outputs."""
    return {"clusters": {name: _Cluster(stack, name, spec).outputs for name, spec in stack.spec.clusters.items()}}


class _Cluster(pulumi.ComponentResource):
    """One cluster and all that belongs to it."""

    outputs: dict[str, Any]
    # Cloud services by their names, as `services:` has them.
    services: dict[str, Any]

    def __init__(self, stack: Stack, name: str, spec: ClusterSpec) -> None:
        super().__init__("accelfleet:platform:Cluster", name, {})
        self.stack, self.name, self.spec = stack, name, spec
        self.services = {}
        self.cloud: Kit = kit(spec.cloud)
        self.tags = naming.tags(stack=stack.name, environment=stack.spec.environment, owner=stack.spec.owner, cluster=name)
        self.protect = stack.spec.environment is Environment.PROD
        # An existing cluster has no cloud of ours: nothing is made there, so that there is nobody to make it.
        self.providers: list[pulumi.ProviderResource] = []
        if self.cloud.provider is not None:
            self.providers = [self.cloud.provider(f"{name}-{spec.cloud}", self._provider_args(), self._in_cluster())]
        in_cloud = pulumi.ResourceOptions(parent=self, providers=self.providers)

        accelerators = pools(stack.name, name, spec, pool_name=self.cloud.pool_name)
        auto = spec.provisioning is Provisioning.AUTO
        network = self._network(in_cloud)
        cluster = self._cluster(network, tuple(accelerators.values()) if auto else None, in_cloud)
        system = self._system_pool(cluster, in_cloud)
        api = kubernetes.Provider(
            f"{name}-kubernetes",
            kubeconfig=cluster.kubeconfig,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[r for r in (system,) if r is not None]),
        )
        self.providers = [*self.providers, api]
        rungs = [rung for pool in accelerators.values() for rung in pool.rungs]
        grouped = {} if auto else accelerators
        node_pools = {key: self._node_pools(pool, cluster, system) for key, pool in grouped.items()}
        stores = {key: self._store(key, network, in_cloud) for key in spec.stores}
        self.services = self._services(network, stores, in_cloud)
        tpu_vms = {key: self._tpu_vm(key, network, stores, in_cloud) for key in spec.tpu_vms}
        in_kubernetes = pulumi.ResourceOptions(parent=self, providers=[api])
        plugins, directories = self._node_agents(rungs, in_kubernetes)
        claimed = [rung for rung in rungs if rung.dra]
        drivers = [DraDriver(f"{name}-dra-driver", claimed, opts=in_kubernetes)] if claimed else []
        beside = any(rung.neuron_scheduler for rung in rungs)
        before_pods = [
            *self._admission(accelerators, in_kubernetes),
            *([NeuronScheduler(f"{name}-neuron", self._minor, self.protect, in_kubernetes)] if beside else []),
        ]
        self._autoscaler(cluster, list(grouped.values()), in_cloud, in_kubernetes)
        if auto:
            args = ProvisionArgs(
                cluster=cluster,
                physical_name=self._physical,
                spec=spec,
                pools=accelerators,
                tags=self.tags,
                provisioner=self.cloud.provisioner,
            )
            node_pools = provision(name, args, in_cloud, in_kubernetes)
        in_cloud_pools = [made for of_pool in node_pools.values() for made in of_pool]
        fabric = fabrics(name, self._physical, rungs, plugins, in_cloud_pools, in_kubernetes)
        classes = [
            ComputeClass(f"{name}-{key}-class", pool, opts=in_kubernetes) for key, pool in grouped.items() if pool.compute_class
        ]
        keda = [*self._keda(cluster, in_kubernetes), *self._grid(in_kubernetes)]
        if spec.monitoring is Watched.PROMETHEUS:
            Monitoring(f"{name}-monitoring", replicas(spec, accelerators), in_kubernetes)
        namespace = ModelsNamespace(f"{name}-models", opts=in_kubernetes)
        tenancy = Tenancy(name, spec, list(accelerators.values()), in_kubernetes) if spec.teams else None
        for key, model in spec.models.items():
            tenant, place = (tenancy.tenants[model.team], tenancy) if tenancy and model.team else (NO_TEAM, namespace)
            before = [*node_pools[model.pool], *before_pods, *classes, plugins, *drivers, *fabric, *keda, *directories, place]
            ready = pulumi.ResourceOptions(parent=self, providers=self.providers, depends_on=before)
            self._model(key, model, accelerators[model.pool], cluster, stores, tenant, ready)

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

    def _in_cluster(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self)

    def _provider_args(self) -> ProviderArgs:
        config = pulumi.Config(self.cloud.config_namespace)
        account = config.get(self.cloud.account_key) if self.cloud.account_key else None
        return ProviderArgs(region=self.spec.region, account=account, tags=self.tags)

    @property
    def _minor(self) -> str:
        return self.spec.kubernetes or versions.KUBERNETES

    @property
    def _physical(self) -> str:
        return naming.cluster(self.stack.name, self.name)

    def _network(self, opts: pulumi.ResourceOptions) -> Any:
        if self.cloud.network is None:
            return None
        net = self.spec.network
        args = NetworkArgs(
            name=self._physical,
            region=self.spec.region,
            cidr=str(net.cidr),
            zones=network_zones(self.spec),
            nat=Nat.NONE if net.isolated else net.nat,
            existing=net.existing,
            tags=self.tags,
            auto=self.spec.provisioning is Provisioning.AUTO,
            functions=bool(self.spec.services.functions),
        )
        return self.cloud.network(self.name, args, opts)

    def _cluster(self, network: Any, provisioned: tuple[AcceleratorPool, ...] | None, opts: pulumi.ResourceOptions) -> Any:
        system = self.spec.system_pool
        args = ClusterArgs(
            name=self._physical,
            region=self.spec.region,
            kubernetes=self._minor,
            api=self.spec.api,
            admins=tuple(self.spec.admins),
            protect=self.protect,
            tags=self.tags,
            network=network,
            system_machine=system.machine or self.cloud.default_machine,
            system_nodes=(system.nodes.min, system.nodes.max),
            kubeconfig=self.stack.secret(self.spec.kubeconfig) if self.spec.kubeconfig else None,
            fabric=any(pool.fabric for pool in self.spec.pools.values()),
            routes=any(model.route for model in self.spec.models.values()),
            provisioned=provisioned,
            by_priority=any(len(pool.ladder) > 1 for pool in self.spec.pools.values()),
        )
        return self.cloud.cluster(self.name, args, opts)

    def _system_pool(self, cluster: Any, opts: pulumi.ResourceOptions) -> Any:
        if self.cloud.system_pool is None:
            return None
        system = self.spec.system_pool
        args = SystemPoolArgs(
            cluster=cluster,
            machine=system.machine or self.cloud.default_machine,
            min_nodes=system.nodes.min,
            max_nodes=system.nodes.max,
            zones=network_zones(self.spec),
            tags=self.tags,
        )
        return self.cloud.system_pool(f"{self.name}-system", args, opts)

    def _autoscaler(
        self,
        cluster: Any,
        accelerators: list[AcceleratorPool],
        in_cloud: pulumi.ResourceOptions,
        in_kubernetes: pulumi.ResourceOptions,
    ) -> None:
        priorities = cluster_autoscaler.priorities(accelerators)
        if priorities:
            cluster_autoscaler.PriorityExpander(f"{self.name}-priorities", priorities, in_kubernetes)
        if self.cloud.autoscaler is None:
            return
        role = self.cloud.autoscaler(
            f"{self.name}-autoscaler-rights",
            cluster=cluster,
            region=self.spec.region,
            namespace=cluster_autoscaler.NAMESPACE,
            service_account=cluster_autoscaler.SERVICE_ACCOUNT,
            opts=in_cloud,
        )
        cluster_autoscaler.ClusterAutoscaler(
            f"{self.name}-autoscaler",
            cluster=self._physical,
            minor=self._minor,
            env=role.env,
            by_priority=bool(priorities),
            by_claims=any(pool.dra for pool in accelerators),
            doubled=self.protect,
            opts=pulumi.ResourceOptions.merge(in_kubernetes, pulumi.ResourceOptions(depends_on=[role])),
        )

    def _node_agents(
        self, rungs: list[AcceleratorPool], opts: pulumi.ResourceOptions
    ) -> tuple[DevicePlugins, list[WeightsDirectories]]:
        """Device plugins, who measures GPUs, and where models keep their weights on nodes what makes room for them."""
        kept = weights_volume.on_nodes(self.spec.models)
        watched = gpu_metrics.measured(rungs) if self.spec.monitoring is Watched.PROMETHEUS else []
        plugins = DevicePlugins(f"{self.name}-device-plugins", rungs, opts=opts, place=bool(kept or watched))
        after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[plugins]))
        if watched:
            GpuMetrics(f"{self.name}-gpu-metrics", watched, after)
        if not kept:
            return plugins, []
        return plugins, [WeightsDirectories(f"{self.name}-weights", kept, rungs, after)]

    def _admission(self, accelerators: dict[str, AcceleratorPool], opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
        """Who refuses pods that break the accelerator rules, where there are accelerators."""
        if not accelerators or self.spec.admission_mode is AdmissionMode.NONE:
            return []
        facts = Facts.of(accelerators.values(), self.spec)
        return [Admission(f"{self.name}-admission", facts, self.stack.spec.policies.limits.host_namespaces, opts)]

    def _keda(self, cluster: Any, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
        """Who scales models, where some model is scaled by it."""
        reader = self._queue_reader(cluster)
        if not any(model.autoscaler is Autoscaler.KEDA for model in self.spec.models.values()):
            return []
        return [Keda(f"{self.name}-keda", opts, reader, credential_endpoints(self.spec.cloud))]

    def _grid(self, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
        """Who asks the grid, where a model goes by it."""
        if not self.spec.grid_token or not any(model.carbon for model in self.spec.models.values()):
            return []
        token = self.stack.secret(self.spec.grid_token)
        rules = [Rule(*model.carbon.deferral) for model in self.spec.models.values() if model.carbon and model.carbon.deferral]
        return [CarbonExporter(f"{self.name}-carbon", grid_zone(self.spec.cloud, self.spec.region), token, rules, opts)]

    def _queue(self, model: ModelSpec) -> pulumi.Input[str] | None:
        """The address of a model's queue; where `services:` makes it, known once it is made."""
        address = model.scaling.queue.address if model.scaling.queue else None
        if address is None or not address.startswith(OF_SERVICE):
            return address
        return self.services[address.removeprefix(OF_SERVICE)].counted  # type: ignore[no-any-return]

    def _queue_reader(self, cluster: Any) -> Any:
        """KEDA's rights over the queues that models go by, where there are any."""
        addresses = tuple(a for a in map(self._queue, self.spec.models.values()) if a is not None)
        if not addresses or self.cloud.queue_reader is None:
            return None
        args = QueueReaderArgs(
            cluster=cluster, namespace=KEDA, service_account=SERVICE_ACCOUNT, addresses=addresses, tags=self.tags
        )
        opts = pulumi.ResourceOptions(parent=self, providers=self.providers)
        return self.cloud.queue_reader(f"{self.name}-queues", args, opts)

    def _node_pools(self, pool: AcceleratorPool, cluster: Any, system: Any) -> list[pulumi.Resource]:
        """The pool's rungs in the cloud, in the order in which they are bought."""
        # GKE taints GPU nodes only where a CPU pool stands already: the system pool always comes first.
        after = pulumi.ResourceOptions(parent=self, providers=self.providers, depends_on=[system] if system is not None else [])
        names = rung_names(pool.name, self.spec.pools[pool.name])
        return [
            self.cloud.node_pool(f"{self.name}-{name}", NodePoolArgs(cluster=cluster, pool=rung, tags=self.tags), after)
            for name, rung in zip(names, pool.rungs, strict=True)
        ]

    def _store(self, key: str, network: Any, opts: pulumi.ResourceOptions) -> Any:
        assert self.cloud.object_store is not None, "fleet.checks refuses stores where there are none"
        store = self.spec.stores[key]
        name = self.cloud.store_name(pulumi.get_project(), self.stack.name, self.name, key)
        args = ObjectStoreArgs(
            name=name,
            region=self.spec.region,
            network=network,
            versioned=store.versioned,
            expire_noncurrent_days=store.expire_noncurrent_days,
            protect=self.protect if store.protect is None else store.protect,
            tags=self.tags,
            analysed=self.spec.services.analyses(key),
        )
        return self.cloud.object_store(f"{self.name}-{key}", args, opts)

    def _services(self, network: Any, stores: dict[str, Any], opts: pulumi.ResourceOptions) -> dict[str, Any]:
        place = Place(
            name=self.name,
            physical_name=self._physical,
            spec=self.spec,
            network=network,
            stores=stores,
            protect=self.protect,
            tags=self.tags,
        )
        return services(place, opts)

    def _tpu_vm(self, key: str, network: Any, stores: dict[str, Any], opts: pulumi.ResourceOptions) -> Any:
        assert self.cloud.tpu_vm is not None, "fleet.checks refuses TPU VMs where there are none"
        spec = self.spec.tpu_vms[key]
        args = TpuVmArgs(
            name=naming.physical(self._physical, key, "tpu"),
            zone=tpu_vm_type(spec.type, self.spec.region, spec.zone).zone,
            type=spec.type,
            runtime=spec.runtime,
            spot=spec.purchase == "spot",
            network=network,
            reads=[stores[store] for store in spec.reads],
            writes=[stores[store] for store in spec.writes],
            protect=self.protect,
            tags=self.tags,
        )
        return self.cloud.tpu_vm(f"{self.name}-{key}", args, opts)

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
        if model.weights is not None and model.weights.store and self.cloud.workload_identity is not None:
            store = stores[model.weights.store]
            identity = self.cloud.workload_identity(
                f"{self.name}-{key}-identity",
                WorkloadIdentityArgs(
                    cluster=cluster, namespace=tenant.namespace, service_account=key, store=store, tags=self.tags
                ),
                pulumi.ResourceOptions(parent=self, providers=self.providers),
            )
            path = model.weights.path
            url = store.url.apply(lambda base: f"{base}/{path}".rstrip("/"))
            put = store.put(path, weights.files(model.weights.files)) if model.weights.files else []
            opts = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=put))
        args = ModelServingArgs.of(
            key, model, pool, weights_url=url, identity=identity, tenant=tenant, queue=self._queue(model)
        )
        ModelServing(f"{self.name}-{key}", args, opts)


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
