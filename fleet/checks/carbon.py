"""Facts about flexible models: what holds them back, who asks the grid, and what there is to hold back."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.checks.finding import Finding, Path, fields, listed
from fleet.spec import Autoscaler, ClusterSpec, ModelSpec, Tier
from fleet.spec_carbon import CarbonSpec
from fleet.spec_terraform import reference


def of_model(path: Path, model: ModelSpec) -> Iterator[Finding]:
    """Faults of one model by itself."""
    tier, carbon, autoscaler = fields(path, "tier", "carbon", "autoscaler")
    if model.tier is Tier.INTERACTIVE:
        if model.carbon is not None:
            message = "somebody waits for an interactive model, which no grid holds back"
            yield Finding(
                carbon, message, allowed="tier: flexible", remedy="add tier: flexible", at_key=True, needs=(carbon, tier)
            )
        return
    if model.carbon is None:
        remedy = "add carbon: {clean: 150, dirty: 400}, with figures of your grid"
        yield Finding(
            tier, "nothing says from where on the grid is dirty", "'flexible'", "carbon:", remedy, needs=(tier, carbon)
        )
    else:
        yield from _bounds(carbon, model.carbon)
        if model.carbon.deadline_h is not None:
            yield from _queue(path, model)
    if model.autoscaler is not Autoscaler.KEDA:
        message = "only KEDA holds a model back, and its autoscaler is another"
        yield Finding(tier, message, "'flexible'", "autoscaler: keda", "set autoscaler: keda", needs=(tier, autoscaler))
    elif model.replicas.min == model.replicas.max:
        message = f"it always has {model.replicas.min} replicas, and nothing to hold back"
        needs = (tier, *fields(path, "replicas.min", "replicas.max"))
        yield Finding(tier, message, "'flexible'", "replicas.max above min", "raise replicas.max", needs=needs)


def _bounds(carbon: Path, given: CarbonSpec) -> Iterator[Finding]:
    """It is either clean and dirty, or a deadline and the work's length; and each pair has an order."""
    clean, dirty, deadline, work = every = fields(carbon, "clean", "dirty", "deadline_h", "work_h")
    one, other = "{clean: 150, dirty: 400}", "{deadline_h: 24, work_h: 4}"
    by_grid, by_time = {given.clean, given.dirty} != {None}, {given.deadline_h, given.work_h} != {None}
    if by_grid and by_time:
        message = "thresholds hold work back without an end, and no deadline could be kept"
        remedy = "keep one pair, and remove the other"
        yield Finding(carbon, message, allowed=f"{one} or {other}", remedy=remedy, at_key=True, needs=every)
    elif given.thresholds is None and given.deferral is None:
        message = "is half of what holds a model back" if by_grid or by_time else "says nothing"
        remedy = f"write {other if by_time else one}"
        yield Finding(carbon, message, allowed=f"{one} or {other}", remedy=remedy, at_key=True, needs=every)
    elif given.thresholds and given.thresholds[0] >= given.thresholds[1]:
        message = f"clean {given.clean} is not below dirty {given.dirty}"
        yield Finding(clean, message, str(given.clean), f"less than {given.dirty}", "swap them", needs=(clean, dirty))
    elif given.deferral and given.deferral[0] <= given.deferral[1]:
        message = f"work of {given.work_h} h leaves no hour to wait before a deadline of {given.deadline_h} h"
        allowed, remedy = f"less than {given.deadline_h}", "set a later deadline_h, or raise replicas.max and lower it"
        yield Finding(work, message, str(given.work_h), allowed, remedy, needs=(deadline, work))


def _queue(path: Path, model: ModelSpec) -> Iterator[Finding]:
    """Messages wait hours in a queue; a request waits at a replica, with somebody at its other end."""
    if model.autoscaler is not Autoscaler.KEDA or model.scaling.queue is not None:
        return
    where = (*path, "carbon", "deadline_h")
    message = "only a queue's messages can wait for hours, and it goes by requests"
    remedy = "add scaling.queue, or write clean and dirty in place of it"
    needs = (where, *fields(path, "autoscaler", "scaling.queue"))
    yield Finding(where, message, str(model.carbon and model.carbon.deadline_h), "scaling.queue", remedy, needs=needs)


def of_cluster(path: Path, cluster: ClusterSpec, secrets: list[str]) -> Iterator[Finding]:
    """Faults of who asks the grid."""
    token = (*path, "grid_token")
    flexible = [name for name, model in cluster.models.items() if model.tier is Tier.FLEXIBLE]
    if cluster.grid_token is None:
        if flexible:
            where = (*path, "models", flexible[0], "tier")
            message = "nobody asks the grid: the cluster has no grid_token"
            remedy = "add grid_token: to the cluster, the name of a secret, and that name under secrets:"
            yield Finding(where, message, "'flexible'", "grid_token:", remedy, needs=(where, token))
    elif cluster.grid_token not in secrets and not reference(cluster.grid_token):
        message = "is no secret of this stack, and a token stands nowhere in clear"
        remedy = f"add '{cluster.grid_token}' under secrets:"
        yield Finding(token, message, repr(cluster.grid_token), listed(secrets), remedy, needs=(token, ("secrets",)))
    elif not flexible:
        message = "no model of this cluster is flexible, and nobody would ask the grid"
        needs = (token, (*path, "models"))
        yield Finding(token, message, repr(cluster.grid_token), "with tier: flexible", "remove it", at_key=True, needs=needs)
