"""Facts about how a model is reached and looked at: its way in from outside, whom it shares requests with, its monitor."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.checks.finding import Finding, Path, fields, listed, nearest
from fleet.spec import ClusterSpec, ModelSpec, Monitoring


def check(path: Path, model: ModelSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of a model's `route` and `pod_monitor`."""
    for key, given, what in (("route", model.route, "way in"), ("pod_monitor", model.pod_monitor, "port to look at")):
        if given is not None and model.scaling.jobs:
            where, jobs = fields(path, key, "scaling.jobs")
            message = f"it is Jobs, which serve nobody and have no {what}"
            yield Finding(where, message, remedy=f"remove it, or scaling.jobs with {key}", at_key=True, needs=(where, jobs))
    yield from _canary(path, model, cluster)
    yield from _twice_watched(path, model, cluster)


def _canary(path: Path, model: ModelSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    if model.route is None or model.route.canary is None:
        return
    where, name, own = (*path, "route", "canary", "model"), model.route.canary.model, path[-1]
    others = {key: other for key, other in cluster.models.items() if key != own}
    known = [key for key, other in others.items() if other.team == model.team and not other.scaling.jobs]
    needs: tuple[Path, ...] = (where,)
    if name == own:
        message, remedy = "a model cannot share its requests with itself", "name the newer model"
    elif name not in others:
        message, remedy = "no such model in this cluster", nearest(name, known, "add it under models:")
        needs = (where, (*path[:-1], name))
    elif others[name].team != model.team:
        # A route leads to Services of its own namespace alone, unless theirs says otherwise (ReferenceGrant).
        message, remedy = f"model {name} is another team's, in a namespace of its own", "give both models one team"
        needs = (where, (*path, "team"), (*path[:-1], name, "team"))
    elif others[name].scaling.jobs:
        message, remedy = f"model {name} is Jobs, which serve nobody", "name a model with replicas"
        needs = (where, (*path[:-1], name, "scaling", "jobs"))
    else:
        return
    yield Finding(where, message, repr(name), listed(known), remedy, needs=needs)


def _twice_watched(path: Path, model: ModelSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    if model.pod_monitor is not None and cluster.monitoring is Monitoring.PROMETHEUS:
        where, monitoring = (*path, "pod_monitor"), (*path[:2], "monitoring")
        message = "monitoring: prometheus looks at every model already, and each series would be there twice"
        remedy = "remove it, or monitoring: prometheus"
        yield Finding(where, message, remedy=remedy, at_key=True, needs=(where, monitoring))


def together(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """Two models behind one Gateway with one host, of which the older would get every request."""
    seen: dict[tuple[str, str, str], str] = {}
    for name, model in cluster.models.items():
        if model.route is None:
            continue
        route = (*path, "models", name, "route")
        home = model.route.namespace or f"of {model.team or 'no team'}"
        for number, host in enumerate(model.route.hosts or [""]):
            other = seen.setdefault((home, model.route.gateway, host), name)
            if other == name:
                continue
            where: Path = (*route, "hosts", number) if host else (*route, "gateway")
            message = f"model {other} has {'this host' if host else 'all hosts'} of the Gateway already"
            needs = (route, (*path, "models", other, "route"), (*path, "models", name, "team"))
            got = repr(host or model.route.gateway)
            yield Finding(where, message, got, "a host of its own", "give each model hosts", needs=needs)
