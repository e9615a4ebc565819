"""Rules and dashboards by Prometheus' own judge: promtool lints them, and tries each alert where it must come and must not."""

from __future__ import annotations

import re
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.actual.account import queries
from fleet.load import load_stack
from fleet.monitoring import dashboards, figures, rules
from fleet.plan import pools
from fleet.workspace import ROOT, STACKS
from sandbox import toolchain

STACK = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: aws
    region: us-east-1
    api: {allowed_cidrs: [203.0.113.0/24]}
    pools:
      l4: {accelerator: nvidia-l4, nodes: {min: 0, max: 4}}
      inf2: {accelerator: inferentia2, nodes: {min: 0, max: 2}}
    models:
      chat: {pool: l4, autoscaler: keda, replicas: {min: 1, max: 2}}
      rank: {pool: inf2, image: registry.example/rank:1}
"""
CHAT = '{namespace="models", model_name="chat"}'
ON_CHAT = 'namespace="models", model_name="chat"'


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules of a stack with a priced model and one whose accelerator has no TDP."""
    place = tmp_path_factory.mktemp("rules")
    (place / "demo.yaml").write_text(STACK)
    cluster = load_stack(place / "demo.yaml").clusters["main"]
    made = place / "rules.yaml"
    made.write_text(yaml.safe_dump({"groups": rules.groups(figures.replicas(cluster, pools("demo", "main", cluster)))}))
    return made


def promtool(*args: str) -> str:
    done = subprocess.run([str(toolchain.path("promtool")), *args], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def judge(file: Path, series: dict[str, str], **tests: Any) -> None:
    """`promtool test rules` of the rules over these series, a sample a minute."""
    given = [{"series": name, "values": values} for name, values in series.items()]
    body = {
        "rule_files": [str(file)],
        "evaluation_interval": "1m",
        "fuzzy_compare": True,
        "tests": [{"interval": "1m", "input_series": given, **tests}],
    }
    test = file.with_name("test.yaml")
    test.write_text(yaml.safe_dump(body))
    promtool("test", "rules", str(test))


@pytest.mark.sandbox
@pytest.mark.parametrize("stack", ["aws-dev", "gcp-dev", "azure-dev"])
def test_every_dev_stacks_rules_are_sound(stack: str, tmp_path: Path) -> None:
    for name, cluster in load_stack(STACKS / f"{stack}.yaml").clusters.items():
        made = tmp_path / f"{name}.yaml"
        made.write_text(yaml.safe_dump({"groups": rules.groups(figures.replicas(cluster, pools(stack, name, cluster)))}))
        assert "SUCCESS" in promtool("check", "rules", "--lint=all", "--lint-fatal", str(made))


# Ten requests and a thousand tokens a second, by two replicas on one L4 each ($0.8048 an hour, 72 W, 323.05 g/kWh, PUE 1.14).
BUSY = {
    f'vllm:e2e_request_latency_seconds_count{{{ON_CHAT}, pod="chat-a"}}': "0+300x30",
    f'vllm:e2e_request_latency_seconds_count{{{ON_CHAT}, pod="chat-b"}}': "0+300x30",
    f'vllm:generation_tokens_total{{{ON_CHAT}, pod="chat-a"}}': "0+60000x30",
    f'vllm:num_requests_running{{{ON_CHAT}, pod="chat-a"}}': "1x30",
    f'vllm:num_requests_running{{{ON_CHAT}, pod="chat-b"}}': "0x30",
    'kube_deployment_status_replicas_available{namespace="models", deployment="chat"}': "2x30",
}


def figure(name: str, value: float) -> dict[str, Any]:
    sample = {"labels": f"accelfleet:model_{name}{CHAT}", "value": value}
    return {"expr": f"accelfleet:model_{name}{CHAT}", "eval_time": "20m", "exp_samples": [sample]}


@pytest.mark.sandbox
def test_a_request_costs_what_the_replicas_cost_over_what_they_answered(file: Path) -> None:
    watts = 72 * 0.6 * 2
    grams = watts / 1000 * 1.14 * 323.05
    expected = [
        figure("usd_per_1000_requests", 1000 * 0.8048 * 2 / 36_000),
        figure("usd_per_1m_tokens", 1_000_000 * 0.8048 * 2 / 3_600_000),
        figure("wh_per_1000_requests", 1000 * watts / 36_000),
        figure("gco2_per_1000_requests", 1000 * grams / 36_000),
    ]
    judge(file, BUSY, promql_expr_test=expected)


@pytest.mark.sandbox
def test_what_dcgm_measures_counts_before_what_the_catalogue_says(file: Path) -> None:
    measured = {
        'DCGM_FI_DEV_POWER_USAGE{namespace="models", pod="chat-a", gpu="0"}': "50x30",
        'DCGM_FI_DEV_POWER_USAGE{namespace="models", pod="chat-b", gpu="0"}': "22x30",
        'DCGM_FI_DEV_POWER_USAGE{namespace="other", pod="train", gpu="0"}': "70x30",
    }
    judge(file, BUSY | measured, promql_expr_test=[figure("watts", 72.0)])


@pytest.mark.sandbox
def test_nothing_asked_and_nothing_known_is_no_figure(file: Path) -> None:
    quiet = {name: ("0x30" if "_count" in name else values) for name, values in BUSY.items()}
    ranked = {'kube_deployment_status_replicas_available{namespace="models", deployment="rank"}': "1x30"}
    none = [
        {"expr": "accelfleet:model_usd_per_1000_requests", "eval_time": "20m", "exp_samples": []},
        {"expr": 'accelfleet:model_watts{model_name="rank"}', "eval_time": "20m", "exp_samples": []},
    ]
    judge(file, quiet | ranked, promql_expr_test=none)


REPLICAS = 'kube_deployment_status_replicas_available{namespace="models", deployment="chat"}'
WAITING = f'vllm:num_requests_waiting{{{ON_CHAT}, pod="chat-a"}}'
REQUESTS = 'serving_requests_total{namespace="models", model_name="chat", code="%d"}'
POD = 'namespace="models", pod="chat-a"'
STALE = 'grid_intensity_stale{zone="US-MIDA-PJM", pod="%s"}'
MISSING = 'grid_forecast_missing{zone="US-MIDA-PJM", pod="%s"}'
CONDITION = 'kube_scaledobject_status_condition{namespace="models", scaledobject="chat", type="%s"}'
# Alert -> (series where it comes, when it is looked at, series where it must not come).
ALERTS: dict[str, tuple[dict[str, str], str, dict[str, str]]] = {
    "ModelDown": ({REPLICAS: "1x5 0x60"}, "45m", {REPLICAS: "1x5 0x20 1x60"}),
    "ModelQueueAtItsMost": ({REPLICAS: "2x60", WAITING: "9x60"}, "15m", {REPLICAS: "1x60", WAITING: "9x60"}),
    "ModelFails": (
        {REQUESTS % 200: "0+97x60", REQUESTS % 503: "0+3x60"},
        "15m",
        {REQUESTS % 200: "0+995x60", REQUESTS % 503: "0+5x60", REQUESTS % 429: "0+500x60"},
    ),
    "ModelRestarts": (
        {f'kube_pod_container_status_restarts_total{{{POD}, container="server"}}': "0x10 1 2 3 4x20"},
        "20m",
        {f'kube_pod_container_status_restarts_total{{{POD}, container="server"}}': "0x10 1x20"},
    ),
    "AcceleratorWaitedFor": (
        {
            f'kube_pod_status_phase{{{POD}, phase="Pending"}}': "1x60",
            f'kube_pod_container_resource_requests{{{POD}, resource="nvidia_com_gpu"}}': "1x60",
        },
        "30m",
        {
            f'kube_pod_status_phase{{{POD}, phase="Pending"}}': "1x60",
            f'kube_pod_container_resource_requests{{{POD}, resource="cpu"}}': "1x60",
        },
    ),
    "GpuIdle": (
        {f'DCGM_FI_DEV_GPU_UTIL{{{POD}, gpu="0"}}': "2x200"},
        "150m",
        {f'DCGM_FI_DEV_GPU_UTIL{{{POD}, gpu="0"}}': "8x200", 'DCGM_FI_DEV_GPU_UTIL{gpu="1"}': "0x200"},
    ),
    "GpuFault": (
        {f'DCGM_FI_DEV_XID_ERRORS{{{POD}, UUID="GPU-1"}}': "0x5 79x20"},
        "10m",
        {f'DCGM_FI_DEV_XID_ERRORS{{{POD}, UUID="GPU-1"}}': "0x25"},
    ),
    "ScalerFails": (
        {'keda_scaler_detail_errors_total{exported_namespace="models", scaledObject="chat"}': "0+1x60"},
        "25m",
        {'keda_scaler_detail_errors_total{exported_namespace="models", scaledObject="chat"}': "0x10 1x50"},
    ),
    "FallbackHolds": (
        {CONDITION % "Fallback": "0x5 1x60"},
        "45m",
        {CONDITION % "Fallback": "1x10 0x60", CONDITION % "Active": "1x60"},
    ),
    "GridUnknown": (
        {STALE % "a": "1x180", STALE % "b": "0x10 1x170"},
        "150m",
        {STALE % "a": "1x180", STALE % "b": "0x180"},
    ),
    "ForecastMissing": (
        {MISSING % "a": "1x420", MISSING % "b": "1x420"},
        "400m",
        {MISSING % "a": "1x300 0x120", MISSING % "b": "1x420"},
    ),
}


def alerts(groups: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def test_every_alert_is_tried_and_has_a_runbook() -> None:
    replica = figures.Replica(
        model="chat", namespace="models", pool="l4", accelerator="nvidia-l4", purchase="spot", least=1, most=2,
        usd_hour=None, watts=None, gco2_kwh=None, pue=None,
    )  # fmt: skip
    known = alerts(rules.groups([replica]))
    assert set(known) == set(ALERTS)
    page = (ROOT / rules.RUNBOOKS).read_text()
    headings = {heading.lower() for heading in re.findall(r"^### (\w+)$", page, re.MULTILINE)}
    for rule in known.values():
        assert rule["annotations"]["runbook"].partition("#")[2] in headings
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


@pytest.mark.sandbox
@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_comes_where_it_must_and_nowhere_else(file: Path, name: str) -> None:
    series, when, calm = ALERTS[name]
    firing = f'count(ALERTS{{alertname="{name}", alertstate="firing"}})'
    one = {"expr": firing, "eval_time": when, "exp_samples": [{"labels": "{}", "value": 1}]}
    judge(file, series, promql_expr_test=[one])
    judge(file, calm, promql_expr_test=[{"expr": firing, "eval_time": when, "exp_samples": []}])


def test_unknown_figures_are_absent_and_known_ones_are_the_reports(file: Path) -> None:
    (constants,) = [g["rules"] for g in yaml.safe_load(file.read_text())["groups"] if g["name"] == "accelfleet.figures"]
    of = {(rule["record"], rule["labels"]["model_name"]): Decimal(rule["expr"][len("vector(") : -1]) for rule in constants}
    assert of["accelfleet:replica_usd_per_hour:list", "chat"] == Decimal("0.8048")
    assert of["accelfleet:replica_watts:tdp", "chat"] == 72
    assert ("accelfleet:replica_watts:tdp", "rank") not in of
    assert (of["accelfleet:model_replicas:least", "chat"], of["accelfleet:model_replicas:most", "chat"]) == (1, 2)


def test_a_shared_gpu_is_divided_among_its_replicas(tmp_path: Path) -> None:
    cluster = load_stack(STACKS / "aws-dev.yaml").clusters["main"]
    shared = next(r for r in figures.replicas(cluster, pools("aws-dev", "main", cluster)) if r.model == "embed")
    assert shared.watts == Decimal(72) / 4
    assert shared.purchase == "spot"


@pytest.mark.parametrize("uid", dashboards.dashboards())
def test_dashboards_show_series_that_are_made(uid: str) -> None:
    made = dashboards.dashboards()[uid]
    recorded = {rule["record"] for group in rules.groups([]) for rule in group["rules"] if "record" in rule}
    recorded |= {f"accelfleet:model_replicas:{bound}" for bound in ("least", "most")}
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in made["panels"]]
    assert len(set(places)) == len(places) == len({p["id"] for p in made["panels"]})
    for panel in made["panels"]:
        assert panel["targets"]
        for target in panel["targets"]:
            ours = set(re.findall(r"accelfleet:\w+(?::\w+)?", target["expr"]))
            assert ours <= recorded, ours - recorded


@pytest.mark.sandbox
def test_every_query_of_the_dashboards_is_promql(tmp_path: Path) -> None:
    queries = [t["expr"] for made in dashboards.dashboards().values() for p in made["panels"] for t in p["targets"]]
    filled = [query.replace("$namespace", ".*").replace("$model", ".*") for query in queries]
    rows = [{"record": f"query:{i}:test", "expr": query} for i, query in enumerate(filled)]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rows}]}))
    promtool("check", "rules", str(tmp_path / "queries.yaml"))


@pytest.mark.sandbox
def test_what_fleet_actual_asks_is_one_figure_a_model(file: Path) -> None:
    """Two replicas for two hours, a request a second at each, 50 W at one of them."""
    pods = [f'{ON_CHAT}, pod="chat-{n}"' for n in (1, 2)]
    series = {f"vllm:e2e_request_latency_seconds_count{{{pod}}}": "0+60x120" for pod in pods}
    series |= {f"vllm:num_requests_running{{{pod}}}": "0x120" for pod in pods}
    series['kube_deployment_status_replicas_available{namespace="models", deployment="chat"}'] = "2x120"
    series['DCGM_FI_DEV_POWER_USAGE{namespace="models", pod="chat-1", gpu="0"}'] = "50x120"
    asked = queries(1)
    wanted = {"requests": (CHAT, 7200), "replica_hours": ('{namespace="models", deployment="chat"}', 2), "wh": (CHAT, 50)}
    tests = [
        {"expr": asked[name][0], "eval_time": "2h", "exp_samples": [{"labels": labels, "value": value}]}
        for name, (labels, value) in wanted.items()
    ]
    judge(file, series, promql_expr_test=tests)
