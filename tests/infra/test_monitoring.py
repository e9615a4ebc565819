"""Prometheus where a stack file asks for it: one release, whose values have the rules of this cluster's models."""

from __future__ import annotations

import json

import pytest

from fleet.load import load_stack
from fleet.monitoring import dashboards
from fleet.placement import Hosts
from fleet.workspace import STACKS
from infra import versions
from infra.kubernetes.gpu_metrics import GpuMetrics, measured
from infra.kubernetes.namespaces import MONITORING
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.accelerator_pools import INF2, L4, L4_ON_GKE, pool_of
from tests.mocked_engine import set_accounts


@pytest.fixture
def made(deploy, tmp_path):
    def program(monitoring):
        text = (STACKS / "aws-dev.yaml").read_text().replace("    stores:", f"    monitoring: {monitoring}\n    stores:")
        (tmp_path / "aws-dev.yaml").write_text(text)
        set_accounts()
        stack = Stack("aws-dev", load_stack(tmp_path / "aws-dev.yaml"))
        return deploy(lambda: deploy_platform(stack), stack="aws-dev")

    return program


def test_without_it_nothing_watches(made):
    assert "accelfleet:kubernetes:Monitoring" not in made("none").types()


def test_the_release_has_the_rules_of_every_model_and_scrapes_them_all(made):
    recorded = made("prometheus")
    release = recorded.all("kubernetes:helm.sh/v3:Release")["main-monitoring"].inputs
    assert (release["chart"], release["version"]) == ("kube-prometheus-stack", versions.PROMETHEUS_CHART_VERSION)
    assert release["namespace"] == MONITORING
    groups = release["values"]["additionalPrometheusRulesMap"]["accelfleet"]["groups"]
    figures = [rule for group in groups for rule in group["rules"] if "labels" in rule and "record" in rule]
    assert {rule["labels"]["model_name"] for rule in figures} == {"chat", "embed", "rerank"}
    monitor, _ = release["values"]["prometheus"]["additionalPodMonitors"]
    deployments = recorded.all("kubernetes:helm.sh/v3:Release")["main-chat"].inputs
    assert monitor["podMetricsEndpoints"][0]["port"] == "http"
    assert MONITORING in deployments["values"]["networkPolicy"]["fromNamespaces"]


def test_what_an_alert_says_of_a_fallback_is_told_by_somebody(made):
    values = made("prometheus").all("kubernetes:helm.sh/v3:Release")["main-monitoring"].inputs["values"]
    (resource,) = values["kube-state-metrics"]["customResourceState"]["config"]["spec"]["resources"]
    (metric,) = resource["metrics"]
    name = f"{resource['metricNamePrefix']}_{metric['name']}"
    (alert,) = [r for r in groups_of(values) if r.get("alert") == "FallbackHolds"]
    assert f"({name}{{" in alert["expr"]
    assert {*resource["labelsFromPath"]} == {"namespace", "scaledobject"}, "the labels that it goes by"
    (rule,) = values["kube-state-metrics"]["rbac"]["extraRules"]
    assert (rule["apiGroups"], rule["resources"]) == ([resource["groupVersionKind"]["group"]], ["scaledobjects"])


def groups_of(values):
    return [rule for group in values["additionalPrometheusRulesMap"]["accelfleet"]["groups"] for rule in group["rules"]]


def test_no_password_is_anybodys(made):
    values = made("prometheus").all("kubernetes:helm.sh/v3:Release")["main-monitoring"].inputs["values"]
    assert values["grafana"]["adminPassword"] == ""


def test_dashboards_are_config_maps_that_grafana_finds(made):
    maps = made("prometheus").of("kubernetes:core/v1:ConfigMap")
    shown = {m["metadata"]["name"]: m for m in maps.values() if "grafana_dashboard" in m["metadata"].get("labels", {})}
    assert set(shown) == set(dashboards.dashboards())
    for uid, body in shown.items():
        assert json.loads(body["data"][f"{uid}.json"])["uid"] == uid


def test_gpus_are_measured_where_there_are_some_and_by_one_exporter(made):
    assert "accelfleet:kubernetes:GpuMetrics" not in made("none").types()
    recorded = made("prometheus")
    exporter = recorded.all("kubernetes:apps/v1:DaemonSet")["main-gpu-metrics"].inputs
    _, monitor = recorded.all("kubernetes:helm.sh/v3:Release")["main-monitoring"].inputs["values"]["prometheus"][
        "additionalPodMonitors"
    ]
    template = exporter["spec"]["template"]
    assert monitor["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert monitor["namespaceSelector"] == {"matchNames": [exporter["metadata"]["namespace"]]}
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert endpoint["honorLabels"], "else a GPU's pod is the exporter"
    (container,) = template["spec"]["containers"]
    assert endpoint["port"] in {port["name"] for port in container["ports"]}
    assert container["image"] == versions.DCGM_EXPORTER_IMAGE
    assert "privileged" not in container["securityContext"]
    limits = container["resources"]["limits"]
    assert "nvidia.com/gpu" not in limits, "it looks at GPUs and takes none"


def test_on_gke_the_driver_is_where_gke_puts_it(deploy):
    def program():
        GpuMetrics("gpus", [pool_of(L4_ON_GKE, spot=True)])

    pod = deploy(program).all("kubernetes:apps/v1:DaemonSet")["gpus"].inputs["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert "/home/kubernetes/bin/nvidia" in {volume["hostPath"]["path"] for volume in pod["volumes"]}
    assert {e["name"]: e.get("value") for e in container["env"]}["LD_LIBRARY_PATH"] == "/usr/local/nvidia/lib64"
    assert container["securityContext"]["privileged"]


def test_an_operators_own_exporter_is_enough():
    ours, theirs = (pool_of(L4, hosts=Hosts(names=("a",), operated=operated)) for operated in (False, True))
    assert measured([ours, theirs, pool_of(INF2)]) == [ours]


def test_each_runtime_of_hosts_has_an_exporter_of_its_own(deploy):
    def program():
        runtimes = {"one": None, "two": "nvidia"}
        GpuMetrics("gpus", [pool_of(L4, name, hosts=Hosts(names=(name,), runtime_class=r)) for name, r in runtimes.items()])

    made = deploy(program).all("kubernetes:apps/v1:DaemonSet")
    pods = {name: daemon.inputs["spec"]["template"]["spec"] for name, daemon in made.items()}
    assert {name: pod.get("runtimeClassName") for name, pod in pods.items()} == {"gpus": None, "gpus-nvidia": "nvidia"}
    names = {daemon.inputs["metadata"]["name"] for daemon in made.values()}
    assert names == {"dcgm-exporter", "dcgm-exporter-nvidia"}
