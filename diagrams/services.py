"""A cluster's cloud services as a drawing: what an object or a message sets off, and which stores everything reads and writes.

A store that is read and written stands twice, before and behind, so that the picture goes one way.
"""

from __future__ import annotations

from diagrams.graph import Arrow, Box, Group
from fleet.catalog.clouds import Cloud
from fleet.spec import ClusterSpec
from fleet.spec_services import (
    AlarmSpec,
    DataJobsSpec,
    EndpointSpec,
    FunctionSpec,
    MachineSpec,
    OnMachines,
    QueueSpec,
    Service,
    TrainingSpec,
    WarehouseSpec,
    WorkflowSpec,
)

_PRODUCTS = {
    "topics": ("SNS", "Pub/Sub", "Service Bus"),
    "queues": ("SQS", "Pub/Sub", "Service Bus"),
    "machines": ("EC2", "Compute Engine", "Virtual Machine"),
    "functions": ("Lambda", "Cloud Run", "Container Apps"),
    "trainings": ("SageMaker training", "Vertex AI training", "Azure ML job"),
    "endpoints": ("SageMaker endpoint", "Vertex AI endpoint", "Azure ML endpoint"),
    "warehouses": ("Athena", "BigQuery", "Synapse SQL"),
    "data_jobs": ("EMR Serverless", "Dataflow", "Synapse Spark"),
    "workflows": ("Step Functions", "Workflows", "Logic Apps"),
    "logs": ("CloudWatch Logs", "Cloud Logging", "Log Analytics"),
    "alarms": ("CloudWatch alarm", "Cloud Monitoring", "Azure Monitor"),
}
_CLOUDS = (Cloud.AWS, Cloud.GCP, Cloud.AZURE)
_KINDS = {"topics": "scaler", "queues": "scaler", "alarms": "scaler", "logs": "rung", "warehouses": "rung", "machines": "rung"}
_KINDS |= {"trainings": "pool", "data_jobs": "pool"}


def group(name: str, spec: ClusterSpec) -> Group | None:
    """The services of one cluster; None where it has none."""
    listed = list(spec.services.all())
    if not listed:
        return None
    arrows = [arrow for _, key, service in listed for arrow in _arrows(key, service)]
    written = {arrow.target.removeprefix("to-") for arrow in arrows if arrow.target.startswith("to-")}
    # What only reads a store reads it where somebody wrote it.
    arrows = [
        Arrow(f"to-{a.source[5:]}", a.target) if a.source.startswith("last-") and a.source[5:] in written else a for a in arrows
    ]
    arrows = [Arrow(f"from-{a.source[5:]}", a.target) if a.source.startswith("last-") else a for a in arrows]
    ends = {end for arrow in arrows for end in (arrow.source, arrow.target)}
    boxes = [Box(key, _KINDS.get(kind, "model"), key, _lines(kind, service, spec.cloud)) for kind, key, service in listed]
    boxes += [Box(f"{way}-{s}", "store", s, ("store",)) for way in ("from", "to") for s in spec.stores if f"{way}-{s}" in ends]
    return Group(f"{name}: cloud services", tuple(boxes), tuple(dict.fromkeys(arrows)))


def _lines(kind: str, service: Service, cloud: Cloud) -> tuple[str, ...]:
    lines = [_PRODUCTS[kind][_CLOUDS.index(cloud)]]
    if isinstance(service, OnMachines) and (service.accelerator or service.machine):
        lines.append(service.accelerator or service.machine or "")
    if isinstance(service, (TrainingSpec, MachineSpec)):
        lines.append(str(service.purchase))
    if isinstance(service, AlarmSpec):
        lines.append(f"{service.when} above {service.above}")
    return tuple(lines)


def _arrows(key: str, service: Service) -> list[Arrow]:
    """`from-` is a store as it is before, `to-` as it is behind, `last-` whichever is the later."""
    found: list[Arrow] = []
    if isinstance(service, QueueSpec):
        found += [Arrow(service.topic, key)] if service.topic else []
        found += [Arrow(f"from-{service.store}", key, "new objects")] if service.store else []
    if isinstance(service, (FunctionSpec, WorkflowSpec)) and service.queue:
        found.append(Arrow(service.queue, key))
    if isinstance(service, WorkflowSpec):
        found += [Arrow(key, step, str(i)) for i, step in enumerate(service.steps, 1)]
    if isinstance(service, (FunctionSpec, DataJobsSpec, MachineSpec)):
        found += [Arrow(f"from-{store}", key) for store in service.reads]
        found += [Arrow(key, f"to-{store}") for store in service.writes]
    if isinstance(service, TrainingSpec):
        found += [Arrow(f"from-{service.data}", key)] if service.data else []
        found.append(Arrow(key, f"to-{service.model}"))
    if isinstance(service, EndpointSpec):
        found.append(Arrow(f"last-{service.model}", key))
    if isinstance(service, WarehouseSpec):
        found += [Arrow(f"last-{store}", key) for store in service.stores]
    if isinstance(service, AlarmSpec):
        found.append(Arrow(service.of, key))
    return found
