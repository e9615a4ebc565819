"""Every chart's renders: the same by Helm 3 and 4, and what Kubernetes and the operators' own schemas take."""

from __future__ import annotations

import json
import re

import pytest

from infra.kubernetes import dra_driver
from sandbox import toolchain
from sandbox.toolchain import crds
from tests.accelerator_pools import L4, pool_of
from tests.charts.rendering import RENDERS, ROOT, STAND_INS, Refused, objects_in, pod_templates, restricted

pytestmark = pytest.mark.sandbox
NAMESPACE = "rendered"
# What the sandbox's stand-ins for others' charts are given by infra/kubernetes.
OF_STAND_INS = {
    "dra-driver-nvidia-gpu": dra_driver.values([pool_of(L4, dra=True)]),
    "karpenter": {
        "replicas": 2,
        "serviceAccount": {"name": "karpenter"},
        "settings": {"clusterName": "main", "interruptionQueue": "main", "eksControlPlane": True, "isolatedVPC": False},
        "controller": {"env": [{"name": "AWS_REGION", "value": "eu-north-1"}], "resources": {"requests": {"cpu": "500m"}}},
    },
    "karpenter-crd": {},
    "keda": {},
    "kueue": {"managerConfig": {"controllerManagerConfigYaml": json.dumps({"kind": "Configuration"}, indent=2)}},
}
ALL = RENDERS | {name: (STAND_INS / name, values) for name, values in OF_STAND_INS.items()}


@pytest.fixture(scope="module")
def render(helm):
    """`render(name, by) -> text`, as a cluster of the newest minor gets it."""
    done = {}

    def call(name, by="helm"):
        if (name, by) not in done:
            chart, values = ALL[name]
            where = ("--namespace", NAMESPACE, "--kube-version", "1.37.0")
            done[name, by] = helm("template", "chat", str(chart), *where, values=values, by=by)
        return done[name, by]

    return call


def test_every_chart_is_rendered():
    charts = {path.parent for where in (ROOT / "charts", STAND_INS) for path in where.glob("*/Chart.yaml")}
    assert charts == {chart for chart, _ in ALL.values()}


@pytest.mark.parametrize("name", ALL)
def test_helm_3_and_4_render_the_same(helm, render, name):
    majors = [re.match(r"v(\d)", helm("version", "--short", by=by))[1] for by in ("helm3", "helm")]
    if majors != ["3", "4"]:
        pytest.skip(f"Helm on PATH is {majors[1]}: there is nothing to compare")
    # Objects and their order: the text differs by empty lines between them.
    older, newer = (objects_in(render(name, by)) for by in ("helm3", "helm"))
    assert older == newer
    assert newer or name == "karpenter-crd"


@pytest.fixture(scope="module")
def cluster(kubectl):
    """`kubectl` of a cluster with a namespace that restricts pods, and every kind that a chart renders."""
    runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nvidia"}, "handler": "nvidia"}
    kubectl("apply", "-f", "-", stdin={"apiVersion": "v1", "kind": "List", "items": [restricted(NAMESPACE), runtime]})
    known = [part for file in (*toolchain.carried("keda-operator"), *crds.files()) for part in ("-f", str(file))]
    kubectl("apply", "--server-side", *known)
    kubectl("wait", "--for=condition=Established", "--timeout=60s", *known)
    return kubectl


def taken(cluster, objects):
    """Made by none: strictly, where an unknown field is a fault, and at admission."""
    whole = {"apiVersion": "v1", "kind": "List", "items": objects}
    return cluster("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=whole).splitlines()


@pytest.mark.parametrize("name", RENDERS)
def test_every_render_is_what_kubernetes_and_the_operators_take(cluster, render, name):
    objects = objects_in(render(name))
    # What they make is taken or refused by itself, and later.
    meta = {"name": "chat", "namespace": NAMESPACE}
    specs = [{**template["spec"], "serviceAccountName": "default"} for template in pod_templates(objects)]
    assert specs
    pods = [{"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec} for spec in specs]
    assert len(taken(cluster, [*objects, *pods])) == len(objects) + len(pods)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model-serving, canary", "HTTPRoute"),
        ("model-serving, pod monitor", "PodMonitor"),
        ("model-serving, keda", "ScaledObject"),
        ("model-serving, jobs", "ScaledJob"),
        ("training, jobset", "JobSet"),
        ("training, rayjob", "RayJob"),
    ],
)
def test_what_is_of_no_kinds_schema_would_be_noticed(cluster, render, name, kind):
    """The same object with one more field: the schemas do what the test above relies on."""
    (thing,) = [one for one in objects_in(render(name)) if one["kind"] == kind]
    with pytest.raises(Refused, match=r'unknown field "(spec\.)?misspelt"'):
        taken(cluster, [{**thing, "spec": {**thing["spec"], "misspelt": True}}])
