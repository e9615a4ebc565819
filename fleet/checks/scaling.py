"""Facts about how many replicas a model has: bounds, what its autoscaler can go by, and slices that never scale."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.servers import server_in
from fleet.checks.finding import Finding, Path, fields
from fleet.contract import AcceleratorPool
from fleet.spec import Autoscaler, ModelSpec


def check(path: Path, model: ModelSpec) -> Iterator[Finding]:
    """Faults between a model's replicas and its autoscaler, on any pool but a multi-host slice."""
    low, high = model.replicas.min, model.replicas.max
    where = (*path, "replicas")
    bounds = fields(where, "min", "max")
    if low > high:
        remedy = f"raise max to {low}, or lower min"
        yield Finding((*where, "min"), f"min {low} is more than max {high}", str(low), f"0 to {high}", remedy, needs=bounds)
    elif model.autoscaler is Autoscaler.NONE and low != high:
        message = f"replicas {low} to {high}, but autoscaler is none"
        remedy = "set autoscaler:, or make min and max the same"
        yield Finding(where, message, "", "hpa or keda", remedy, needs=(*bounds, (*path, "autoscaler")))
    yield from _at_zero(path, model)
    yield from _queue(path, model)


def _at_zero(path: Path, model: ModelSpec) -> Iterator[Finding]:
    """Nothing outside the pods counts waiting requests, so only a queue can bring the first replica back."""
    keda = model.autoscaler is Autoscaler.KEDA
    if model.replicas.min > 0 or model.autoscaler is Autoscaler.NONE or (keda and _by_messages(model)):
        return
    where = (*path, "replicas", "min")
    needs = (where, *fields(path, "autoscaler", "scaling.queue"))
    if not keda:
        message, remedy = "an HPA cannot scale to zero", "set min: 1"
    else:
        message = "at zero replicas nothing tells KEDA of a waiting request, and the model would stay at zero"
        remedy = "set min: 1, or let a queue hold the work (scaling.queue)"
    yield Finding(where, message, "0", "at least 1", remedy, needs=needs)


def _by_messages(model: ModelSpec) -> bool:
    """Whether it goes by a queue, or by Jobs, which need one: `fleet.checks.triggers` says so."""
    return model.scaling.queue is not None or model.scaling.jobs


def _queue(path: Path, model: ModelSpec) -> Iterator[Finding]:
    if model.autoscaler is not Autoscaler.KEDA or _by_messages(model) or server_in(model.image).tells_queue:
        return
    where = (*path, "autoscaler")
    message = f"KEDA goes by the requests that wait, and {model.image} does not tell them"
    allowed = "hpa or none, or an image of vLLM or accelfleet-serving"
    remedy = "set autoscaler: hpa, serve with vLLM, or go by a queue (scaling.queue)"
    yield Finding(where, message, "'keda'", allowed, remedy, needs=(where, *fields(path, "image", "scaling.queue")))


def on_slice(path: Path, model: ModelSpec, pool: AcceleratorPool, hardware: tuple[Path, ...]) -> Iterator[Finding]:
    """Faults of a model on a multi-host slice: a worker on each host, whatever the load.

    Args:
        hardware: what the pool's machine follows from.
    """
    assert pool.tpu is not None
    hosts, slice_ = pool.tpu.hosts, f"the {pool.tpu.topology} slice of pool {pool.name}"
    needs = (*hardware, (*path, "pool"))
    if model.autoscaler is not Autoscaler.NONE:
        where = (*path, "autoscaler")
        message = f"{slice_} always runs on all its {hosts} hosts"
        got = repr(str(model.autoscaler))
        yield Finding(where, message, got, "none", "leave autoscaler out", needs=(*needs, where))
    low, high = model.replicas.min, model.replicas.max
    if "replicas" in model.model_fields_set and (low, high) != (hosts, hosts):
        where = (*path, "replicas")
        message = f"{slice_} has a worker on each of its {hosts} hosts"
        remedy = f"leave replicas out, or write {{min: {hosts}, max: {hosts}}}"
        read = (*needs, *fields(where, "min", "max"))
        yield Finding(where, message, f"min {low}, max {high}", f"min and max {hosts}", remedy, needs=read)
