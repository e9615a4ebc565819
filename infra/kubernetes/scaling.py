"""What a model's autoscaler goes by: the chart's `autoscaling` values, by what the model is.

Owns KEDA's triggers (requests that wait, a queue of each cloud, a schedule, the grid), what holds where they fail, and how
slowly replicas go. Who counts them is `infra.kubernetes.keda`'s, by whose rights the clouds' `queue_reader`s'.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pulumi

from fleet.carbon.ceiling import DEFERRED, GRID, THERE, WAITING, Ceiling, Deadline
from fleet.catalog.clouds import Cloud
from fleet.catalog.servers import WAITING_PER_REPLICA
from fleet.queues import Queue, queue
from fleet.spec import Autoscaler
from fleet.spec_scaling import ScalingSpec, ScheduleSpec
from infra.kubernetes import carbon_exporter

# Kubernetes' own wait before a replica goes. https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
_KUBERNETES_WAIT_S = 300
_LONGEST_WAIT_S = 3600
# From zero nothing but KEDA's look brings the first replica; from one on the HPA asks by itself.
LOOK_FROM_ZERO_S, _LOOK_S = 5, 15
# KEDA's name for how it comes to its rights there. https://keda.sh/docs/2.21/authentication-providers/
_PROVIDERS = {Cloud.AWS: "aws", Cloud.GCP: "gcp", Cloud.AZURE: "azure-workload"}


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What a model's number of replicas follows from.

    Attributes:
        model: its name. metrics_url: where its Service tells them. waiting: the server's metric of requests in its queue.
        replicas: least and most. start_s: seconds that a replica may take to its first answer.
        spec: what the stack file says; address: of its queue, if it has one. ceiling: how far the grid holds it back.
    """

    model: str
    image: str
    metrics_url: str
    waiting: str | None
    cloud: Cloud
    replicas: tuple[int, int]
    start_s: int
    autoscaler: Autoscaler
    spec: ScalingSpec = field(default=ScalingSpec())
    address: pulumi.Input[str] | None = None
    ceiling: Ceiling | Deadline | None = None


def values(demand: Demand) -> dict[str, Any]:
    """The chart's `autoscaling`.

    Raises:
        ValueError: there is nothing that KEDA could go by.
    """
    made: dict[str, Any] = {"kind": "jobs" if demand.spec.jobs else str(demand.autoscaler), "scaleDown": _slowly(demand)}
    if demand.autoscaler is Autoscaler.KEDA:
        made["keda"] = _keda(demand)
    return made


def _slowly(demand: Demand) -> dict[str, int]:
    """A replica that went by mistake costs a whole start, so it is waited as long as one takes: 0 is Kubernetes' own wait."""
    wait = min(demand.start_s, _LONGEST_WAIT_S)
    return {"stabilizationSeconds": wait if wait > _KUBERNETES_WAIT_S else 0}


def _keda(demand: Demand) -> dict[str, Any]:
    spec, (low, _) = demand.spec, demand.replicas
    by_queue = demand.address is not None
    of_work, each = (_messages(demand), spec.queue.messages) if spec.queue else (_requests(demand), WAITING_PER_REPLICA)
    made: dict[str, Any] = {
        "pollingInterval": LOOK_FROM_ZERO_S if low == 0 else _LOOK_S,
        "cooldownPeriod": spec.idle_s,
        # A first replica that still loads has done no work, and is not idle.
        "initialCooldownPeriod": demand.start_s,
        "fallback": {"replicas": low if spec.fallback is None else spec.fallback, "behavior": _when_blind(demand)},
        "triggers": [of_work, *(_times(schedule) for schedule in spec.schedule)],
    }
    if spec.jobs and isinstance(demand.ceiling, Deadline):
        # A ScaledJob knows no formula; of two triggers it takes the lesser, and the last asks for none while work is put off.
        made |= {"triggers": [of_work, carbon_exporter.jobs_trigger(demand.ceiling.rule)], "multipleScalersCalculation": "min"}
    elif demand.ceiling is not None:
        made["triggers"] = [_named(WAITING, of_work), _held(demand.ceiling)]
        if spec.fallback is None:
            made["triggers"].append({"name": THERE, **_pods(demand.model)})
        made |= {"formula": demand.ceiling.formula(each, spec.fallback), "target": str(each)}
    if by_queue:
        made["identity"] = {"provider": _PROVIDERS[demand.cloud]}
    return made


def _held(ceiling: Ceiling | Deadline) -> dict[str, Any]:
    if isinstance(ceiling, Deadline):
        return {"name": DEFERRED, **carbon_exporter.deferral_trigger(ceiling.rule)}
    return {"name": GRID, **carbon_exporter.TRIGGER}


def _when_blind(demand: Demand) -> str:
    """Nobody knows how much work there is: as many replicas stay as there are, unless the stack file says how many.

    To KEDA a fallback is work, so that at zero it brings one replica. Without any it would take all of them: a look that the
    HPA's own failed question cuts short counts as no work (`ErrCacheClosed` in its scale_handler.go, 2.21.0).
    """
    if demand.ceiling is not None:
        return "scalingModifiers"
    return "currentReplicasIfHigher" if demand.spec.fallback is None else "static"


def _pods(model: str) -> dict[str, Any]:
    """A formula knows no replicas but by a trigger that counts them. https://keda.sh/docs/2.21/scalers/kubernetes-workload/"""
    return {"type": "kubernetes-workload", "metadata": {"podSelector": f"app.kubernetes.io/instance={model}", "value": "1"}}


def _named(name: str, trigger: Any) -> Any:
    return trigger.apply(lambda t: {"name": name, **t}) if isinstance(trigger, pulumi.Output) else {"name": name, **trigger}


def _requests(demand: Demand) -> dict[str, Any]:
    """Requests that wait, averaged over the replicas. https://keda.sh/docs/2.21/scalers/metrics-api/"""
    if demand.waiting is None:
        raise ValueError(
            f"model {demand.model}: {demand.image} tells no queue that KEDA could go by: use hpa, or vLLM or our own server"
        )
    if demand.replicas[0] == 0:
        raise ValueError(
            f"model {demand.model}: at zero replicas nothing tells KEDA of a waiting request, and it would stay at zero: "
            "set replicas.min to 1"
        )
    return {
        "type": "metrics-api",
        "metadata": {
            "url": demand.metrics_url,
            "format": "prometheus",
            "valueLocation": demand.waiting.replace("$MODEL", demand.model),
            "targetValue": str(WAITING_PER_REPLICA),
            "aggregateFromKubeServiceEndpoints": "true",
            "aggregationType": "sum",
        },
    }


def _messages(demand: Demand) -> Any:
    """Messages of a queue; an address that is not known before it is made gives a trigger that is not, either."""
    assert demand.spec.queue is not None
    messages, cloud = demand.spec.queue.messages, demand.cloud
    if demand.address is None:
        raise ValueError(f"model {demand.model}: its queue {demand.spec.queue.address} has no address")
    if isinstance(demand.address, str):
        return of_queue(queue(cloud, demand.address), demand.address, messages, demand.model)
    of_address: pulumi.Output[str] = pulumi.Output.all(demand.address).apply(lambda parts: str(parts[0]))
    return of_address.apply(lambda text: of_queue(queue(cloud, text), text, messages, demand.model))


def of_queue(found: Queue, address: str, messages: int, authentication: str) -> dict[str, Any]:
    """KEDA's trigger for a queue.

    Args:
        authentication: the TriggerAuthentication that says by whose rights it is read.
    """
    by = {"authenticationRef": {"name": authentication}}
    match found.cloud:
        case Cloud.AWS:  # https://keda.sh/docs/2.21/scalers/aws-sqs/: those that are worked on count, too
            return {
                "type": "aws-sqs-queue",
                "metadata": {"queueURL": address, "awsRegion": found.place, "queueLength": str(messages)},
                **by,
            }
        case Cloud.AZURE:  # https://keda.sh/docs/2.21/scalers/azure-service-bus/
            return {
                "type": "azure-servicebus",
                "metadata": {"namespace": found.place, "queueName": found.name, "messageCount": str(messages)},
                **by,
            }
        case _:
            return {"type": "prometheus", "metadata": _monitored(found, messages), **by}


def _monitored(found: Queue, messages: int) -> dict[str, str]:
    """Of Cloud Monitoring, whose figure is some minutes old; no figure at all is a fault, and no empty queue.

    https://keda.sh/docs/2.21/scalers/prometheus/#google-managed-prometheus, https://cloud.google.com/monitoring/api/metrics_gcp_p_z
    """
    metric = "pubsub_googleapis_com:subscription_num_undelivered_messages"
    return {
        "serverAddress": f"https://monitoring.googleapis.com/v1/projects/{found.place}/location/global/prometheus",
        "query": f'sum({metric}{{monitored_resource="pubsub_subscription",subscription_id="{found.name}"}})',
        "threshold": str(messages),
        "ignoreNullValues": "false",
    }


def _times(schedule: ScheduleSpec) -> dict[str, Any]:
    """https://keda.sh/docs/2.21/scalers/cron/; KEDA goes by the trigger that asks for most."""
    metadata = {
        "timezone": schedule.timezone,
        "start": schedule.start,
        "end": schedule.end,
        "desiredReplicas": str(schedule.replicas),
    }
    return {"type": "cron", "metadata": metadata}
