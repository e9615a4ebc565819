"""The admission rules as the platform installs them: where, in which mode, and made for the cluster's own pools."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest

from fleet.admission import cel, page
from fleet.admission.facts import Facts
from fleet.admission.rules import RULES, validations
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from fleet.load import StackErrors, load_stack
from fleet.spec import ClusterSpec
from fleet.spec_admission import AdmissionRule as Id
from infra.platform import deploy as platform
from infra.stack import Stack
from tests import admission_pods as examples
from tests.accelerator_pools import pool_of
from tests.mocked_engine import Recorder, set_accounts

POLICY, BINDING = (f"kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy{s}" for s in ("", "Binding"))
RELEASE = "kubernetes:helm.sh/v3:Release"
TEXT = """
owner: ml-platform
environment: dev
policies: {{limits: {{host_namespaces: [agents]}}}}
clusters:
  main:
    cloud: aws
    region: us-east-1
    api: {{allowed_cidrs: [203.0.113.0/24]}}
    pools: {pools}
    admission: {admission}
"""
L4 = "{l4: {accelerator: nvidia-l4}}"


def made(deploy: Callable[..., Recorder], tmp_path: Path, admission: str = "{}", pools: str = L4) -> Recorder:
    file = tmp_path / "trial.yaml"
    file.write_text(TEXT.format(pools=pools, admission=admission))
    spec = load_stack(file)

    def program() -> None:
        set_accounts()
        for key, value in platform(Stack("trial", spec)).items():
            pulumi.export(key, value)

    return deploy(program)


def test_each_cluster_with_accelerators_refuses_by_default(deploy: Callable[..., Recorder], tmp_path: Path) -> None:
    found = made(deploy, tmp_path)
    policies, bindings = found.of(POLICY).values(), found.of(BINDING).values()
    assert {p["metadata"]["name"] for p in policies} == {f"accelfleet-{s.name}" for s in cel.SHAPES}
    assert {b["spec"]["policyName"] for b in bindings} == {p["metadata"]["name"] for p in policies}
    assert all(b["spec"]["validationActions"] == ["Deny"] for b in bindings)
    for policy in policies:
        assert policy["spec"]["failurePolicy"] == "Fail"
        (alone,) = policy["spec"]["matchConstraints"]["namespaceSelector"]["matchExpressions"]
        assert {"kube-system", "accelerators", "agents"} <= set(alone["values"])
        assert "default" not in alone["values"]


def test_a_cluster_can_audit_and_leave_a_rule_out(deploy: Callable[..., Recorder], tmp_path: Path) -> None:
    found = made(deploy, tmp_path, "{mode: audit, without: [squats]}")
    assert all(b["spec"]["validationActions"] == ["Warn", "Audit"] for b in found.of(BINDING).values())
    messages = [v["message"] for p in found.of(POLICY).values() for v in p["spec"]["validations"]]
    assert not any(message.startswith("squats:") for message in messages)
    assert any(message.startswith("blanket:") for message in messages)


@pytest.mark.parametrize(("admission", "pools"), [("{mode: none}", L4), ("{mode: enforce}", "{}")])
def test_none_where_it_is_off_or_there_is_nothing_to_guard(
    deploy: Callable[..., Recorder], tmp_path: Path, admission: str, pools: str
) -> None:
    found = made(deploy, tmp_path, admission, pools)
    assert not found.of(POLICY)
    assert not found.of(BINDING)


def test_where_we_are_guests_it_warns(tmp_path: Path) -> None:
    text = {"cloud": "existing", "region": "DE", "kubeconfig": "kube"}
    assert ClusterSpec.model_validate(text).admission_mode == "audit"
    assert ClusterSpec.model_validate({**text, "admission": {"mode": "enforce"}}).admission_mode == "enforce"


def test_a_rule_that_there_is_not_is_refused_by_name(tmp_path: Path) -> None:
    file = tmp_path / "trial.yaml"
    file.write_text(TEXT.format(pools=L4, admission="{without: [squat]}"))
    with pytest.raises(StackErrors, match="squats"):
        load_stack(file)


def said(facts: Facts, shape: cel.Shape = cel.SHAPES[0]) -> dict[str, str]:
    """Rule -> message."""
    return {v["message"].partition(":")[0]: v["message"] for v in validations(facts, shape, [])}


def test_rules_are_made_for_the_clusters_pools() -> None:
    found = said(Facts.of(examples.POOLS, examples.EKS))
    assert "nvidia.com/gpu" in found["offered"]
    assert "aws.amazon.com/neuron" in found["offered"]
    assert "1 in pool slices" in found["count"], "of shared ones a pod takes one part"
    assert "1 or 2 or 3 or 4 in pool t4s" in found["count"]
    assert "tpu-slice" not in found


def test_what_a_cluster_has_not_is_no_rule_there() -> None:
    on_gke = Facts.of([examples.SLICE], examples.GKE)
    assert "tpu-slice" in said(on_gke)
    assert "4 in pool slice" in said(on_gke)["count"]
    assert "tolerates" not in said(on_gke), "GKE adds it"
    assert "place" not in said(on_gke), "one kind is no choice"
    no_spot = Facts.of([pool_of(machine(Cloud.AWS, "g6.xlarge"))], examples.EKS)
    assert not {"job-deadline", "job-retry"} & said(no_spot, cel.SHAPES[2]).keys()
    assert {"job-deadline", "job-retry"} <= said(Facts.of(examples.POOLS, examples.EKS), cel.SHAPES[2]).keys()


def test_neuron_cores_are_kept_by_the_devices_taint() -> None:
    facts = Facts.of(examples.CORES, examples.EKS)
    assert facts.tainted == {"aws.amazon.com/neuroncore": "aws.amazon.com/neuron"}
    assert facts.counts == {"cores": [1]}


def test_every_rule_has_its_examples_and_its_words() -> None:
    tried: set[Any] = {*examples.PODS, *examples.JOBS, Id.TPU_SLICE, Id.SHARE}
    assert {rule.id for rule in RULES} == set(Id) == tried
    for rule in RULES:
        message = rule.message(Facts.of(examples.POOLS, examples.TEAMS))
        assert re.fullmatch(rf"{rule.id}: [A-Z].*[.] Mend: .*[^.][.]", message), message
        assert rule.why.endswith((".", ".)"))


def test_variables_come_before_what_reads_them() -> None:
    for shape in cel.SHAPES:
        known: set[str] = set()
        for name, expression in shape.variables:
            assert set(re.findall(r"variables[.](\w+)", expression)) <= known, (shape.name, name)
            known.add(name)
        for one in validations(Facts.of(examples.POOLS, examples.EKS), shape, []):
            assert set(re.findall(r"variables[.](\w+)", one["expression"])) <= known


def test_the_page_is_fresh() -> None:
    assert page.PAGE.read_text() == page.text(), "run make docs"
