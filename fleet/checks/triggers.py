"""Facts about what KEDA is told to go by: queues of the right cloud, times that come, and Jobs in place of replicas."""

from __future__ import annotations

import re
import zoneinfo
from collections.abc import Iterator

from fleet import queues
from fleet.catalog.clouds import Cloud
from fleet.catalog.servers import Server, server_in
from fleet.checks.finding import Finding, Path, closest, fields, listed, nearest
from fleet.spec import Autoscaler, ClusterSpec, ModelSpec, Tier
from fleet.spec_scaling import ScheduleSpec

_DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
# Name, least, most, and words for the numbers, as robfig/cron reads them. https://pkg.go.dev/github.com/robfig/cron/v3
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _DAYS),
)
_PART = re.compile(r"(?:(?P<all>[*?])|(?P<from>\w+)(?:-(?P<to>\w+))?)(?:/(?P<step>[1-9]\d*))?")


def check(path: Path, model: ModelSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of a model's `scaling:`, by itself and against its replicas and its cloud."""
    where, autoscaler = fields(path, "scaling", "autoscaler")
    if "scaling" in model.model_fields_set and model.autoscaler is not Autoscaler.KEDA:
        message = f"only KEDA goes by it, and the autoscaler is {model.autoscaler}"
        remedy = "set autoscaler: keda, or remove it"
        yield Finding(where, message, allowed="autoscaler: keda", remedy=remedy, at_key=True, needs=(where, autoscaler))
        return
    yield from _queue(path, model, cluster)
    yield from _jobs(path, model)
    for number, schedule in enumerate(model.scaling.schedule):
        yield from _schedule((*where, "schedule", number), schedule, path, model)
    yield from _fallback(path, model)


def _queue(path: Path, model: ModelSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    if model.scaling.queue is None:
        return
    where, text = (*path, "scaling", "queue", "address"), model.scaling.queue.address
    needs: tuple[Path, ...] = (where, (*path[:2], "cloud"))
    if cluster.cloud is Cloud.EXISTING:
        message = "an existing cluster has no identity by which KEDA could count a cloud's queue"
        yield Finding(where, message, repr(text), "none", "remove scaling.queue, and set replicas.min to 1", needs=needs)
    elif text.startswith(queues.OF_SERVICE):
        name, known = text.removeprefix(queues.OF_SERVICE), queues.of_services(cluster)
        if name not in known:
            remedy = nearest(name, known, "add it under services:, or write the queue's own address")
            needs = (where, (*path[:2], "services"))
            yield Finding(where, "no such queue in this cluster", repr(text), listed(known), remedy, needs=needs)
        elif taken := cluster.services.consumer(name):
            message = f"its messages go to one of the {taken}, and none is left for the model"
            needs = (where, (*path[:2], "services"))
            yield Finding(where, message, repr(text), "a queue that no service works off", "name another queue", needs=needs)
    else:
        try:
            queues.queue(cluster.cloud, text)
        except ValueError:
            example = queues.EXAMPLES[cluster.cloud]
            message = f"is no address of a queue on {cluster.cloud}"
            yield Finding(where, message, repr(text), f"such as {example}", "write it as the cloud does", needs=needs)


def _jobs(path: Path, model: ModelSpec) -> Iterator[Finding]:
    if not model.scaling.jobs:
        return
    where = (*path, "scaling", "jobs")
    image, tier, least, carbon = fields(path, "image", "tier", "replicas.min", "carbon")
    if model.scaling.queue is None:
        message, remedy = "no queue says how many Jobs there should be", "add scaling.queue"
        yield Finding(where, message, "true", "scaling.queue", remedy, needs=(where, (*path, "scaling", "queue")))
    elif server_in(model.image) is not Server.OTHER:
        message = f"a Job runs to its end, and {model.image} serves for ever"
        yield Finding(where, message, "true", "an image that ends", "set jobs: false", needs=(where, image))
    elif model.tier is Tier.FLEXIBLE and not (model.carbon and model.carbon.deferral):
        message = "the grid holds replicas back, and Jobs by a deadline alone"
        remedy = "write deadline_h and work_h under carbon:, or set jobs: false"
        yield Finding(where, message, "true", "tier: interactive, or a deadline", remedy, needs=(where, tier, carbon))
    elif model.replicas.min > 0:
        message = "Jobs come for messages, and none of them stays"
        yield Finding(least, message, str(model.replicas.min), "0", "set min: 0", needs=(where, least))
    for key in ("schedule", "fallback"):
        if key in model.scaling.model_fields_set:
            at, message = (*path, "scaling", key), "is for replicas that stay, and Jobs do not"
            yield Finding(at, message, allowed="jobs: false", remedy="remove it", at_key=True, needs=(at, where))


def _schedule(at: Path, given: ScheduleSpec, path: Path, model: ModelSpec) -> Iterator[Finding]:
    start, end, replicas = fields(at, "start", "end", "replicas")
    for where, text in ((start, given.start), (end, given.end)):
        if fault := cron_fault(text):
            yield Finding(where, fault, repr(text), "such as 0 8 * * 1-5", "write minute, hour, day, month, day of week")
    if given.start.split() == given.end.split():
        message = "it ends when it starts"
        yield Finding(end, message, repr(given.end), "another time than start", "set a later time", needs=(start, end))
    known = zoneinfo.available_timezones()  # empty on a machine without the database
    if known and given.timezone not in known:
        near = closest(given.timezone, known) or next((z for z in sorted(known) if z.endswith(f"/{given.timezone}")), None)
        remedy = f"did you mean {near}?" if near else "write it as Region/City"
        yield Finding((*at, "timezone"), "no such time zone", repr(given.timezone), "such as Europe/Berlin", remedy)
    low, high = model.replicas.min, model.replicas.max
    if not low < given.replicas <= high:
        message = f"replicas {low} to {high} leave {given.replicas} no room"
        allowed = f"{low + 1} to {high}" if low < high else "none"
        remedy = "raise replicas.max" if given.replicas > high else "remove it: as many are there at any time"
        needs = (replicas, *fields(path, "replicas.min", "replicas.max"))
        yield Finding(replicas, message, str(given.replicas), allowed, remedy, needs=needs)
    if model.tier is Tier.FLEXIBLE:
        where = (*path, "scaling", "schedule")
        message = "a schedule keeps replicas whatever the grid is like, which holds a flexible model back"
        needs = (where, (*path, "tier"))
        yield Finding(where, message, allowed="tier: interactive", remedy="remove it", at_key=True, needs=needs)


def _fallback(path: Path, model: ModelSpec) -> Iterator[Finding]:
    fallback, low, high = model.scaling.fallback, max(model.replicas.min, 1), model.replicas.max
    if fallback is None or model.scaling.jobs or low <= fallback <= high:
        return
    where = (*path, "scaling", "fallback")
    needs = (where, *fields(path, "replicas.min", "replicas.max"))
    message = f"is outside of replicas {low} to {high}"
    yield Finding(where, message, str(fallback), f"{low} to {high}", "set one of these", needs=needs)


def cron_fault(text: str) -> str | None:
    """What is wrong with a schedule in five fields; None where nothing is.

    >>> cron_fault("0 8 * * 1-5"), cron_fault("0 24 * * *")
    (None, 'the hour is 0 to 23, not 24')
    """
    given = text.split()
    if len(given) != len(_FIELDS):
        return f"has {len(given)} fields, and a cron schedule five"
    for value, (name, low, high, words) in zip(given, _FIELDS, strict=True):
        for part in value.split(","):
            found = _PART.fullmatch(part)
            if found is None:
                return f"the {name} {part!r} is no number, range or step"
            for number in (found["from"], found["to"]):
                if number is None or number.upper() in words:
                    continue
                if not number.isdigit() or not low <= int(number) <= high:
                    return f"the {name} is {low} to {high}, not {number}"
    return None
