"""Prometheus and Grafana for clusters with `monitoring: prometheus`: the community's chart, with our rules and dashboards.

Owns their installation; what is watched is `fleet.monitoring`'s. Everything of an API of theirs goes in by the chart's own
values, so that a preview needs no CRD (pain 10). https://github.com/prometheus-community/helm-charts
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.monitoring import dashboards, rules
from fleet.monitoring.figures import Replica
from infra import versions
from infra.kubernetes import gpu_metrics, traffic
from infra.kubernetes.namespaces import KEDA, LABELS, MONITORING, namespace

_INSTALL_S = 900
_RETENTION = "15d"
# The operator's webhook as the chart has it, and Prometheus itself, which KEDA may ask.
_WEBHOOK, _PROMETHEUS = 10250, 9090


class Monitoring(pulumi.ComponentResource):
    """The stack in a namespace of its own: node exporters need the host, so nothing there is restricted."""

    def __init__(self, name: str, replicas: Sequence[Replica], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:kubernetes:Monitoring", name, {}, opts)
        place = namespace(name, MONITORING, "privileged", self)
        after = pulumi.ResourceOptions(parent=self, depends_on=[place])
        closed = traffic.close(
            name,
            MONITORING,
            after,
            ingress=[traffic.webhook(_WEBHOOK), traffic.scraped(KEDA, _PROMETHEUS)],
            egress=[traffic.NAMES, traffic.APIS, traffic.PODS, traffic.NODES],
        )
        for uid, dashboard in dashboards.dashboards().items():
            kubernetes.core.v1.ConfigMap(
                f"{name}-{uid}",
                # Grafana's sidecar reads what has this label.
                metadata={"name": uid, "namespace": MONITORING, "labels": {**LABELS, "grafana_dashboard": "1"}},
                data={f"{uid}.json": json.dumps(dashboard, sort_keys=True)},
                opts=after,
            )
        kubernetes.helm.v3.Release(
            name,
            name="kube-prometheus-stack",
            namespace=MONITORING,
            chart="kube-prometheus-stack",
            version=versions.PROMETHEUS_CHART_VERSION,
            repository_opts={"repo": versions.PROMETHEUS_CHART_REPOSITORY},
            values=chart_values(replicas),
            atomic=True,
            skip_await=False,
            timeout=_INSTALL_S,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[place, *closed]),
        )
        self.register_outputs({})


def chart_values(replicas: Sequence[Replica]) -> dict[str, Any]:
    """What differs from the chart's defaults.

    https://github.com/prometheus-community/helm-charts/blob/main/charts/kube-prometheus-stack/values.yaml
    """
    return {
        "additionalPrometheusRulesMap": {"accelfleet": {"groups": rules.groups(replicas)}},
        # What a cloud's control plane does not show would only be targets that are down.
        **{part: {"enabled": False} for part in ("kubeControllerManager", "kubeScheduler", "kubeEtcd", "kubeProxy")},
        "prometheus": {
            "prometheusSpec": {"retention": _RETENTION, **_of_all_namespaces()},
            "additionalPodMonitors": [_of_models(), gpu_metrics.monitor()],
        },
        "kube-state-metrics": _of_scaled_objects(),
        # Empty: the chart makes a random one, in the Secret kube-prometheus-stack-grafana.
        "grafana": {"adminPassword": "", "defaultDashboardsEnabled": False},
    }


def _of_all_namespaces() -> dict[str, bool]:
    """Monitors that others bring, such as a GPU operator's, count whatever release they are of."""
    kinds = ("podMonitor", "serviceMonitor", "rule")
    return {f"{kind}SelectorNilUsesHelmValues": False for kind in kinds}


def _of_scaled_objects() -> dict[str, Any]:
    """Conditions of KEDA's objects, 1 where True: `kube_scaledobject_status_condition`, where there are any.

    https://github.com/kubernetes/kube-state-metrics/blob/main/docs/metrics/extend/customresourcestate-metrics.md
    """
    conditions = {"path": ["status", "conditions"], "labelsFromPath": {"type": ["type"]}, "valueFrom": ["status"]}
    metric = {
        "name": "scaledobject_status_condition",
        "help": "A condition of a ScaledObject.",
        "each": {"type": "Gauge", "gauge": conditions},
    }
    resource = {
        "groupVersionKind": {"group": "keda.sh", "version": "v1alpha1", "kind": "ScaledObject"},
        "metricNamePrefix": "kube",
        "labelsFromPath": {"namespace": ["metadata", "namespace"], "scaledobject": ["metadata", "name"]},
        "metrics": [metric],
    }
    state = {"kind": "CustomResourceStateMetrics", "spec": {"resources": [resource]}}
    return {
        "customResourceState": {"enabled": True, "config": state},
        "rbac": {"extraRules": [{"apiGroups": ["keda.sh"], "resources": ["scaledobjects"], "verbs": ["list", "watch"]}]},
    }


def _of_models() -> dict[str, Any]:
    """What answers at a port `http`: every model server of the chart `model-serving`, and the carbon exporter."""
    return {
        "name": "accelfleet-models",
        "namespaceSelector": {"any": True},
        "selector": {
            "matchLabels": {"app.kubernetes.io/part-of": "accelfleet"},
            "matchExpressions": [{"key": "app.kubernetes.io/instance", "operator": "Exists"}],
        },
        "podMetricsEndpoints": [{"port": "http", "path": "/metrics", "interval": "15s"}],
    }
