"""Prometheus rules of one cluster: what models cost, burn and emit by request and token, and what somebody must look at.

Made from the cluster's own figures, so a rule speaks of models that are there. Names follow
https://prometheus.io/docs/practices/rules/: level:metric:operation. A model's series are those of vLLM, which our own server
has too; requests are counted at the replicas, so that one that nobody could take is not among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from fleet.catalog.servers import WAITING_PER_REPLICA
from fleet.cost import UTILISATION
from fleet.monitoring.figures import Replica

Rule = dict[str, Any]

# Where an alert's runbook is, in the fork's own repository.
RUNBOOKS = "docs/monitoring.md"
# Accelerators among the resources that kube-state-metrics tells of.
ACCELERATORS = 'resource=~"nvidia_com_.+|google_com_tpu|aws_amazon_com_neuron.*|habana_ai_gaudi"'
_ON = "on (namespace, model_name)"
# DCGM says which pod a GPU is given to; the pod's own series say which model that is.
MEASURED_WATTS = (
    "sum by (namespace, model_name) (DCGM_FI_DEV_POWER_USAGE * on (namespace, pod) group_left (model_name) "
    "max by (namespace, pod, model_name) (vllm:num_requests_running >= bool 0))"
)


def groups(replicas: Sequence[Replica]) -> list[dict[str, Any]]:
    """The groups of a rules file, as Prometheus and a PrometheusRule have them."""
    return [
        {"name": "accelfleet.figures", "interval": "1m", "rules": list(_figures(replicas))},
        {"name": "accelfleet.models", "interval": "30s", "rules": _models()},
        {"name": "accelfleet.alerts", "rules": [*_of_models(replicas), *_of_hardware(), *_of_scaling(), *_of_grid()]},
    ]


def _figures(replicas: Iterable[Replica]) -> Iterable[Rule]:
    """The catalogue's figures as series; one that it does not have is a series that is not there."""
    for one in replicas:
        figures = {
            "accelfleet:replica_usd_per_hour:list": one.usd_hour,
            "accelfleet:replica_watts:tdp": one.watts,
            "accelfleet:model_gco2_per_kwh:yearly": one.gco2_kwh,
            "accelfleet:model_pue:yearly": one.pue,
            "accelfleet:model_replicas:least": Decimal(one.least),
            "accelfleet:model_replicas:most": Decimal(one.most),
        }
        for name, value in figures.items():
            if value is not None:
                yield {"record": name, "expr": f"vector({value.normalize():f})", "labels": one.labels}


def _models() -> list[Rule]:
    """What each model does, and what that takes. Both sides of a division are rates of five minutes."""
    replicas = 'label_replace(kube_deployment_status_replicas_available, "model_name", "$1", "deployment", "(.+)")'
    estimated = (
        f"sum by (namespace, model_name) (accelfleet:replica_watts:tdp * {UTILISATION} "
        f"* {_ON} group_left () accelfleet:model_replicas:available)"
    )
    rows = {
        "accelfleet:model_replicas:available": f"sum by (namespace, model_name) ({replicas})",
        "accelfleet:model_waiting:sum": "sum by (namespace, model_name) (vllm:num_requests_waiting)",
        "accelfleet:model_requests:rate5m": "sum by (namespace, model_name) (rate(vllm:e2e_request_latency_seconds_count[5m]))",
        "accelfleet:model_tokens:rate5m": "sum by (namespace, model_name) (rate(vllm:generation_tokens_total[5m]))",
        "accelfleet:model_watts": f"{MEASURED_WATTS} or {estimated}",
        "accelfleet:model_usd_per_hour": (
            "sum by (namespace, model_name) (accelfleet:replica_usd_per_hour:list "
            f"* {_ON} group_left () accelfleet:model_replicas:available)"
        ),
        "accelfleet:model_gco2_per_hour": (
            f"accelfleet:model_watts / 1000 * {_ON} max by (namespace, model_name) (accelfleet:model_pue:yearly) "
            f"* {_ON} max by (namespace, model_name) (accelfleet:model_gco2_per_kwh:yearly)"
        ),
    }
    for unit, of in {
        "usd": "accelfleet:model_usd_per_hour",
        "wh": "accelfleet:model_watts",
        "gco2": "accelfleet:model_gco2_per_hour",
    }.items():
        # Nothing asked is no price of a request, and never a division by zero.
        rows[f"accelfleet:model_{unit}_per_1000_requests"] = _each(of, "accelfleet:model_requests:rate5m", 1000)
        rows[f"accelfleet:model_{unit}_per_1m_tokens"] = _each(of, "accelfleet:model_tokens:rate5m", 1_000_000)
    return [{"record": name, "expr": expr} for name, expr in rows.items()]


def _each(hourly: str, rate: str, times: int) -> str:
    return f"{times} * {hourly} / {_ON} (3600 * {rate} > 0)"


def _of_models(replicas: Sequence[Replica]) -> list[Rule]:
    if not replicas:
        return []
    return [
        _alert(
            "ModelDown",
            "accelfleet:model_replicas:available < on (namespace, model_name) "
            "min by (namespace, model_name) (accelfleet:model_replicas:least)",
            "30m",
            "critical",
            "{{ $labels.model_name }} has {{ $value }} replicas that answer, fewer than the stack file's least",
        ),
        _alert(
            "ModelQueueAtItsMost",
            f"accelfleet:model_waiting:sum > {WAITING_PER_REPLICA} * accelfleet:model_replicas:available "
            "and on (namespace, model_name) "
            "accelfleet:model_replicas:available >= on (namespace, model_name) "
            "max by (namespace, model_name) (accelfleet:model_replicas:most)",
            "10m",
            "warning",
            "{{ $labels.model_name }} has as many replicas as it may, and {{ $value }} requests wait",
        ),
        _alert(
            "ModelFails",
            'sum by (namespace, model_name) (rate(serving_requests_total{code=~"5.."}[5m])) '
            "/ sum by (namespace, model_name) (rate(serving_requests_total[5m])) > 0.01",
            "5m",
            "critical",
            "{{ $labels.model_name }} fails {{ $value | humanizePercentage }} of what it is asked",
        ),
        _alert(
            "ModelRestarts",
            'increase(kube_pod_container_status_restarts_total{container="server"}[30m]) > 2',
            "0s",
            "warning",
            "{{ $labels.namespace }}/{{ $labels.pod }} was started again {{ $value | humanize }} times in half an hour",
        ),
    ]


def _of_hardware() -> list[Rule]:
    return [
        _alert(
            "AcceleratorWaitedFor",
            'sum by (namespace, pod) (kube_pod_status_phase{phase="Pending"}) * on (namespace, pod) group_left () '
            f"max by (namespace, pod) (kube_pod_container_resource_requests{{{ACCELERATORS}}}) > 0",
            "20m",
            "warning",
            "{{ $labels.namespace }}/{{ $labels.pod }} waits for accelerators: no quota, no capacity, or no room in its pool",
        ),
        _alert(
            "GpuIdle",
            'avg by (namespace, pod) (avg_over_time(DCGM_FI_DEV_GPU_UTIL{pod!=""}[1h])) < 5',
            "1h",
            "info",
            "{{ $labels.namespace }}/{{ $labels.pod }} holds a GPU and used {{ $value | humanize }} % of it in the last hours",
        ),
        _alert(
            "GpuFault",
            'max by (namespace, pod, UUID) (DCGM_FI_DEV_XID_ERRORS{UUID!=""}) > 0',
            "0s",
            "critical",
            "GPU {{ $labels.UUID }} reports Xid {{ $value }}",
        ),
    ]


def _of_scaling() -> list[Rule]:
    return [
        _alert(
            "ScalerFails",
            "sum by (exported_namespace, scaledObject) (increase(keda_scaler_detail_errors_total[10m])) > 3",
            "10m",
            "warning",
            "KEDA cannot read the queue of {{ $labels.exported_namespace }}/{{ $labels.scaledObject }}",
        ),
        # To KEDA 2.21.0 a failure that a fallback covers is none, and its own metrics no longer tell of it.
        _alert(
            "FallbackHolds",
            'max by (namespace, scaledobject) (kube_scaledobject_status_condition{type="Fallback"}) == 1',
            "20m",
            "warning",
            "KEDA cannot count the work of {{ $labels.namespace }}/{{ $labels.scaledobject }}: replicas stay as they are",
        ),
    ]


def _of_grid() -> list[Rule]:
    """The carbon exporter's two replicas each ask for themselves: one that knows is enough."""
    return [
        _alert(
            "GridUnknown",
            "min by (zone) (grid_intensity_stale) == 1",
            "2h",
            "warning",
            "Nobody knows how clean the grid {{ $labels.zone }} is: flexible models are not held back",
        ),
        _alert(
            "ForecastMissing",
            "min by (zone) (grid_forecast_missing) == 1",
            "6h",
            "warning",
            "There is no forecast for the grid {{ $labels.zone }}: no work is put off",
        ),
    ]


def _alert(name: str, expr: str, lasting: str, severity: str, summary: str) -> Rule:
    anchor = name.lower()
    return {
        "alert": name,
        "expr": expr,
        "for": lasting,
        "labels": {"severity": severity},
        "annotations": {"summary": summary, "runbook": f"{RUNBOOKS}#{anchor}"},
    }
