"""Who comes to a model, in the chart's words: a Gateway's requests, a Prometheus that is there already, and what scales it.

The Gateway, the operator and their CRDs are the cluster's own; what a model shares and with whom `fleet.checks.routes` sees to.
"""

from __future__ import annotations

from typing import Any

from fleet.spec import Autoscaler
from fleet.spec_serving import PodMonitorSpec, RouteSpec
from infra.kubernetes.namespaces import KEDA, MONITORING


def values(autoscaler: Autoscaler, route: RouteSpec | None, monitor: PodMonitorSpec | None) -> dict[str, Any]:
    """`networkPolicy.fromNamespaces`, and `route` and `podMonitor` where the stack file has them."""
    let_in = [MONITORING]
    if monitor is not None and monitor.namespace not in let_in:
        let_in.append(monitor.namespace)
    if autoscaler is Autoscaler.KEDA:
        let_in.append(KEDA)
    found: dict[str, Any] = {"networkPolicy": {"fromNamespaces": let_in}}
    if route is not None:
        found["route"] = _route(route)
    if monitor is not None:
        found["podMonitor"] = {"enabled": True, "intervalSeconds": monitor.interval_s, "labels": dict(monitor.labels)}
    return found


def _route(route: RouteSpec) -> dict[str, Any]:
    """Every model's Service has its name and the same port."""
    canary = {"canary": {"service": route.canary.model, "percent": route.canary.percent}} if route.canary else {}
    return {"gateway": {"name": route.gateway, "namespace": route.namespace or ""}, "hostnames": list(route.hosts), **canary}
