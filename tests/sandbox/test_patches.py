"""Patches under the real engine: some fields of an object that somebody else made, and given back at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.control_plane import ControlPlane
from sandbox.providers.kubernetes.api import Api
from sandbox.providers.kubernetes.kubeconfig import Kubeconfig
from tests.sandbox.project import Project

pytestmark = pytest.mark.sandbox
PROGRAM = """
import os
import pulumi
import pulumi_kubernetes as k8s

api = k8s.Provider("api", kubeconfig=os.environ["CLUSTER"])
for name in os.environ["NODES"].split(","):
    metadata = {"labels": {"team": os.environ.get("TEAM", "ml")}}
    if name != "unnamed":
        metadata["name"] = name
    k8s.core.v1.NodePatch(name, metadata=metadata, opts=pulumi.ResourceOptions(provider=api))
"""
NODE = {"metadata": {"name": "host", "labels": {"rack": "r1"}}, "spec": {"taints": [{"key": "own", "effect": "NoSchedule"}]}}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    made = ControlPlane("patches", tmp_path_factory.mktemp("patches"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def api(cluster: ControlPlane) -> Iterator[Api]:
    made = Api(Kubeconfig.parse(cluster.kubeconfig()))
    kind = made.kind("v1", "Node")
    assert kind is not None
    made.apply(kind, None, {"apiVersion": "v1", "kind": "Node", **NODE}, force=True, manager="owner")
    yield made
    made.delete(kind, "host", None, "Background")
    made.close()


@pytest.fixture
def project(tmp_path: Path, cluster: ControlPlane) -> Project:
    return Project(tmp_path, PROGRAM, CLUSTER=cluster.kubeconfig())


def node(api: Api, name: str = "host") -> dict[str, Any] | None:
    kind = api.kind("v1", "Node")
    assert kind is not None
    return api.get(kind, name, None)


def labels(api: Api) -> dict[str, str]:
    found = node(api)
    assert found is not None
    return {k: v for k, v in found["metadata"]["labels"].items() if k in ("team", "rack")}


def test_a_label_comes_changes_and_goes_and_the_rest_stays(project: Project, api: Api) -> None:
    project.up(NODES="host").expect()
    assert labels(api) == {"team": "ml", "rack": "r1"}
    assert "1 unchanged" not in project.up(NODES="host", TEAM="ads").expect().text
    assert labels(api) == {"team": "ads", "rack": "r1"}
    project.run("up", "--yes", "--skip-preview", "--expect-no-changes", NODES="host", TEAM="ads").expect()
    project.run("destroy", "--yes", "--skip-preview", NODES="host").expect()
    assert labels(api) == {"rack": "r1"}
    found = node(api)
    assert found is not None and {t["key"] for t in found["spec"]["taints"]} >= {"own"}


def test_two_patches_of_one_object_give_up_their_own_alone(project: Project, api: Api) -> None:
    kind = api.kind("v1", "Node")
    assert kind is not None
    other = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "host", "labels": {"team": "ml"}}}
    project.up(NODES="host").expect()
    api.apply(kind, None, other, force=False, manager="another")
    project.run("destroy", "--yes", "--skip-preview", NODES="host").expect()
    assert labels(api)["team"] == "ml", "the other manager wanted the same label, and keeps it"


def test_what_is_not_there_is_not_made(project: Project, api: Api) -> None:
    said = project.up(NODES="ghost").expect(False).text
    assert "Node ghost: there is none to patch" in said
    assert node(api, "ghost") is None


def test_another_owners_label_is_not_taken_over(project: Project, api: Api) -> None:
    kind = api.kind("v1", "Node")
    assert kind is not None
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "host", "labels": {"team": "theirs"}}}
    api.apply(kind, None, body, force=True, manager="another")
    assert "pulumi.com/patchForce" in project.up(NODES="host").expect(False).text
    assert labels(api)["team"] == "theirs"


def test_a_patch_without_a_name_is_refused_before_anything_is_made(project: Project, api: Api) -> None:
    said = project.preview(NODES="host,unnamed").expect(False).text
    assert "a patch names the object that it changes" in said
    assert labels(api) == {"rack": "r1"}
