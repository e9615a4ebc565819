"""A flexible model: an exporter for its grid, there before it, and a ScaledObject that goes by queue and grid."""

from __future__ import annotations

import subprocess
import sys

import pulumi
import pytest

from fleet.carbon import EXPORTER
from fleet.carbon.ceiling import Ceiling, Deadline
from fleet.carbon.deferrals import Rule
from fleet.catalog.servers import WAITING_PER_REPLICA
from fleet.load import load_stack
from infra import versions
from infra.kubernetes.namespaces import CARBON, KEDA, MONITORING
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.mocked_engine import set_accounts

TEXT = """
owner: ml-platform
environment: dev
secrets: [em-token]
clusters:
  main:
    cloud: aws
    region: us-east-1
    grid_token: em-token
    api: {allowed_cidrs: [203.0.113.0/24]}
    pools:
      l4: {accelerator: nvidia-l4, nodes: {min: 0, max: 5}}
    models:
      batch:
        pool: l4
        autoscaler: keda
        replicas: {min: 1, max: 4}
        tier: flexible
        carbon: {clean: 150, dirty: 400}
      chat:
        pool: l4
        autoscaler: keda
        replicas: {min: 1, max: 4}
"""
RELEASE = "kubernetes:helm.sh/v3:Release"


@pytest.fixture
def made(deploy, tmp_path):
    def program(text=TEXT):
        (tmp_path / "green.yaml").write_text(text)
        (tmp_path / "Pulumi.green.yaml").write_text("config: {accelfleet:em-token: {secure: AAAB}}")
        set_accounts()
        pulumi.runtime.set_config("accelfleet:em-token", "t0ken")
        stack = Stack("green", load_stack(tmp_path / "green.yaml"))
        return deploy(lambda: deploy_platform(stack), stack="green")

    return program


def keda(recorded, model):
    return recorded.all(RELEASE)[f"main-{model}"].inputs["values"]["autoscaling"]["keda"]


def test_without_a_flexible_model_nobody_asks_the_grid(made):
    plain = TEXT.replace("        tier: flexible\n        carbon: {clean: 150, dirty: 400}\n", "")
    plain = plain.replace("    grid_token: em-token\n", "").replace("secrets: [em-token]\n", "")
    recorded = made(plain)
    assert "accelfleet:kubernetes:CarbonExporter" not in recorded.types()
    assert "formula" not in keda(recorded, "batch")
    assert len(keda(recorded, "batch")["triggers"]) == 1


def test_a_flexible_model_goes_by_its_queue_and_the_grid(made):
    recorded = made()
    batch = keda(recorded, "batch")
    assert batch["formula"] == Ceiling(150, 400, 1, 4).formula(WAITING_PER_REPLICA)
    assert batch["target"] == str(WAITING_PER_REPLICA)
    queue, grid, there = batch["triggers"]
    assert (queue["name"], grid["name"], there["name"]) == ("waiting", "grid", "there")
    (service,) = recorded.of("kubernetes:core/v1:Service").values()
    meta, (port,) = service["metadata"], service["spec"]["ports"]
    place = f"{meta['name']}.{meta['namespace']}.svc:{int(port['port'])}"
    assert grid["metadata"]["url"] == f"http://{place}/v1/intensity"


def test_an_interactive_model_beside_it_is_as_it_was(made):
    chat = keda(made(), "chat")
    assert "formula" not in chat
    assert len(chat["triggers"]) == 1
    assert "name" not in chat["triggers"][0]


def test_the_exporter_stands_before_the_model_and_asks_for_its_grid(made):
    recorded = made()
    deployment = recorded.all("kubernetes:apps/v1:Deployment")["main-carbon-deployment"]
    assert deployment.urn in recorded.all("accelfleet:kubernetes:ModelServing")["main-batch"].dependencies
    (container,) = deployment.inputs["spec"]["template"]["spec"]["containers"]
    assert (container["name"], container["image"]) == (EXPORTER, versions.PYTHON_IMAGE)
    env = {e["name"]: e["value"] for e in container["env"]}
    assert env["ELECTRICITYMAPS_ZONE"] == "US-MIDA-PJM"
    assert "t0ken" not in str(deployment.inputs)
    secret = recorded.all("kubernetes:core/v1:Secret")["main-carbon-token"].inputs
    assert secret["stringData"] == {"token": "t0ken"}


def test_its_pods_may_do_nothing_but_ask(made):
    recorded = made()
    pod = recorded.of("kubernetes:apps/v1:Deployment")["main-carbon-deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod["automountServiceAccountToken"] is False
    policies = recorded.of("kubernetes:networking.k8s.io/v1:NetworkPolicy")
    found = {p["metadata"]["name"]: p["spec"] for p in policies.values() if p["metadata"]["namespace"] == CARBON}
    assert found["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    _, *askers = [rule["from"][0] for rule in found["addon-traffic"]["ingress"]]
    assert [one["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for one in askers] == [KEDA, MONITORING]
    outward = [port["port"] for rule in found["addon-traffic"]["egress"] for port in rule.get("ports", ())]
    assert sorted(outward) == [53, 53, 443, 6443]


QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/jobs"
DEADLINE = TEXT.replace(
    "{clean: 150, dirty: 400}",
    f"{{deadline_h: 24, work_h: 4}}\n        scaling: {{queue: {{address: '{QUEUE}', messages: 7}}}}",
)


def test_a_model_with_a_deadline_goes_by_its_queue_and_the_window(made):
    recorded = made(DEADLINE)
    batch = keda(recorded, "batch")
    assert batch["formula"] == Deadline(Rule(24, 4), 1, 4).formula(7)
    assert batch["target"] == "7"
    waiting, deferred, there = batch["triggers"]
    assert (waiting["name"], waiting["type"]) == ("waiting", "aws-sqs-queue")
    assert [deferred["name"], there["name"]] == ["deferred", "there"]
    about = deferred["metadata"]
    assert (about["valueLocation"], about["aggregationType"]) == ("rules.24h-4h.deferred", "min")
    assert about["url"].endswith("/v1/deferral")
    assert "formula" not in keda(recorded, "chat")


def test_jobs_with_a_deadline_go_by_the_trigger_with_the_least(made):
    text = DEADLINE.replace("min: 1, max: 4", "min: 0, max: 4", 1).replace("messages: 7}", "messages: 7}, jobs: true")
    batch = keda(made(text.replace("pool: l4", "pool: l4\n        image: registry.example/ml/scorer:1.0", 1)), "batch")
    assert batch["multipleScalersCalculation"] == "min"
    assert "formula" not in batch
    waiting, window = batch["triggers"]
    assert waiting["type"] == "aws-sqs-queue"
    assert (window["metadata"]["valueLocation"], window["metadata"]["activationTargetValue"]) == ("rules.24h-4h.jobs", "-0.5")


def test_the_exporter_knows_the_deadlines_and_its_program_runs_from_its_config_map_alone(made, tmp_path):
    recorded = made(DEADLINE)
    pod = recorded.of("kubernetes:apps/v1:Deployment")["main-carbon-deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    env = {e["name"]: e["value"] for e in container["env"]}
    assert env["DEFER"] == "24/4"
    (service,) = recorded.of("kubernetes:core/v1:Service").values()
    meta = service["metadata"]
    assert (
        env["PEER_URL"]
        == f"http://{meta['name']}.{meta['namespace']}.svc:{int(service['spec']['ports'][0]['port'])}/v1/deferral"
    )
    data = recorded.of("kubernetes:core/v1:ConfigMap")["main-carbon-program"]["data"]
    (files,) = [volume["configMap"]["items"] for volume in pod["volumes"] if volume["name"] == "program"]
    for file in files:
        path = tmp_path / "alone" / file["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(data[file["key"]])
    command = [sys.executable, "-S", *container["command"][1:]]
    done = subprocess.run(command, cwd=tmp_path / "alone", env={}, capture_output=True, text=True, timeout=60, check=False)
    assert "KeyError: 'ELECTRICITYMAPS_ZONE'" in done.stderr, "all its modules are there, and it asks for its settings"
    assert container["workingDir"] == next(m["mountPath"] for m in container["volumeMounts"] if m["name"] == "program")


def test_prometheus_asks_it_as_it_asks_the_model_servers(made):
    recorded = made(TEXT.replace("    grid_token:", "    monitoring: prometheus\n    grid_token:"))
    values = recorded.all(RELEASE)["main-monitoring"].inputs["values"]
    (monitor,) = [m for m in values["prometheus"]["additionalPodMonitors"] if m["name"] == "accelfleet-models"]
    deployments = recorded.of("kubernetes:apps/v1:Deployment").values()
    (template,) = [d["spec"]["template"] for d in deployments if d["metadata"]["namespace"] == CARBON]
    labels = template["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    assert {e["key"] for e in monitor["selector"]["matchExpressions"]} <= set(labels)
    (container,) = template["spec"]["containers"]
    assert monitor["podMetricsEndpoints"][0]["port"] in {p["name"] for p in container["ports"]}
