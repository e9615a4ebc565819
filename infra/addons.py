"""What a cluster runs for its models: autoscaler, node agents, admission, KEDA, the grid's exporter, each where it is needed.

What they are is `infra.kubernetes`' affair; the rights that some have in the cloud are the cloud's kit's.
"""

from __future__ import annotations

from typing import Any

import pulumi

from fleet.admission.facts import Facts
from fleet.carbon.deferrals import Rule
from fleet.catalog.nodes import credential_endpoints
from fleet.contract import AcceleratorPool
from fleet.cost import grid_zone
from fleet.spec import Autoscaler
from fleet.spec import Monitoring as Watched
from fleet.spec_admission import AdmissionMode
from infra.clouds.base import QueueReaderArgs
from infra.kubernetes import cluster_autoscaler, gpu_metrics, weights_volume
from infra.kubernetes.admission import Admission
from infra.kubernetes.carbon_exporter import CarbonExporter
from infra.kubernetes.device_plugins import DevicePlugins
from infra.kubernetes.gpu_metrics import GpuMetrics
from infra.kubernetes.keda import SERVICE_ACCOUNT, Keda
from infra.kubernetes.namespaces import KEDA
from infra.kubernetes.weights_volume import WeightsDirectories
from infra.site import Site


def autoscaler(
    site: Site,
    cluster: Any,
    accelerators: list[AcceleratorPool],
    in_cloud: pulumi.ResourceOptions,
    in_kubernetes: pulumi.ResourceOptions,
) -> None:
    """Who moves the sizes of groups, and in which order it buys."""
    priorities = cluster_autoscaler.priorities(accelerators)
    if priorities:
        cluster_autoscaler.PriorityExpander(f"{site.name}-priorities", priorities, in_kubernetes)
    if site.cloud.autoscaler is None:
        return
    role = site.cloud.autoscaler(
        f"{site.name}-autoscaler-rights",
        cluster=cluster,
        region=site.spec.region,
        namespace=cluster_autoscaler.NAMESPACE,
        service_account=cluster_autoscaler.SERVICE_ACCOUNT,
        opts=in_cloud,
    )
    cluster_autoscaler.ClusterAutoscaler(
        f"{site.name}-autoscaler",
        cluster=site.physical,
        minor=site.minor,
        env=role.env,
        by_priority=bool(priorities),
        by_claims=any(pool.dra for pool in accelerators),
        doubled=site.protect,
        opts=pulumi.ResourceOptions.merge(in_kubernetes, pulumi.ResourceOptions(depends_on=[role])),
    )


def node_agents(
    site: Site, rungs: list[AcceleratorPool], opts: pulumi.ResourceOptions
) -> tuple[DevicePlugins, list[WeightsDirectories]]:
    """Device plugins, who measures GPUs, and where models keep their weights on nodes what makes room for them."""
    kept = weights_volume.on_nodes(site.spec.models)
    watched = gpu_metrics.measured(rungs) if site.spec.monitoring is Watched.PROMETHEUS else []
    plugins = DevicePlugins(f"{site.name}-device-plugins", rungs, opts=opts, place=bool(kept or watched))
    after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[plugins]))
    if watched:
        GpuMetrics(f"{site.name}-gpu-metrics", watched, after)
    if not kept:
        return plugins, []
    return plugins, [WeightsDirectories(f"{site.name}-weights", kept, rungs, after)]


def admission(site: Site, accelerators: dict[str, AcceleratorPool], opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """Who refuses pods that break the accelerator rules, where there are accelerators."""
    if not accelerators or site.spec.admission_mode is AdmissionMode.NONE:
        return []
    facts = Facts.of(accelerators.values(), site.spec)
    return [Admission(f"{site.name}-admission", facts, site.stack.spec.policies.limits.host_namespaces, opts)]


def keda(
    site: Site,
    cluster: Any,
    queues: list[pulumi.Input[str]],
    in_cloud: pulumi.ResourceOptions,
    in_kubernetes: pulumi.ResourceOptions,
) -> list[pulumi.Resource]:
    """Who scales models, where some model is scaled by it, with rights over the queues that models go by."""
    reader = None
    if queues and site.cloud.queue_reader is not None:
        args = QueueReaderArgs(
            cluster=cluster, namespace=KEDA, service_account=SERVICE_ACCOUNT, addresses=tuple(queues), tags=site.tags
        )
        reader = site.cloud.queue_reader(f"{site.name}-queues", args, in_cloud)
    if not any(model.autoscaler is Autoscaler.KEDA for model in site.spec.models.values()):
        return []
    return [Keda(f"{site.name}-keda", in_kubernetes, reader, credential_endpoints(site.spec.cloud))]


def grid(site: Site, opts: pulumi.ResourceOptions) -> list[pulumi.Resource]:
    """Who asks the grid, where a model goes by it."""
    spec = site.spec
    if not spec.grid_token or not any(model.carbon for model in spec.models.values()):
        return []
    token = site.stack.secret(spec.grid_token)
    rules = [Rule(*model.carbon.deferral) for model in spec.models.values() if model.carbon and model.carbon.deferral]
    return [CarbonExporter(f"{site.name}-carbon", grid_zone(spec.cloud, spec.region), token, rules, opts)]
