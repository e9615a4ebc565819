"""Grafana dashboards: models by what they do, cost and emit, accelerators by their use, and grids by what waits for them.

JSON of Grafana's dashboard schema (https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/);
every figure is a series that the rules or an exporter make.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fleet.monitoring import rules

_SCHEMA = 41
_WIDTH, _HEIGHT = 12, 8
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_CHOSEN = '{namespace=~"$namespace", model_name=~"$model"}'


@dataclass(frozen=True)
class Panel:
    """One graph: `unit` is Grafana's name of it, and each series is (expression, legend)."""

    title: str
    unit: str
    series: Sequence[tuple[str, str]]
    about: str = ""


_BY_MODEL = "{{namespace}}/{{model_name}}"
MODELS = (
    Panel("Requests a second", "reqps", [(f"accelfleet:model_requests:rate5m{_CHOSEN}", _BY_MODEL)]),
    Panel("Requests that wait", "short", [(f"accelfleet:model_waiting:sum{_CHOSEN}", _BY_MODEL)]),
    Panel(
        "Latency",
        "s",
        [
            (
                f"histogram_quantile({q}, sum by (le, namespace, model_name) "
                f"(rate(vllm:e2e_request_latency_seconds_bucket{_CHOSEN}[5m])))",
                f"{_BY_MODEL} p{int(q * 100)}",
            )
            for q in (0.5, 0.99)
        ],
        "From a request's arrival at a replica to its answer.",
    ),
    Panel(
        "Replicas",
        "short",
        [
            (f"accelfleet:model_replicas:available{_CHOSEN}", _BY_MODEL),
            (f"max by (namespace, model_name) (accelfleet:model_replicas:most{_CHOSEN})", f"{_BY_MODEL} most"),
        ],
    ),
    Panel(
        "USD per 1,000 requests",
        "currencyUSD",
        [(f"accelfleet:model_usd_per_1000_requests{_CHOSEN}", _BY_MODEL)],
        "List price of the accelerators' nodes, by share, as the pool is bought first.",
    ),
    Panel(
        "USD per 1M tokens", "currencyUSD", [(f"accelfleet:model_usd_per_1m_tokens{_CHOSEN}", _BY_MODEL)], "Generated tokens."
    ),
    Panel(
        "Energy per 1,000 requests",
        "watth",
        [(f"accelfleet:model_wh_per_1000_requests{_CHOSEN}", _BY_MODEL)],
        "Measured by DCGM where it runs; else 60 % of TDP. Accelerators only.",
    ),
    Panel(
        "gCO2e per 1,000 requests",
        "massg",
        [(f"accelfleet:model_gco2_per_1000_requests{_CHOSEN}", _BY_MODEL)],
        "The energy, times PUE, times the grid's yearly mean.",
    ),
)
_BY_GPU = "{{namespace}}/{{pod}} GPU {{gpu}}"
ACCELERATORS = (
    Panel("GPU use", "percent", [('DCGM_FI_DEV_GPU_UTIL{namespace=~"$namespace"}', _BY_GPU)]),
    Panel(
        "GPU memory",
        "percentunit",
        [
            (
                'DCGM_FI_DEV_FB_USED{namespace=~"$namespace"} / '
                '(DCGM_FI_DEV_FB_USED{namespace=~"$namespace"} + DCGM_FI_DEV_FB_FREE{namespace=~"$namespace"})',
                _BY_GPU,
            )
        ],
    ),
    Panel("GPU power", "watt", [('DCGM_FI_DEV_POWER_USAGE{namespace=~"$namespace"}', _BY_GPU)]),
    Panel("GPU faults (Xid)", "short", [('DCGM_FI_DEV_XID_ERRORS{namespace=~"$namespace"}', _BY_GPU)]),
    Panel(
        "NeuronCore use",
        "percentunit",
        [("neuroncore_utilization_ratio", "{{instance}} core {{neuroncore}}")],
        "From neuron-monitor's Prometheus exporter.",
    ),
    Panel(
        "TPU duty cycle",
        "percent",
        [("kubernetes_io:node_accelerator_duty_cycle", "{{node_name}} {{accelerator_id}}")],
        "GKE's system metric, where Managed Prometheus is the data source.",
    ),
    Panel(
        "Accelerators asked for",
        "short",
        [
            (
                f"sum by (namespace, resource) (kube_pod_container_resource_requests{{{rules.ACCELERATORS}, "
                'namespace=~"$namespace"})',
                "{{namespace}} {{resource}}",
            )
        ],
    ),
    Panel(
        "Accelerators there",
        "short",
        [
            (
                f"sum by (resource) (kube_node_status_allocatable{{{rules.ACCELERATORS}}})",
                "{{resource}}",
            )
        ],
    ),
)
_BY_DEADLINE = "{{zone}}, {{deadline_h}} h for {{work_h}} h of work"
GRID = (
    Panel(
        "Grid intensity",
        "massg",
        [("max by (zone) (grid_intensity_gco2_per_kwh)", "{{zone}}")],
        "gCO2e of a kWh now, over the life cycle; a gap where nobody knows.",
    ),
    Panel(
        "Work put off",
        "bool",
        # Of two replicas KEDA takes the lesser figure.
        [("min by (zone, deadline_h, work_h) (grid_deferred)", _BY_DEADLINE)],
        "Whether models with this deadline wait for a cleaner window.",
    ),
    Panel(
        "Until the cleanest window",
        "s",
        [("clamp_min(max by (zone, deadline_h, work_h) (grid_window_start_seconds) - time(), 0)", _BY_DEADLINE)],
    ),
    Panel(
        "Questions in a row without an answer",
        "short",
        [
            ("min by (zone) (grid_intensity_failures)", "{{zone}} intensity"),
            ("min by (zone) (grid_forecast_failures)", "{{zone}} forecast"),
        ],
        "Of the carbon exporter to Electricity Maps.",
    ),
)


def dashboards() -> dict[str, dict[str, Any]]:
    """Every dashboard by its uid."""
    namespace = _variable("namespace", "label_values(accelfleet:model_replicas:most, namespace)")
    model = _variable("model", 'label_values(accelfleet:model_replicas:most{namespace=~"$namespace"}, model_name)')
    return {
        "accelfleet-models": _dashboard("accelfleet-models", "Accelfleet: models", MODELS, [namespace, model]),
        "accelfleet-accelerators": _dashboard("accelfleet-accelerators", "Accelfleet: accelerators", ACCELERATORS, [namespace]),
        "accelfleet-grid": _dashboard("accelfleet-grid", "Accelfleet: grid", GRID, []),
    }


def _dashboard(uid: str, title: str, panels: Sequence[Panel], variables: list[dict[str, Any]]) -> dict[str, Any]:
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source"}
    return {
        "uid": uid,
        "title": title,
        "tags": ["accelfleet"],
        "schemaVersion": _SCHEMA,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [source, *variables]},
        "panels": [_panel(place, panel) for place, panel in enumerate(panels)],
    }


def _panel(place: int, panel: Panel) -> dict[str, Any]:
    return {
        "id": place + 1,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": _DATASOURCE,
        "gridPos": {"x": place % 2 * _WIDTH, "y": place // 2 * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + i), "expr": expr, "legendFormat": legend, "datasource": _DATASOURCE}
            for i, (expr, legend) in enumerate(panel.series)
        ],
    }


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "type": "query",
        "datasource": _DATASOURCE,
        "query": {"query": query, "refId": name},
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "refresh": 2,
    }
