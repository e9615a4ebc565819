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
    """Nothing outside the pods counts waiting requests, so no autoscaler could bring the first replica back."""
    if model.replicas.min > 0 or model.autoscaler is Autoscaler.NONE:
        return
    where = (*path, "replicas", "min")
    needs = (where, (*path, "autoscaler"))
    if model.autoscaler is Autoscaler.HPA:
        message = "an HPA cannot scale to zero"
    else:
        message = "at zero replicas nothing tells KEDA of a waiting request, and the model would stay at zero"
    yield Finding(where, message, "0", "at least 1", "set min: 1", needs=needs)


def _queue(path: Path, model: ModelSpec) -> Iterator[Finding]:
    if model.autoscaler is not Autoscaler.KEDA or server_in(model.image).tells_queue:
        return
    where = (*path, "autoscaler")
    message = f"KEDA goes by the requests that wait, and {model.image} does not tell them"
    allowed, remedy = "hpa or none, or an image of vLLM or accelfleet-serving", "set autoscaler: hpa, or serve with vLLM"
    yield Finding(where, message, "'keda'", allowed, remedy, needs=(where, (*path, "image")))


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
