"""Drift inside Helm's releases: from what Helm keeps and what the API server would change."""

from __future__ import annotations

import base64
import copy
import gzip
import json
from typing import Any

import pytest

from fleet.drift import Difference
from fleet.drift_releases import differences, manifest

WANTED: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "chat", "namespace": "models", "labels": {"app": "chat"}},
    "spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "model", "image": "m:1"}]}}},
}
KIND, NAME = "kubernetes:apps/v1:Deployment", "models/chat"


def stands(managed: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    live = copy.deepcopy(WANTED)
    live["metadata"] |= {"uid": "1", "resourceVersion": "7", "managedFields": managed or []}
    return live | {"status": {"readyReplicas": 2}}


def test_what_stands_as_it_was_released_is_no_drift() -> None:
    again = stands()
    again["metadata"] |= {"resourceVersion": "8", "managedFields": [{"manager": "fleet-drift"}]}
    again["status"] = {}
    live = stands()
    live["metadata"]["annotations"] = {"deployment.kubernetes.io/revision": "3"}
    assert list(differences(WANTED, live, again)) == []


def test_what_the_api_server_would_change_is_drift() -> None:
    live = stands()
    live["spec"]["template"]["spec"]["containers"][0]["image"] = "m:evil"
    path = "spec.template.spec.containers.0.image"
    assert list(differences(WANTED, live, stands())) == [Difference("changed", KIND, NAME, path, "m:1", "m:evil")]


def test_what_is_gone_is_told_once() -> None:
    assert list(differences(WANTED, None, None)) == [Difference("gone", KIND, NAME, "", None, None)]


def test_what_cannot_be_applied_over_what_stands_is_held_against_what_was_asked_for() -> None:
    live = stands()
    live["spec"] |= {"revisionHistoryLimit": 10}
    live["spec"]["template"]["spec"]["containers"][0] |= {"name": "other", "imagePullPolicy": "IfNotPresent"}
    path = "spec.template.spec.containers.0.name"
    assert list(differences(WANTED, live, None)) == [Difference("changed", KIND, NAME, path, "model", "other")]


def test_a_secrets_values_are_never_told() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}, "data": {"a": "aGk="}}
    live = copy.deepcopy(secret) | {"data": {"a": "c2VjcmV0"}}
    (found,) = differences(secret, live, secret)
    assert (found.field, found.state, found.stands) == ("data.a", "(secret)", "(secret)")


@pytest.mark.parametrize(("manager", "kind"), [("kube-controller-manager", "autoscaler"), ("kubectl", "changed")])
def test_replicas_are_an_autoscalers_unless_a_person_set_them(manager: str, kind: str) -> None:
    live = stands([{"manager": manager, "subresource": "scale", "fieldsV1": {"f:spec": {"f:replicas": {}}}}])
    live["spec"]["replicas"] = 5
    (found,) = differences(WANTED, live, stands())
    assert (found.kind, found.field, found.stands) == (kind, "spec.replicas", "5")


def test_what_kubectl_added_and_no_release_asked_for_is_drift() -> None:
    fields = {
        "f:metadata": {
            "f:labels": {"f:app": {}, "f:team": {}},
            "f:annotations": {".": {}, "f:kubectl.kubernetes.io/restartedAt": {}},
        },
        "f:spec": {
            "f:template": {"f:spec": {"f:containers": {'k:{"name":"sidecar"}': {".": {}, "f:image": {}, "f:name": {}}}}}
        },
    }
    live = stands([{"manager": "kubectl-patch", "fieldsV1": fields}])
    live["metadata"] |= {"labels": {"app": "chat", "team": "x"}, "annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}
    live["spec"]["template"]["spec"]["containers"].insert(0, {"name": "sidecar", "image": "s:1"})
    # Applied again what others own stays, in its place.
    again = copy.deepcopy(live)
    assert {(one.field, one.state, one.stands) for one in differences(WANTED, live, again)} == {
        ("metadata.labels.team", None, "x"),
        ("spec.template.spec.containers.0.image", None, "s:1"),
        ("spec.template.spec.containers.0.name", None, "sidecar"),
    }


def test_a_controllers_fields_are_its_own() -> None:
    live = stands([{"manager": "karpenter", "fieldsV1": {"f:metadata": {"f:labels": {"f:seen": {}}}}}])
    live["metadata"]["labels"]["seen"] = "yes"
    assert list(differences(WANTED, live, copy.deepcopy(live))) == []


def test_a_release_is_read_as_helm_keeps_it() -> None:
    text = "---\n# Source: a\n" + json.dumps(WANTED) + "\n---\n# nothing\n"
    kept = base64.b64encode(base64.b64encode(gzip.compress(json.dumps({"manifest": text}).encode()))).decode()
    assert manifest({"data": {"release": kept}}) == [WANTED]
