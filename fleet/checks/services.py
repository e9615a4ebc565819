"""Facts about a cluster's cloud services: names, what they name of each other and of the stores, and what a cloud lacks.

What they run on is `fleet.checks.service_machines`'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from fleet.catalog.clouds import Cloud
from fleet.catalog.usage_prices import measures
from fleet.checks import service_machines
from fleet.checks.finding import Finding, Path, listed, nearest
from fleet.cost import HOURS_A_MONTH
from fleet.spec import ClusterSpec
from fleet.spec_services import (
    AlarmSpec,
    AlarmWhen,
    ByUse,
    DataJobsSpec,
    EndpointSpec,
    FunctionSpec,
    HoursSpec,
    Kind,
    LogsSpec,
    OfStores,
    OnMachines,
    QueueSpec,
    Service,
    TrainingSpec,
    WarehouseSpec,
    WorkflowSpec,
)

# Names that the cluster's own roles, accounts and networks have, once joined to its name.
_TAKEN = ("cluster", "control-plane", "karpenter", "logs", "nat", "node", "nodes", "router", "secrets", "system", "vnet")
_ECR = re.compile(r"^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/")
_TAGGED = re.compile(r"^[a-z0-9][\w./:-]*(:(?!latest$)[\w][\w.-]*|@sha256:[0-9a-f]{64})$")
# What CloudWatch, Cloud Logging and Log Analytics all offer.
_DAYS = (30, 60, 90, 120, 150, 180, 365, 400, 545)
# What an alarm can look at; the rest is of what runs.
_OF = {AlarmWhen.BACKLOG: (Kind.QUEUES,), AlarmWhen.AGE: (Kind.QUEUES,)}
_ERRORS = (Kind.FUNCTIONS, Kind.WORKFLOWS, Kind.ENDPOINTS)
_AZURE_LEAST_VCPUS = 12


def check(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of the services of a cluster; that an existing one has none `fleet.checks.existing` says."""
    if cluster.cloud is Cloud.EXISTING:
        return
    at = (*path, "services")
    yield from _names(at, cluster)
    yield from _once(at, cluster)
    for kind, name, spec in cluster.services.all():
        where = (*at, str(kind), name)
        yield from _stores(where, spec, cluster)
        if isinstance(spec, OnMachines):
            yield from service_machines.check(where, kind, spec, cluster)
        if isinstance(spec, FunctionSpec | TrainingSpec | EndpointSpec):
            yield from _image(where, spec.image, cluster)
        if isinstance(spec, ByUse):
            yield from _usage(where, kind, spec, cluster)
        yield from _own(where, spec, cluster)


def _usage(where: Path, kind: Kind, spec: ByUse, cluster: ClusterSpec) -> Iterator[Finding]:
    """Measures that the cloud does not count, or that nobody has read a price of."""
    known = measures(cluster.cloud, str(kind))
    for measure in (name for name in spec.usage if name not in known):
        at = (*where, "usage", measure)
        message = (
            f"{cluster.cloud} has no price of {kind} by '{measure}'"
            if known
            else f"no price of {kind} on {cluster.cloud} is known"
        )
        remedy = nearest(measure, known, "remove it")
        yield Finding(at, message, "", listed(known), remedy, at_key=True, needs=(at, (*where[:2], "cloud")))


def _own(where: Path, spec: Service, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of one kind alone."""
    match spec:
        case QueueSpec():
            yield from _queue(where, spec, cluster)
        case FunctionSpec():
            yield from _consumer(where, spec.queue, cluster, spec.timeout_s)
        case WorkflowSpec():
            yield from _consumer(where, spec.queue, cluster, 0)
            yield from _steps(where, spec, cluster)
        case AlarmSpec():
            yield from _alarm(where, spec, cluster)
        case LogsSpec() if spec.days not in _DAYS:
            near = min(_DAYS, key=lambda days: abs(days - spec.days))
            message, at = "is no time that every cloud can keep logs for", (*where, "days")
            yield Finding(at, message, str(spec.days), listed(_DAYS), f"write {near}")
        case EndpointSpec(usage=HoursSpec(hours=hours)) if hours > HOURS_A_MONTH:
            message, at = f"a month has {HOURS_A_MONTH} hours, whatever its machines", (*where, "usage", "hours")
            yield Finding(at, message, f"{hours:.10g}", f"at most {HOURS_A_MONTH}", "leave usage out: it stands all month")
        case DataJobsSpec() if cluster.cloud is Cloud.AZURE and spec.vcpus < _AZURE_LEAST_VCPUS:
            message, at = "a Spark pool of Synapse has three nodes of 4 vCPUs at least", (*where, "vcpus")
            needs = (at, (*where[:2], "cloud"))
            yield Finding(at, message, str(spec.vcpus), f"at least {_AZURE_LEAST_VCPUS}", "ask for more", needs=needs)


def _names(at: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    seen: dict[str, Kind] = {}
    for kind, name, _ in cluster.services.all():
        where = (*at, str(kind), name)
        if name in seen:
            message, needs = f"'{name}' is one of {seen[name]} already", (where, (*at, str(seen[name]), name))
            yield Finding(where, message, allowed="a name of one service", remedy="rename one", at_key=True, needs=needs)
        elif name in _TAKEN or name.startswith(("karpenter-", "models-")):
            message = f"'{name}' is what a part of the cluster is called"
            yield Finding(where, message, allowed=f"any but {listed(_TAKEN)}", remedy="rename it", at_key=True)
        seen.setdefault(name, kind)


def _stores(where: Path, spec: Service, cluster: ClusterSpec) -> Iterator[Finding]:
    given: list[tuple[Path, str]] = []
    match spec:
        case OfStores():
            given = [((key, i), name) for key in ("reads", "writes") for i, name in enumerate(getattr(spec, key))]
        case TrainingSpec():
            given = [(("model",), spec.model), *([(("data",), spec.data)] if spec.data else [])]
        case EndpointSpec():
            given = [(("model",), spec.model)]
        case WarehouseSpec():
            given = [(("stores", i), name) for i, name in enumerate(spec.stores)]
        case QueueSpec() if spec.store:
            given = [(("store",), spec.store)]
    for part, name in given:
        at: Path = (*where, *part)
        if name not in cluster.stores:
            remedy = nearest(name, cluster.stores, "add it under stores:")
            needs = (at, (*where[:2], "stores", name))
            yield Finding(at, "no such store in this cluster", repr(name), listed(cluster.stores), remedy, needs=needs)


def _image(where: Path, image: str, cluster: ClusterSpec) -> Iterator[Finding]:
    at = (*where, "image")
    if not _TAGGED.match(image):
        message, allowed = "is no image with a tag of its own or a digest", "name:tag or name@sha256:…"
        yield Finding(at, message, repr(image), allowed, "write name:tag, and not latest")
    elif cluster.cloud is Cloud.AWS and not _ECR.match(image):
        message = "Lambda and SageMaker take images from ECR alone"
        allowed, needs = "<account>.dkr.ecr.<region>.amazonaws.com/name:tag", (at, (*where[:2], "cloud"))
        yield Finding(at, message, repr(image), allowed, "push it to ECR, or set up a pull-through cache", needs=needs)


def _queue(where: Path, spec: QueueSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    at = (*where, "topic")
    if spec.topic and spec.store:
        message = "has the messages of a topic, and a store's events too"
        needs = (at, (*where, "store"))
        yield Finding(at, message, repr(spec.topic), "topic or store", "make a queue of each", needs=needs)
    elif spec.topic and spec.topic not in cluster.services.topics:
        yield _absent(at, "topic", spec.topic, cluster.services.topics, (*where[:3], "topics"))


def _once(at: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """A store's events go to one queue, for S3 has one list of them; a queue has one consumer, or each gets half of it."""
    stores: dict[str, str] = {}
    for name, queue in cluster.services.queues.items():
        if queue.store and (other := stores.setdefault(queue.store, name)) != name:
            where, there = (*at, "queues", name, "store"), (*at, "queues", other, "store")
            message = f"queue {other} has that store's events already"
            yield Finding(where, message, repr(queue.store), "a queue a store", "send them on by a topic", needs=(where, there))
    consumers: dict[str, Path] = {}
    for kind, name, spec in cluster.services.all():
        if isinstance(spec, FunctionSpec | WorkflowSpec) and spec.queue:
            where = (*at, str(kind), name, "queue")
            first = consumers.setdefault(spec.queue, where)
            if first != where:
                message = f"{first[-2]} works that queue off already"
                remedy = "give each a queue of one topic"
                yield Finding(where, message, repr(spec.queue), "a consumer a queue", remedy, needs=(where, first))


def _consumer(where: Path, queue: str | None, cluster: ClusterSpec, seconds: int) -> Iterator[Finding]:
    at, queues = (*where, "queue"), cluster.services.queues
    if queue is None:
        return
    if queue not in queues:
        yield _absent(at, "queue", queue, queues, (*where[:3], "queues"))
    elif seconds > queues[queue].work_s:
        at, there = (*where, "timeout_s"), (*where[:3], "queues", queue, "work_s")
        message = f"queue {queue} gives a message to another after {queues[queue].work_s} s, while this one still works"
        allowed, needs = f"1 to {queues[queue].work_s}", (at, there, (*where, "queue"))
        yield Finding(at, message, str(seconds), allowed, "raise the queue's work_s, or lower this", needs=needs)


def _steps(where: Path, spec: WorkflowSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    known = [*cluster.services.functions, *cluster.services.trainings]
    for i, name in enumerate(spec.steps):
        at = (*where, "steps", i)
        if name not in known:
            here = (*where[:3], "functions")
            yield _absent(at, "function or training", name, known, here, (*where[:3], "trainings"))
        elif name in spec.steps[:i]:
            message, allowed = f"{name} is a step already", "each once"
            yield Finding(at, message, repr(name), allowed, "make another function of the same image", needs=(at,))


def _alarm(where: Path, spec: AlarmSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    kinds = {name: kind for kind, name, _ in cluster.services.all()}
    fit = _OF.get(spec.when, _ERRORS)
    known = [name for name, kind in kinds.items() if kind in fit]
    at = (*where, "of")
    if spec.of not in kinds:
        yield _absent(at, "service", spec.of, known, *((*where[:3], str(kind)) for kind in Kind if kind is not Kind.ALARMS))
    elif kinds[spec.of] not in fit:
        at = (*where, "when")
        message = f"{spec.of} is one of {kinds[spec.of]}, which have no {spec.when}"
        allowed = listed(when for when in AlarmWhen if kinds[spec.of] in _OF.get(when, _ERRORS))
        yield Finding(at, message, repr(str(spec.when)), allowed, f"look at one of {listed(known)}", needs=(at, (*where, "of")))
    elif cluster.cloud is Cloud.AZURE and (spec.when is AlarmWhen.AGE or kinds[spec.of] is Kind.FUNCTIONS):
        at = (*where, "when")
        needs = (at, (*where, "of"), (*where[:2], "cloud"))
        message = f"Azure Monitor has no series of the {spec.when} of {kinds[spec.of]}"
        yield Finding(at, message, repr(str(spec.when)), "backlog of queues", "look at its queue's backlog", needs=needs)


def _absent(at: Path, what: str, name: str, known: Iterable[str], *sections: Path) -> Finding:
    names = list(known)
    remedy = nearest(name, names, f"add it under {sections[0][-1]}:")
    # Its entry may be there, and broken.
    needs = (at, *((*section, name) for section in sections))
    return Finding(at, f"no such {what} in this cluster", repr(name), listed(names), remedy, needs=needs)
