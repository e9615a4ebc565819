"""The kubernetes stand-in: its parts alone, then under the real engine against a real API server."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import toolchain
from sandbox.control_plane import ControlPlane
from sandbox.providers.base import UNKNOWN, Refused, Secret, changed_paths
from sandbox.providers.kubernetes import objects
from sandbox.providers.kubernetes.api import Api, ApiError
from sandbox.providers.kubernetes.kubeconfig import Credentials, Kubeconfig
from sandbox.providers.kubernetes.validation import failures, indexed
from sandbox.providers.kubernetes.waiting import FailedError, _deployment, _job, pod_reason
from sandbox.providers.wire import decode_struct, encode_struct
from tests.sandbox.project import Project

ROOT = Path(__file__).parents[2]


def kubeconfig(user: dict[str, Any]) -> dict[str, Any]:
    return {
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u", "namespace": "mine"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://127.0.0.1:1/"}}],
        "users": [{"name": "u", "user": user}],
    }


class TestWire:
    def test_values_survive_the_way_to_the_engine_and_back(self) -> None:
        value = {"a": [1, 2.5, "x", True, None, UNKNOWN], "b": {"c": {}}, "big": 2**40}
        assert decode_struct(encode_struct(value)) == value

    def test_a_secret_comes_back_bare(self) -> None:
        sent = encode_struct({"password": Secret({"a": UNKNOWN})})
        assert "1b47061264138c4ac30d75fd1eb44270" in str(sent)
        assert decode_struct(sent) == {"password": {"a": UNKNOWN}}

    def test_what_has_no_shape_is_an_error(self) -> None:
        with pytest.raises(TypeError, match="set cannot be sent"):
            encode_struct({"a": {1}})


class TestDiffs:
    def test_paths_lead_to_the_deepest_difference(self) -> None:
        old = {"spec": {"ports": [{"port": 80}, {"port": 81}], "gone": 1}, "metadata": {"labels": {"a/b": "x"}}, "same": None}
        new = {"spec": {"ports": [{"port": 90}], "new": UNKNOWN}, "metadata": {"labels": {"a/b": "y"}}}
        assert changed_paths(old, new) == {
            'metadata.labels["a/b"]': "update",
            "spec.gone": "delete",
            "spec.new": "add",
            "spec.ports[0].port": "update",
            "spec.ports[1]": "delete",
        }

    @pytest.mark.parametrize(
        ("kind", "path", "fixed"),
        [
            ("Deployment", "spec.selector.matchLabels.app", True),
            ("Deployment", "spec.replicas", False),
            ("Deployment", "metadata.name", True),
            ("Job", "spec.template.spec.containers[0].image", True),
            ("Pod", "spec.containers[0].image", False),
            ("Pod", "spec.containers[0].command", True),
            ("Pod", "spec.tolerations[1]", False),
            ("Pod", "metadata.labels.a", False),
            ("ConfigMap", "data.key", True),
            ("ConfigMap", "metadata.labels.data", False),
            ("PersistentVolumeClaim", "spec.resources.requests.storage", False),
            ("StatefulSet", "spec.volumeClaimTemplates[0].spec", True),
        ],
    )
    def test_what_cannot_change_in_place(self, kind: str, path: str, fixed: bool) -> None:
        assert objects.immutable(kind, path) is fixed


class TestObjects:
    def test_a_name_is_made_of_the_seed_alone_and_then_kept(self) -> None:
        first = objects.with_name({"kind": "ConfigMap"}, {}, "Settings", bytes(range(16)))
        assert first["metadata"] == {"name": "settings-00010203", "annotations": {objects.AUTONAMED: "true"}}
        again = objects.with_name({"kind": "ConfigMap"}, first, "Settings", b"another seed")
        assert again["metadata"]["name"] == "settings-00010203"

    @pytest.mark.parametrize(
        ("api_version", "custom"),
        [("v1", False), ("apps/v1", False), ("networking.k8s.io/v1", False), ("keda.sh/v1alpha1", True)],
    )
    def test_custom_kinds_are_told_by_their_group(self, api_version: str, custom: bool) -> None:
        assert objects.is_custom(api_version) is custom

    def test_a_name_not_known_yet_is_left(self) -> None:
        inputs = {"metadata": {"name": UNKNOWN}}
        assert objects.with_name(inputs, {}, "x", b"1234") is inputs

    def test_what_the_server_writes_its_own_way_is_no_drift(self) -> None:
        asked = {"spec": {"cpu": "1000m", "memory": "1024Mi", "none": [], "off": False, "list": [{"a": 1}]}}
        live = {"spec": {"cpu": "1", "memory": "1Gi", "list": [{"a": 1, "defaulted": 2}], "more": 3}, "status": {}}
        assert objects.live_inputs(live, asked) == asked

    def test_drift_is_seen(self) -> None:
        asked = {"spec": {"replicas": 2, "label": "x", "cpu": "500m"}}
        live = {"spec": {"replicas": 5, "cpu": "1"}}
        assert objects.live_inputs(live, asked) == {"spec": {"replicas": 5, "cpu": "1"}}

    def test_the_text_of_a_secret_is_read_back_from_its_data(self) -> None:
        live = {"data": {"a": "aHVzaA==", "b": "eA=="}}
        assert objects.live_inputs(live, {"stringData": {"a": "loud"}}) == {"stringData": {"a": "hush"}}

    def test_an_import_takes_all_but_the_servers_own(self) -> None:
        live = {"metadata": {"name": "n", "uid": "1", "labels": {"a": "b"}}, "spec": {"x": 1}, "status": {"y": 2}}
        assert objects.live_inputs(live, {}) == {"metadata": {"name": "n", "labels": {"a": "b"}}, "spec": {"x": 1}}

    def test_secrets_are_secret_in_the_state(self) -> None:
        live = {"kind": "Secret", "metadata": {"name": "s", "managedFields": []}, "data": {"a": "b"}}
        assert objects.outputs_of(live) == {"kind": "Secret", "metadata": {"name": "s"}, "data": Secret({"a": "b"})}


class TestValidation:
    PODS = {"spec": {"containers": [{"name": "a"}, {"name": "c", "ports": [{"containerPort": 80}]}]}}  # noqa: RUF012

    @pytest.mark.parametrize(
        ("path", "counted"),
        [
            ('spec.containers[name="c"].imagge', "spec.containers[1].imagge"),
            ('spec.containers[name="c"].ports[containerPort=80,protocol="TCP"].x', "spec.containers[1].ports[0].x"),
            ("spec.containers[0].name", "spec.containers[0].name"),
            ('spec.containers[name="z"].x', 'spec.containers[name="z"].x'),
        ],
    )
    def test_items_named_by_key_are_counted(self, path: str, counted: str) -> None:
        assert indexed(path, self.PODS) == counted

    def test_a_missing_value_counts_only_when_all_is_known(self) -> None:
        cause = {"field": "spec.image", "message": "Required value", "reason": "FieldValueRequired"}
        error = ApiError(422, {"message": "invalid", "details": {"causes": [cause]}})
        assert [f.path for f in failures(error, "Pod", {})] == ["spec.image"]
        assert failures(error, "Pod", {}, partial=True) == []

    def test_a_change_that_replaces_is_no_mistake(self) -> None:
        cause = {"field": "spec.selector", "message": "Invalid value: {}: field is immutable"}
        assert failures(ApiError(422, {"message": "invalid", "details": {"causes": [cause]}}), "Deployment", {}) == []

    def test_a_missing_namespace_is_not_about_the_object(self) -> None:
        assert failures(ApiError(404, {"message": 'namespaces "x" not found'}), "Pod", {}) == []


class TestWaiting:
    def test_a_rollout_is_done_when_the_old_replicas_are_gone(self) -> None:
        live: dict[str, Any] = {
            "spec": {"replicas": 2},
            "status": {"replicas": 3, "updatedReplicas": 2, "availableReplicas": 3},
        }
        assert _deployment(live) == "1 old replicas to go"
        live["status"] = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
        assert _deployment(live) is None

    def test_a_refused_replica_speaks_for_the_rollout(self) -> None:
        refusal = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: gpus"}
        assert _deployment({"spec": {"replicas": 1}, "status": {"conditions": [refusal]}}) == "exceeded quota: gpus"

    def test_a_failed_job_is_not_waited_for(self) -> None:
        failed = {"type": "Failed", "status": "True", "message": "BackoffLimitExceeded"}
        with pytest.raises(FailedError, match="BackoffLimitExceeded"):
            _job({"spec": {}, "status": {"conditions": [failed]}})

    def test_the_scheduler_is_quoted(self) -> None:
        condition = {"type": "PodScheduled", "status": "False", "message": "0/2 nodes are available"}
        assert pod_reason({"status": {"conditions": [condition]}}) == "FailedScheduling: 0/2 nodes are available"


class TestKubeconfig:
    def test_the_context_says_which_server_and_namespace(self) -> None:
        parsed = Kubeconfig.parse(json.dumps(kubeconfig({"token": "t"})))
        assert (parsed.server, parsed.namespace, Credentials(parsed).token()) == ("https://127.0.0.1:1", "mine", "t")

    @pytest.mark.parametrize(
        ("given", "context", "said"),
        [
            (None, None, "no kubeconfig"),
            ("/no/such/file", None, "there is no file /no/such/file"),
            (kubeconfig({}), "other", r"contexts has no 'other' \(it has 'c'\)"),
            ("a: [", None, "there is no file"),
            ("{a: [", None, "not YAML"),
        ],
    )
    def test_a_wrong_one_says_what_is_wrong(self, given: Any, context: str | None, said: str) -> None:
        with pytest.raises(Refused, match=said):
            Kubeconfig.parse(given, context)

    def _plugin(self, directory: Path, body: str) -> dict[str, Any]:
        script = directory / "plugin"
        script.write_text(f"#!{sys.executable}\nimport json, os, sys, pathlib\n{body}\n")
        script.chmod(stat.S_IRWXU)
        return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script), "provideClusterInfo": True}}

    def test_an_exec_plugin_is_asked_once_while_its_token_lives(self, tmp_path: Path) -> None:
        body = (
            f"calls = pathlib.Path({str(tmp_path)!r}, 'calls'); calls.open('a').write('x')\n"
            "server = json.loads(os.environ['KUBERNETES_EXEC_INFO'])['spec']['cluster']['server']\n"
            "status = {'token': server, 'expirationTimestamp': '2999-01-01T00:00:00Z'}\n"
            "print(json.dumps({'kind': 'ExecCredential', 'status': status}))"
        )
        credentials = Credentials(Kubeconfig.parse(kubeconfig(self._plugin(tmp_path, body))))
        assert [credentials.token(), credentials.token()] == ["https://127.0.0.1:1"] * 2
        assert (tmp_path / "calls").read_text() == "x"
        credentials.forget()
        credentials.token()
        assert (tmp_path / "calls").read_text() == "xx"

    @pytest.mark.parametrize(
        ("body", "said"),
        [("sys.exit('not logged in')", "failed: not logged in"), ("print('hello')", "printed no ExecCredential")],
    )
    def test_a_failing_exec_plugin_is_named(self, tmp_path: Path, body: str, said: str) -> None:
        credentials = Credentials(Kubeconfig.parse(kubeconfig(self._plugin(tmp_path, body))))
        with pytest.raises(Refused, match=said):
            credentials.token()


def test_the_plugin_ends_with_the_engine(tmp_path: Path) -> None:
    """Stock plugins outlive an engine that is killed."""
    script = (
        "import subprocess, sys, time\n"
        f"command, where = [sys.executable, '-m', 'sandbox.providers.kubernetes'], {str(ROOT)!r}\n"
        "plugin = subprocess.Popen(command, cwd=where, stdout=subprocess.PIPE)\n"
        "plugin.stdout.readline()\n"
        "print(plugin.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        plugin = int(engine.stdout.readline())
        os.kill(plugin, 0)
        engine.kill()
    until = time.monotonic() + 10
    while _lives(plugin) and time.monotonic() < until:
        time.sleep(0.05)
    assert not _lives(plugin)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # An orphan that nobody reaps is a zombie, and dead.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


PROGRAM = """
import os
import pulumi
import pulumi_kubernetes as k

provider = k.Provider("cluster", kubeconfig=os.environ["CLUSTER"])
size, mode = int(os.environ.get("SIZE", "1")), os.environ.get("MODE", "")

def opts(*after, **more):
    return pulumi.ResourceOptions(provider=provider, depends_on=list(after), **more)

schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"teeth": {"type": "integer"}}}}}
crd = k.apiextensions.v1.CustomResourceDefinition(
    "gears",
    metadata={"name": "gears.trial.example"},
    spec={
        "group": "trial.example", "scope": "Namespaced", "names": {"kind": "Gear", "plural": "gears"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
    },
    opts=opts(),
)
# After the CRD, so that it goes before: the namespace controller takes its time over a kind that has just vanished.
namespace = k.core.v1.Namespace("trial", metadata={"name": "trial"}, opts=opts(crd))
settings = k.core.v1.ConfigMap("settings", metadata={"namespace": "trial"}, data={"size": str(size)}, opts=opts(namespace))
k.core.v1.Secret("secret", metadata={"name": "secret", "namespace": "trial"}, string_data={"a": "hush"}, opts=opts(namespace))
container = {"name": "main", "image": "none", "resources": {"limits": {"cpu": "1000m"}}}
if mode == "typo":
    container["imagge"] = "x"
labels = {"app": "server"}
annotations = {} if mode == "wait" else {"pulumi.com/skipAwait": "true"}
k.apps.v1.Deployment(
    "server",
    metadata={"name": "server", "namespace": "trial", "annotations": annotations},
    spec={
        "replicas": "many" if mode == "typo" else size,
        "selector": {"match_labels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    },
    opts=opts(
        namespace, custom_timeouts=pulumi.CustomTimeouts(create="2s", update="2s"),
        ignore_changes=["spec.replicas"] if mode == "scaled" else [],
    ),
)
k.apiextensions.CustomResource(
    "gear", api_version="trial.example/v1", kind="Gear", metadata={"name": "gear", "namespace": "trial"},
    spec={"teeth": size}, opts=opts(crd, namespace),
)
release = k.helm.v3.Release(
    "release", name="release", chart=os.environ["CHART"], namespace="trial",
    values={"wrong": True} if mode == "values" else {"greeting": f"hello {size}"}, opts=opts(namespace),
)
k.helm.v3.Release(
    "remote", name="remote", chart="gpu-operator", version="v25.3.0", namespace="trial", values={"a": 1},
    repository_opts={"repo": "https://helm.example"}, opts=opts(namespace),
)
later = k.Provider("later", kubeconfig=namespace.metadata["uid"].apply(lambda _: os.environ["CLUSTER"]))
k.core.v1.ConfigMap("later", metadata={"name": "later"}, data={}, opts=pulumi.ResourceOptions(provider=later))
pulumi.export("settings", settings.metadata["name"])
pulumi.export("release", release.status)
pulumi.export("resources", release.resource_names)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    plane = ControlPlane("trial", tmp_path_factory.mktemp("cluster"))
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    directory = tmp_path / "chart"
    (directory / "templates").mkdir(parents=True)
    (directory / "Chart.yaml").write_text("apiVersion: v2\nname: greeter\nversion: 0.1.0\nappVersion: '7'\n")
    schema = {"type": "object", "additionalProperties": False, "properties": {"greeting": {"type": "string"}}}
    (directory / "values.schema.json").write_text(json.dumps(schema))
    (directory / "templates" / "greeting.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Release.Name }}\ndata:\n  text: {{ .Values.greeting }}\n"
    )
    return directory


@pytest.fixture
def project(tmp_path: Path, cluster: ControlPlane, chart: Path) -> Iterator[Project]:
    helm = str(toolchain.path("helm"))
    made = Project(tmp_path, PROGRAM, CLUSTER=cluster.kubeconfig(), CHART=str(chart), ACCELFLEET_HELM=helm)
    yield made
    made.destroy().expect()


@pytest.fixture
def api(cluster: ControlPlane) -> Iterator[Api]:
    made = Api(Kubeconfig.parse(cluster.kubeconfig()))
    yield made
    made.close()


def get(api: Api, api_version: str, kind: str, name: str, namespace: str | None = "trial") -> dict[str, Any] | None:
    served = api.kind(api_version, kind)
    return None if served is None else api.get(served, name, namespace)


@pytest.mark.sandbox
class TestLife:
    def test_up_again_changed_refreshed_and_gone(self, project: Project, api: Api) -> None:
        preview = project.preview().expect()
        assert "+ 12 to create" in preview.text  # a CRD, what it defines, and a cluster not known yet among them
        first = project.up().expect()
        assert "chart gpu-operator comes from a repository: released empty" in first.text
        outputs = project.outputs()
        assert outputs["release"]["revision"] == 1
        assert outputs["release"]["status"] == "deployed"
        assert outputs["release"]["appVersion"] == "7"
        assert outputs["resources"] == {"ConfigMap/v1": ["release"]}
        gear = get(api, "trial.example/v1", "Gear", "gear")
        assert gear is not None
        assert gear["spec"] == {"teeth": 1}
        assert "hush" not in json.dumps(project.state())

        assert "12 unchanged" in project.up().expect().text
        assert "12 unchanged" in project.run("refresh", "--yes", "--skip-preview").expect().text

        changed = project.up(SIZE="3").expect()
        assert "~ 3 updated" in changed.text  # deployment, gear, release
        assert "+-1 replaced" in changed.text  # the ConfigMap's data, under a new name, so that pods follow
        assert project.outputs()["settings"] != outputs["settings"]
        assert project.outputs()["release"]["revision"] == 2
        server = get(api, "apps/v1", "Deployment", "server")
        assert server is not None
        assert server["spec"]["replicas"] == 3

        project.destroy().expect()
        assert get(api, "v1", "Namespace", "trial", None) is None
        assert get(api, "v1", "ConfigMap", "later", "default") is None
        assert api.kind("trial.example/v1", "Gear") is None or get(api, "trial.example/v1", "Gear", "gear") is None

    def test_drift_is_found_and_mended(self, project: Project, api: Api) -> None:
        project.up().expect()
        deployments = api.kind("apps/v1", "Deployment")
        assert deployments is not None
        _scale(api, 4)
        drifted = project.run("refresh", "--yes", "--skip-preview", "--diff").expect()
        assert "~ replicas: 1 => 4" in drifted.text
        # Another manager holds the field now: taking it back has to be asked for.
        refused = project.up().expect(ok=False)
        assert "pulumi.com/patchForce" in refused.text
        assert "spec.replicas" in refused.text
        # A program that ignores the field leaves it to the other manager, and goes on.
        project.up(MODE="scaled").expect()
        server = get(api, "apps/v1", "Deployment", "server")
        assert server is not None
        assert server["spec"]["replicas"] == 4

    def test_a_changed_chart_is_an_update(self, project: Project, chart: Path) -> None:
        project.up().expect()
        with (chart / "templates" / "greeting.yaml").open("a") as template:
            template.write("  more: 'yes'\n")
        assert "~checksum" in project.up().expect().text
        assert project.outputs()["release"]["revision"] == 2


@pytest.mark.sandbox
class TestRefusals:
    def test_mistakes_are_found_in_the_preview_by_their_paths(self, project: Project, api: Api) -> None:
        typo = project.preview(MODE="typo").expect(ok=False)
        assert "property spec.replicas value" in typo.text
        assert "expected numeric (int or float), got string" in typo.text
        assert "spec.template.spec.containers[0].imagge" in typo.text
        values = project.preview(MODE="values").expect(ok=False)
        assert "additional properties 'wrong' not allowed" in values.text
        assert get(api, "v1", "Namespace", "trial", None) is None

    def test_what_is_not_ready_in_time_says_why_and_is_kept(self, project: Project, api: Api) -> None:
        late = project.up(MODE="wait").expect(ok=False)
        assert "Deployment trial/server: not ready after 2 s: 0 of 1 replicas available" in late.text
        assert "FailedScheduling: no nodes available to schedule pods" in late.text
        kept = [r for r in project.state() if r["type"] == "kubernetes:apps/v1:Deployment"]
        assert [r["id"] for r in kept] == ["trial/server"]
        assert kept[0]["initErrors"]
        project.up().expect()
        assert get(api, "apps/v1", "Deployment", "server") is not None


def _scale(api: Api, replicas: int) -> None:
    """As `kubectl scale` does it, under a manager of its own."""
    path = "/apis/apps/v1/namespaces/trial/deployments/server"
    body = {"spec": {"replicas": replicas}}
    api.call("PATCH", path, {"fieldManager": "somebody"}, body, "application/merge-patch+json")


@pytest.mark.sandbox
def test_an_interrupted_install_does_not_lock_the_release(project: Project, api: Api, chart: Path) -> None:
    """Helm refuses to touch a release that a killed helm left pending; the next run clears it away."""
    project.up().expect()
    secrets = "/api/v1/namespaces/trial/secrets/sh.helm.release.v1.release.v1"
    found = api.call("GET", secrets)
    assert found["metadata"]["labels"]["status"] == "deployed"
    hook = chart / "templates" / "hook.yaml"
    hook.write_text(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: never\n  annotations: {helm.sh/hook: pre-upgrade}\n"
        "spec:\n  template:\n    spec:\n      restartPolicy: Never\n      containers: [{name: a, image: none}]\n"
    )
    killed = subprocess.Popen(
        [toolchain.path("helm"), "upgrade", "release", str(chart), "-n", "trial", "--set", "greeting=x"],
        env={**os.environ, "KUBECONFIG": _written(project, api)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 20
    while not _pending(api) and time.monotonic() < until:
        time.sleep(0.1)
    assert _pending(api)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    hook.unlink()
    project.up(SIZE="2").expect()
    assert project.outputs()["release"]["status"] == "deployed"


def _pending(api: Api) -> bool:
    releases = api.list("/api/v1/namespaces/trial/secrets", labelSelector="owner=helm,name=release")
    return any(r["metadata"]["labels"]["status"].startswith("pending") for r in releases)


def _written(project: Project, api: Api) -> str:
    file = project.directory / "kubeconfig"
    file.write_text(project.env["CLUSTER"])
    return str(file)
