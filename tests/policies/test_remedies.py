"""What the pack sets by itself: what nobody set, where a stack file asks for it, and never a secret or somebody's word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2

from fleet.load import StackErrors, load_stack
from policies.accel_policies.judge import RULES
from policies.accel_policies.pack import Analyzer
from policies.accel_policies.remedies import REMEDIES

SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
BLOCK, DEPLOYMENT = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "kubernetes:apps/v1:Deployment"
FLAGS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
STACK = """owner: ml
environment: dev
clusters: {main: {cloud: aws, region: us-east-1, api: {allowed_cidrs: [203.0.113.0/24]}}}
policies: {remediate: %s%s}
"""


def remediate(directory: Path, rules: str, type_: str, props: dict[str, Any], more: str = "") -> list[Any]:
    return list(answer(directory, rules, type_, props, more).remediations)


def answer(directory: Path, rules: str, type_: str, props: dict[str, Any], more: str = "") -> Any:
    (directory / "trial.yaml").write_text(STACK % (rules, more))
    analyzer = Analyzer(directory)
    analyzer.ConfigureStack(analyzer_pb2.AnalyzerStackConfigureRequest(stack="trial"), None)
    struct = struct_pb2.Struct()
    json_format.ParseDict(props, struct)
    request = analyzer_pb2.AnalyzeRequest(type=type_, name="one", urn="urn::one", properties=struct)
    return analyzer.Remediate(request, None)


def properties(remediation: Any) -> dict[str, Any]:
    found: dict[str, Any] = json_format.MessageToDict(remediation.properties)
    return found


def test_only_what_the_stack_file_names_is_set(tmp_path: Path) -> None:
    bare = {"bucket": "b"}
    assert remediate(tmp_path, "[]", BLOCK, bare) == []
    assert remediate(tmp_path, "[aws-kms-rotation]", BLOCK, bare) == []
    (told,) = remediate(tmp_path, "[aws-bucket-block-flags]", BLOCK, bare)
    assert properties(told) == {**bare, **dict.fromkeys(FLAGS, True)}
    assert told.policyName == "aws-bucket-block-flags"
    assert "set all four flags" in told.description


def test_a_remedy_that_is_asked_for_concerns_the_resource_and_no_other_does(tmp_path: Path) -> None:
    each = {rule.id for rule in RULES.values() if not rule.whole}
    for props in ({"bucket": "b"}, dict.fromkeys(FLAGS, True)):
        told = answer(tmp_path, "[aws-bucket-block-flags, aws-kms-rotation]", BLOCK, props)
        assert {one.policy_name for one in told.not_applicable} == each - {"aws-bucket-block-flags"}


def test_what_somebody_wrote_stays_and_is_judged(tmp_path: Path) -> None:
    wish = {"bucket": "b", "blockPublicPolicy": False}
    (told,) = remediate(tmp_path, "[aws-bucket-block-flags]", BLOCK, wish)
    assert properties(told)["blockPublicPolicy"] is False
    assert properties(told)["blockPublicAcls"] is True


def test_a_waived_resource_is_left_alone(tmp_path: Path) -> None:
    waiver = ", waivers: [{rule: aws-bucket-block-flags, resource: one, reason: a website for all, expires: 2027-06-01}]"
    assert remediate(tmp_path, "[aws-bucket-block-flags]", BLOCK, {"bucket": "b"}, waiver) == []


def test_what_is_whole_needs_nothing(tmp_path: Path) -> None:
    assert remediate(tmp_path, "[aws-bucket-block-flags]", BLOCK, dict.fromkeys(FLAGS, True)) == []


def test_secrets_and_what_is_not_known_yet_stay_what_they_are(tmp_path: Path) -> None:
    secret = {SIGNATURE: SECRET, "value": "canary"}
    props = {"bucket": UNKNOWN, "blockPublicAcls": secret, "ignorePublicAcls": UNKNOWN}
    (told,) = remediate(tmp_path, "[aws-bucket-block-flags]", BLOCK, props)
    assert properties(told) == {**props, "blockPublicPolicy": True, "restrictPublicBuckets": True}
    template = "aws:ec2/launchTemplate:LaunchTemplate"
    assert remediate(tmp_path, "[aws-node-imdsv2]", template, {"metadataOptions": secret}) == []


def test_several_remedies_add_up(tmp_path: Path) -> None:
    bucket = "gcp:storage/bucket:Bucket"
    first, second = remediate(tmp_path, "[gcp-bucket-public, gcp-bucket-uniform]", bucket, {"location": "EU"})
    assert properties(first) == {"location": "EU", "publicAccessPrevention": "enforced"}
    assert properties(second) == {**properties(first), "uniformBucketLevelAccess": True}


def deployment(**pod: Any) -> dict[str, Any]:
    one = {"name": "c", "image": "a:1", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    return {"metadata": {"name": "chat"}, "spec": {"template": {"spec": {"containers": [one], **pod}}}}


def test_a_pod_with_accelerators_gets_their_toleration_beside_its_own(tmp_path: Path) -> None:
    own = {"key": "team", "operator": "Exists"}
    (told,) = remediate(tmp_path, "[accel-pod-tolerates]", DEPLOYMENT, deployment(tolerations=[own]))
    added = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    assert properties(told)["spec"]["template"]["spec"]["tolerations"] == [own, added]
    for enough in (added, {"operator": "Exists"}):
        assert remediate(tmp_path, "[accel-pod-tolerates]", DEPLOYMENT, deployment(tolerations=[enough])) == []
    assert remediate(tmp_path, "[accel-pod-tolerates]", DEPLOYMENT, deployment(tolerations=UNKNOWN)) == []


def test_labels_are_added_to_those_that_are_there(tmp_path: Path) -> None:
    props = deployment() | {"metadata": {"name": "chat", "labels": {"team": "ads"}}}
    (told,) = remediate(tmp_path, "[k8s-labels]", DEPLOYMENT, props)
    labels = {"team": "ads", "app.kubernetes.io/managed-by": "pulumi", "app.kubernetes.io/name": "chat"}
    assert properties(told)["metadata"]["labels"] == labels


def test_elements_of_a_list_are_each_mended(tmp_path: Path) -> None:
    pool, path = "gcp:container/nodePool:NodePool", "gpuDriverInstallationConfig"
    kept = {"type": "b", path: {"gpuDriverVersion": "LATEST"}}
    (told,) = remediate(tmp_path, "[accel-gpu-driver]", pool, {"nodeConfig": {"guestAccelerators": [{"type": "a"}, kept]}})
    first, second = properties(told)["nodeConfig"]["guestAccelerators"]
    assert first == {"type": "a", path: {"gpuDriverVersion": "DEFAULT"}}
    assert second == kept
    assert remediate(tmp_path, "[accel-gpu-driver]", pool, {"nodeConfig": {}}) == []
    assert remediate(tmp_path, "[accel-gpu-driver]", pool, {}) == []


def test_every_remedy_is_a_rules() -> None:
    assert set(REMEDIES) <= set(RULES)


def test_a_rule_without_a_remedy_is_refused_with_those_that_have_one(tmp_path: Path) -> None:
    (tmp_path / "trial.yaml").write_text(STACK % ("[k8s-label]", ""))
    with pytest.raises(StackErrors, match="did you mean k8s-labels"):
        load_stack(tmp_path / "trial.yaml")
