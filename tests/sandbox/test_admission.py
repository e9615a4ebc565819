"""The admission rules against a real API server: what each refuses, what it just lets in, and that it lets in all of ours."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from fleet.admission import cel
from fleet.admission.facts import Facts
from fleet.load import load_stack
from fleet.spec_admission import AdmissionRule as Id
from fleet.workspace import ROOT, STACKS
from infra.kubernetes import dra_driver
from infra.kubernetes.admission import policy_spec
from infra.kubernetes.model_serving import CHART
from infra.platform import deploy as platform
from infra.stack import Stack
from policies.accel_policies.wire import plain
from sandbox import toolchain
from sandbox.cluster.api import Api, ApiError
from sandbox.control_plane import ControlPlane
from tests import admission_pods as examples
from tests import waiting
from tests.mocked_engine import Recorder, set_accounts

pytestmark = pytest.mark.sandbox
until = partial(waiting.until, seconds=60)
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
BINDINGS = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
POLICY, BINDING = (f"kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy{s}" for s in ("", "Binding"))
PLURALS = {"Pod": "pods"} | {kind: f"{kind.lower()}s" for kind in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")}
GROUPS = {"Pod": "/api/v1", "Job": "/apis/batch/v1", "CronJob": "/apis/batch/v1"}
# Where the pods of a set of policies are sent: each set looks at its own namespaces.
HERE, TPU, TEAM, STRANGER = "research", "tpus", "team-ads", "strangers"
STANDS = {"metadata": {"name": "stands"}}
Json = dict[str, Any]
KARPENTER: Json = {
    "replicas": 1,
    "serviceAccount": {"name": "karpenter"},
    "settings": {"clusterName": "c", "interruptionQueue": "q", "eksControlPlane": True, "isolatedVPC": False},
    "controller": {"env": [], "resources": {}},
}


class Cluster:
    """One API server with the policies of three clusters, each for namespaces of its own."""

    def __init__(self, plane: ControlPlane) -> None:
        self.api = Api(plane.endpoint, plane.ca_pem, plane.token)
        for name in (HERE, TPU, TEAM, STRANGER, "accelerators", "gke-managed-trial"):
            self.namespace(name)
        self.send("Deployment", examples.workload(examples.plain(tolerations=[{"operator": "Exists"}])), HERE, "stands", "")
        self._install("eks", Facts.of(examples.POOLS, examples.EKS), HERE, "default", "accelerators", "gke-managed-trial")
        self._install("gke", Facts.of([examples.SLICE], examples.GKE), TPU)
        self._install("teams", Facts.of(examples.POOLS, examples.TEAMS), TEAM, STRANGER)
        refused = examples.plain(tolerations=[{"operator": "Exists"}])
        assert until(lambda: all(self.send("Pod", refused, where) for where in (HERE, TPU, TEAM)))

    def namespace(self, name: str, labels: Json | None = None) -> None:
        self.put("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels or {}}})

    def _install(self, prefix: str, facts: Facts, *namespaces: str) -> None:
        for shape in cel.SHAPES:
            spec, name = policy_spec(facts, shape), f"{prefix}-{shape.name}"
            only = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": list(namespaces)}
            spec["matchConstraints"]["namespaceSelector"]["matchExpressions"].append(only)
            self.put(POLICIES, {"metadata": {"name": name}, "spec": spec})
            self.put(BINDINGS, {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}})

    def put(self, path: str, body: Json) -> None:
        """Make it, or make it so."""
        try:
            self.api.call("POST", path, body)
        except ApiError as why:
            if why.status != 409:
                raise
            self.api.patch(f"{path}/{body['metadata']['name']}", body)

    def send(
        self, kind: str, spec: Json, namespace: str = HERE, name: str = "x", dry: str = "All", labels: Json | None = None
    ) -> str:
        """What the API server says to an object that is tried and not kept; empty where it is let in."""
        body = {"metadata": {"name": name, "labels": labels or {}}, "spec": spec}
        path = f"{GROUPS.get(kind, '/apis/apps/v1')}/namespaces/{namespace}/{PLURALS[kind]}"
        try:
            self.api.call("POST", path, body, **({"dryRun": dry} if dry else {}))
        except ApiError as why:
            return str(why)
        return ""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    plane = ControlPlane("admission", tmp_path_factory.mktemp("admission"))
    plane.start()
    try:
        yield Cluster(plane)
    finally:
        plane.stop()


@pytest.mark.parametrize("rule", examples.PODS)
def test_a_rule_refuses_pods_and_lets_in_what_just_keeps_it(cluster: Cluster, rule: Id) -> None:
    refused, admitted = examples.PODS[rule]
    for spec in refused:
        said = cluster.send("Pod", spec)
        assert f"denied request: {rule}: " in said, (spec, said)
        assert "Mend: " in said
    for spec in admitted:
        assert cluster.send("Pod", spec) == "", spec


@pytest.mark.parametrize("rule", examples.JOBS)
def test_a_rule_about_jobs_refuses_them_and_lets_in_what_just_keeps_it(cluster: Cluster, rule: Id) -> None:
    refused, admitted = examples.JOBS[rule]
    for spec in refused:
        assert f"denied request: {rule}: " in cluster.send("Job", spec), spec
        nightly = {"schedule": "0 1 * * *", "jobTemplate": {"spec": spec}}
        assert f"denied request: {rule}: " in cluster.send("CronJob", nightly), spec
    for spec in admitted:
        assert cluster.send("Job", spec) == "", spec


def test_tpu_pods_select_their_slice(cluster: Cluster) -> None:
    refused, admitted = examples.TPUS
    for spec in refused:
        assert f"denied request: {Id.TPU_SLICE}: " in cluster.send("Pod", spec, TPU), spec
    assert [cluster.send("Pod", spec, TPU) for spec in admitted] == [""]


def test_accelerators_are_asked_for_where_somebody_answers_for_them(cluster: Cluster) -> None:
    assert f"{Id.SHARE}: " in cluster.send("Pod", examples.pod(), "default")
    assert cluster.send("Pod", examples.plain(), "default") == ""
    said = cluster.send("Pod", examples.pod(), STRANGER)
    assert f"{Id.SHARE}: " in said
    assert "team-ads or models" in said, "who has a share is named"
    assert cluster.send("Pod", examples.pod(), TEAM) == ""


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "DaemonSet"])
def test_who_makes_bad_pods_is_refused_at_once(cluster: Cluster, kind: str) -> None:
    good, bad = (examples.workload(examples.pod(count), kind) for count in (4, 5))
    assert cluster.send(kind, good) == ""
    assert f"{Id.COUNT}: " in cluster.send(kind, bad)


def test_a_daemon_may_tolerate_accelerator_nodes_by_key_and_another_pod_may_not(cluster: Cluster) -> None:
    agent = examples.plain(tolerations=examples.tolerating())
    assert cluster.send("DaemonSet", examples.workload(agent, "DaemonSet")) == ""
    assert f"{Id.SQUATS}: " in cluster.send("Deployment", examples.workload(agent))


def test_namespaces_of_addons_are_let_alone(cluster: Cluster) -> None:
    agent = examples.pod(hostPID=True, tolerations=[{"operator": "Exists"}])
    for where in ("kube-system", "accelerators", "gke-managed-trial"):
        # Without a token of the account, which no controller may have made yet.
        assert until(lambda where=where: cluster.send("Pod", agent, where) == ""), cluster.send("Pod", agent, where)


def test_what_stood_before_stays_and_its_next_change_is_judged(cluster: Cluster) -> None:
    path = f"/apis/apps/v1/namespaces/{HERE}/deployments/stands"
    cluster.api.patch(path, {"metadata": {"labels": {"a": "b"}}, "spec": {"replicas": 2}})
    image = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "nginx:2"}]}}}}
    with pytest.raises(ApiError, match=f"{Id.BLANKET}: "):
        cluster.api.patch(path, image)


def test_whoever_waits_in_a_queue_gets_its_nodes_from_the_queue(cluster: Cluster) -> None:
    waits = examples.pod(pool=None, tolerations=[], restartPolicy="Never")
    labels = {cel.QUEUE_LABEL: "default"}
    assert cluster.send("Pod", waits, labels=labels) == ""
    assert cluster.send("Job", {"template": {"spec": waits}}, labels=labels) == ""
    assert f"{Id.PLACE}: " in cluster.send("Job", {"template": {"spec": waits}})


def test_the_largest_pods_stay_within_cels_budget(cluster: Cluster) -> None:
    one = examples.pod()["containers"][0]
    variables = [{"name": f"V{i}", "value": "x" * 100} for i in range(100)]
    many = [{**one, "name": f"c{i}", "env": variables} for i in range(1, 60)]
    many = [{**c, "resources": {"limits": {"memory": "1Gi"}}} for c in many]
    keys = [{"key": f"k{i}", "operator": "Exists"} for i in range(100)]
    volumes = [{"name": f"v{i}", "emptyDir": {}} for i in range(100)]
    large = examples.pod(containers=[one, *many], tolerations=examples.tolerating(*keys), volumes=volumes)
    assert cluster.send("Pod", large) == ""


def test_the_api_server_finds_no_fault_in_the_expressions(cluster: Cluster) -> None:
    """The controller manager checks them against the kinds' own schemas."""

    def checked() -> list[Json]:
        return [p["status"] for p in cluster.api.call("GET", POLICIES)["items"] if "typeChecking" in p.get("status", {})]

    assert until(lambda: len(checked()) >= 3 * len(cel.SHAPES))
    assert [status["typeChecking"] for status in checked() if status["typeChecking"]] == []


# Ours.


@pytest.mark.parametrize("name", ["aws-dev", "gcp-dev"])
def test_everything_that_a_stack_of_ours_runs_is_let_in(
    cluster: Cluster, deploy: Callable[..., Recorder], tmp_path: Path, name: str
) -> None:
    spec = load_stack(STACKS / f"{name}.yaml")

    def program() -> None:
        set_accounts()
        for key, value in platform(Stack(name, spec)).items():
            pulumi.export(key, value)

    made = deploy(program, stack=name)
    for one in made.of("kubernetes:core/v1:Namespace").values():
        # Pod Security has tests of its own, and warns of what is tried here.
        cluster.namespace(one["metadata"]["name"])
    assert len(made.of(POLICY)) == len(made.of(BINDING)) == len(cel.SHAPES)
    for path, type_ in ((POLICIES, POLICY), (BINDINGS, BINDING)):
        for one in made.of(type_).values():
            cluster.put(path, {"metadata": one["metadata"], "spec": one["spec"]})
    pool = next(iter(spec.clusters["main"].pools))
    refused = examples.plain(nodeSelector={examples.POOL: pool}, tolerations=[{"operator": "Exists"}])
    assert until(lambda: "accelfleet-pods" in cluster.send("Pod", refused, "models"))
    workloads = [
        (kind, plain(one.inputs["spec"]), one.inputs["metadata"].get("namespace", "default"))
        for one in made.resources
        if (kind := one.type.rpartition(":")[2]) in PLURALS
    ]
    for release in made.of("kubernetes:helm.sh/v3:Release").values():
        if release["chart"] == CHART:
            rendered = _rendered(ROOT / CHART, plain(release["values"]), release["namespace"], tmp_path)
            workloads += [(kind, body, release["namespace"]) for kind, body in rendered]
    assert len(workloads) >= len(spec.clusters["main"].models)

    def refusals() -> list[str]:
        return [said for workload in workloads if (said := cluster.send(*workload))]

    # The API server takes each policy's new version a moment after its object.
    assert until(lambda: not refusals()), refusals()


def test_the_training_chart_is_let_in(cluster: Cluster, tmp_path: Path) -> None:
    placed = examples.POOLS[0].placement(1)
    values = {
        "image": {"name": "registry.example/training:1"},
        "accelerator": {"resource": placed.resource, "count": 1},
        "nodeSelector": placed.node_selector,
        "tolerations": placed.tolerations,
        "activeDeadlineSeconds": 86400,
    }
    chart = ROOT / "charts" / "training"
    assert _send_chart(cluster, chart, values, HERE, tmp_path) == 1
    with pytest.raises(AssertionError, match=f"{Id.JOB_DEADLINE}: "):
        _send_chart(cluster, chart, {**values, "activeDeadlineSeconds": 0}, HERE, tmp_path)


@pytest.mark.parametrize(
    ("chart", "namespace", "values"),
    [
        ("keda", "keda", {}),
        ("kueue", "kueue-system", {"managerConfig": {"controllerManagerConfigYaml": "{}"}}),
        ("karpenter", "kube-system", KARPENTER),
        ("dra-driver-nvidia-gpu", dra_driver.NAMESPACE, dra_driver.values([replace(examples.POOLS[1], dra=True)])),
    ],
)
def test_addons_are_let_in(cluster: Cluster, tmp_path: Path, chart: str, namespace: str, values: Json) -> None:
    cluster.namespace(namespace)
    assert _send_chart(cluster, ROOT / "sandbox" / "charts" / chart, values, namespace, tmp_path) >= 1


def _send_chart(cluster: Cluster, chart: Path, values: Json, namespace: str, directory: Path) -> int:
    """Try every workload of a rendered chart; how many there were."""
    sent = _rendered(chart, values, namespace, directory)
    for kind, body in sent:
        said = cluster.send(kind, body, namespace)
        assert said == "", said
    return len(sent)


def _rendered(chart: Path, values: Json, namespace: str, directory: Path) -> list[tuple[str, Json]]:
    """Kind and spec of each workload of a chart."""
    file = directory / "values.json"
    file.write_text(json.dumps(values))
    command = [toolchain.path("helm"), "template", "x", chart, "-n", namespace, "-f", file, "--kube-version", "1.35.0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [one for one in yaml.safe_load_all(done.stdout) if one]
    scaled = [{"kind": "Job", "spec": one["spec"]["jobTargetRef"]} for one in found if one["kind"] == "ScaledJob"]
    return [(one["kind"], one["spec"]) for one in [*found, *scaled] if one["kind"] in PLURALS]
