"""A model on a pool: `charts/model-serving` installed by Helm, placed by the pool object and by nothing else.

Owns the step from a model to the chart's values, and how long a start may take. Needs no CRD at preview (pain 10):
KEDA's ScaledObject lives in the chart, is rendered only where the model asks for KEDA, and meets an API server only
when the release is installed. What that goes by is `infra.kubernetes.scaling`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.carbon.ceiling import Ceiling, Deadline
from fleet.carbon.deferrals import Rule
from fleet.catalog.dra import Claim
from fleet.catalog.nodes import credential_endpoints
from fleet.catalog.sharing import SharingMode
from fleet.contract import ACCELERATOR_LABEL, AcceleratorPool
from fleet.plan import accelerators_of
from fleet.share import share_of_node
from fleet.spec import Autoscaler, ModelSpec
from fleet.spec_scaling import ScalingSpec
from fleet.spec_serving import PodMonitorSpec, RouteSpec
from infra.clouds.base import WorkloadIdentity
from infra.kubernetes import model_access, scaling, weights_volume
from infra.kubernetes.model_servers import GRPC_PORT, ModelServer, arguments, server_of
from infra.kubernetes.tenancy import NO_TEAM, Tenant

# From the program's directory: an absolute path would be in the state, and differ on everybody's machine
# (pulumi-kubernetes#2573).
CHART = "./charts/model-serving"
PORT = 8000

# A start: two minutes for process, device context and compilation, and 0.2 GiB of weights a second from a store in
# the region. A probe that gives up earlier kills a pod that is only loading, again and again.
_BASE_S = 120
_S_PER_GIB = 5
# What Helm waits for on top: a node from zero, and an image of 10 GB.
_NODE_AND_IMAGE_S = 900
# How long Karpenter leaves a pod where it is. https://karpenter.sh/docs/concepts/disruption/#pod-level-controls
_KEPT = "karpenter.sh/do-not-disrupt"
# Percent of a GPU's memory that all servers on it may take together; vLLM's own default for one.
_GPU_MEMORY_PERCENT = 90


@dataclass(frozen=True, kw_only=True)
class ModelServingArgs:
    """One model.

    Attributes:
        name: release, service account and Service. count: accelerators a replica takes.
        replicas: least and most; the same without an autoscaler.
        tenant: where it runs, and on whose share.
        weights_url, weights_gib: where the weights are and their size; None and 0 where the image brings them.
        weights_cache: the chart's `weights.cache`.
        cpus, memory_gib: of a replica; None for its share of the node.
        identity: what lets the pods read them; the release waits for it.
        scaling: what KEDA goes by; queue: the address of its queue, where it has one.
        ceiling: how far the grid holds it back; None where somebody waits for it.
        route, pod_monitor: as the stack file has them.
    """

    name: str
    pool: AcceleratorPool
    count: int
    image: str
    replicas: tuple[int, int]
    autoscaler: Autoscaler
    tenant: Tenant = NO_TEAM
    weights_url: pulumi.Input[str] | None = None
    weights_gib: int = 0
    weights_cache: Mapping[str, Any] = field(default_factory=lambda: weights_volume.NONE)
    cpus: int | None = None
    memory_gib: int | None = None
    service_account_annotations: pulumi.Input[Mapping[str, str]] = field(default_factory=dict)
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    identity: WorkloadIdentity | None = None
    scaling: ScalingSpec = field(default=ScalingSpec())
    queue: pulumi.Input[str] | None = None
    ceiling: Ceiling | Deadline | None = None
    route: RouteSpec | None = None
    pod_monitor: PodMonitorSpec | None = None
    chart: str = CHART

    @classmethod
    def of(
        cls,
        name: str,
        model: ModelSpec,
        pool: AcceleratorPool,
        *,
        weights_url: pulumi.Input[str] | None = None,
        identity: WorkloadIdentity | None = None,
        tenant: Tenant = NO_TEAM,
        queue: pulumi.Input[str] | None = None,
    ) -> ModelServingArgs:
        """What the stack file says of a model, on the pool it names.

        Raises:
            ValueError: on a multi-host TPU slice, another number of replicas than its hosts, or an autoscaler.
        """
        return cls(
            name=name,
            pool=pool,
            count=accelerators_of(model, pool.machine, pool.tpu),
            image=model.image,
            replicas=_replicas(name, model, pool),
            autoscaler=model.autoscaler,
            tenant=tenant,
            weights_url=weights_url,
            weights_gib=model.weights.size_gib if model.weights else 0,
            weights_cache=weights_volume.values(model.weights, tenant.namespace, name),
            cpus=model.cpus,
            memory_gib=model.memory_gib,
            service_account_annotations=identity.service_account_annotations if identity else {},
            pod_labels=identity.pod_labels if identity else {},
            identity=identity,
            scaling=model.scaling,
            queue=queue,
            ceiling=_ceiling(model),
            route=model.route,
            pod_monitor=model.pod_monitor,
        )


def _ceiling(model: ModelSpec) -> Ceiling | Deadline | None:
    if model.carbon is None:
        return None
    if hours := model.carbon.deferral:
        return Deadline(Rule(*hours), model.replicas.min, model.replicas.max)
    thresholds = model.carbon.thresholds
    return Ceiling(*thresholds, model.replicas.min, model.replicas.max) if thresholds else None


def _replicas(name: str, model: ModelSpec, pool: AcceleratorPool) -> tuple[int, int]:
    """Least and most. A multi-host slice is one machine in many parts: a worker on each host, whatever the load."""
    asked = model.replicas.min, model.replicas.max
    if pool.tpu is None or not pool.tpu.multi_host:
        return asked
    hosts, slice_ = pool.tpu.hosts, f"the {pool.tpu.topology} slice of pool {pool.name}"
    if model.autoscaler is not Autoscaler.NONE:
        raise ValueError(
            f"model {name}: autoscaler is {model.autoscaler}, but {slice_} always runs on all {hosts} hosts: "
            "leave autoscaler out"
        )
    if "replicas" in model.model_fields_set and asked != (hosts, hosts):
        raise ValueError(
            f"model {name}: replicas {asked[0]} to {asked[1]}, but {slice_} has a worker on each of its {hosts} hosts: "
            f"leave replicas out, or write {{min: {hosts}, max: {hosts}}}"
        )
    return hosts, hosts


def start_up_seconds(weights_gib: int) -> int:
    """Seconds a replica may take from process to first answer: 120, and 5 for each GiB of weights."""
    return _BASE_S + weights_gib * _S_PER_GIB


class ModelServing(pulumi.ComponentResource):
    """A Helm release of the model-serving chart; rolled back as a whole when it does not come up.

    Attributes:
        url: where pods of the same namespace reach the model.

    Raises:
        ValueError: a node of the pool has not as many accelerators as a replica takes, or the autoscaler has nothing
            to go by.
    """

    url: pulumi.Output[str]

    def __init__(self, name: str, args: ModelServingArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        values = chart_values(args)
        super().__init__("accelfleet:kubernetes:ModelServing", name, {}, opts)
        # Credentials come into a pod when it is made: one that is there before its identity never gets any.
        before: list[pulumi.Resource] = [args.identity] if isinstance(args.identity, pulumi.Resource) else []
        kubernetes.helm.v3.Release(
            name,
            name=args.name,
            namespace=args.tenant.namespace,
            chart=args.chart,
            values=values,
            atomic=True,
            cleanup_on_fail=True,
            skip_await=False,
            timeout=_NODE_AND_IMAGE_S + start_up_seconds(args.weights_gib),
            # In another team's namespace it is another release, and the one before it holds the accelerators.
            opts=pulumi.ResourceOptions(parent=self, depends_on=before, delete_before_replace=True),
        )
        self.url = pulumi.Output.from_input(f"http://{args.name}.{args.tenant.namespace}.svc:{PORT}")
        self.register_outputs({"url": self.url})


def chart_values(args: ModelServingArgs) -> dict[str, Any]:
    """The chart's values, complete: nothing that a model depends on is left to the chart's defaults."""
    placement, server = args.pool.placement(args.count), server_of(args.image)
    low, high = args.replicas
    values: dict[str, Any] = {
        "image": {"name": args.image},
        "server": {"port": PORT, "grpcPort": GRPC_PORT if server.grpc else 0},
        "accelerator": {"resource": placement.resource or "", "count": placement.count},
        "resourceClaims": [_claim(placement.claim)] if placement.claim else [],
        "extraResources": dict(placement.extra),
        "nodeSelector": {**placement.node_selector, **_flavor(args)},
        "tolerations": placement.tolerations,
        "preferNodes": list(placement.prefer),
        "schedulerName": placement.scheduler or "",
        "runtimeClassName": placement.runtime_class or "",
        "priorityClassName": args.tenant.priority_class,
        "terminationGracePeriodSeconds": args.pool.grace_s,
        **_share_of_node(args),
        "weights": {"sizeGiB": args.weights_gib, "cache": dict(args.weights_cache)},
        "replicas": {"min": low, "max": high},
        "rollout": {"awaited": True},
        "autoscaling": scaling.values(_demand(args)),
        "probes": {
            "startup": {"baseSeconds": _BASE_S, "secondsPerGiB": _S_PER_GIB},
            "liveness": {"path": server.alive},
            "readiness": {"path": server.ready},
        },
        "serviceAccount": {"annotations": args.service_account_annotations},
        "podLabels": {**args.pod_labels, **args.tenant.queue_labels},
        "podAnnotations": {**placement.annotations, **_kept(args)},
        **model_access.values(args.autoscaler, args.route, args.pod_monitor),
    }
    if args.queue is not None:
        values["server"]["env"] = [{"name": "QUEUE", "value": args.queue}]
    if args.weights_url is not None or weights_volume.is_image(args.weights_cache):
        told = arguments(server, args.count, weights_volume.folder(args.weights_cache))
        values["server"] |= {"command": list(server.command), "args": [*told, *_share_of_gpu(args.pool, server)]}
    if args.weights_url is not None:
        values["weights"]["url"] = args.weights_url
        values["networkPolicy"]["credentialEndpoints"] = [
            {"cidr": cidr, "port": port} for cidr, port in credential_endpoints(args.pool.cloud)
        ]
    return values


def _claim(claim: Claim) -> dict[str, Any]:
    return {
        "name": "accelerators",
        "deviceClass": claim.device_class,
        "count": claim.count,
        "selectors": list(claim.selectors),
    }


def _kept(args: ModelServingArgs) -> dict[str, str]:
    """Until it has loaded, a replica serves nobody, and moving it only loses time; from then on a drain may take it.

    Not where it may be on spot: the end of an interrupted machine waits for nobody, and a drain that waits is none.
    """
    if not args.pool.auto or any(rung.spot for rung in args.pool.rungs):
        return {}
    return {_KEPT: f"{start_up_seconds(args.weights_gib)}s"}


def _flavor(args: ModelServingArgs) -> dict[str, str]:
    """What a queue tells accelerators apart by; a pod without it could be given another one's share, and fit no node."""
    return {ACCELERATOR_LABEL: args.pool.accelerator.name} if args.tenant.queue_labels else {}


def _share_of_node(args: ModelServingArgs) -> dict[str, Any]:
    """What the model asks for, or the share of its accelerators; with a limit where whole CPUs are to be a pod's own."""
    share = share_of_node(args.pool, args.count)
    cpu_m = args.cpus * 1000 if args.cpus else share.cpu_m
    memory = args.memory_gib or share.memory_gib
    return {
        "resources": {
            "cpu": f"{cpu_m}m",
            "cpuLimit": f"{cpu_m}m" if args.pool.numa else "",
            "memory": f"{memory}Gi",
            "ephemeralStorage": f"{share.disk_gib}Gi",
        },
        "sharedMemory": f"{max(1, memory // 4)}Gi",
    }


def _share_of_gpu(pool: AcceleratorPool, server: ModelServer) -> list[str]:
    """A server that takes nearly all device memory at its start must be told of its neighbours; a part in hardware has none."""
    apart = (SharingMode.MIG, SharingMode.CORES)
    if pool.sharing is None or pool.sharing.mode in apart or server.memory_share is None:
        return []
    return [f"{server.memory_share}={_GPU_MEMORY_PERCENT // pool.sharing.slots / 100}"]


def _demand(args: ModelServingArgs) -> scaling.Demand:
    return scaling.Demand(
        model=args.name,
        image=args.image,
        metrics_url=f"http://{args.name}.{args.tenant.namespace}.svc:{PORT}/metrics",
        waiting=server_of(args.image).waiting,
        cloud=args.pool.cloud,
        replicas=args.replicas,
        start_s=start_up_seconds(args.weights_gib),
        autoscaler=args.autoscaler,
        spec=args.scaling,
        address=args.queue,
        ceiling=args.ceiling,
    )
