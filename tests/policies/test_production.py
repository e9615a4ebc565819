"""In production high severity refuses, and what this platform makes still comes through: mended, or waived with a reason."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pulumi
import pytest

from fleet.load import load_stack
from fleet.spec import Environment, StackSpec
from fleet.workspace import STACKS
from infra import versions
from infra.platform import deploy as platform
from infra.stack import Stack
from policies.accel_policies.judge import RULES, Judgement, evaluate
from policies.accel_policies.own_waivers import OWN
from policies.accel_policies.rule import Resource, Severity
from policies.accel_policies.settings import Settings
from policies.accel_policies.wire import plain
from tests.mocked_engine import Recorder, set_accounts

DIGEST = f"@sha256:{'0' * 64}"
IMAGE = f"vllm/vllm-openai:v0.11.0{DIGEST}"
HIGH = (Severity.CRITICAL, Severity.HIGH)
# Every add-on that we make on EKS.
ALL = f"""
owner: ml-platform
environment: prod
secrets: [em-token]
clusters:
  main:
    cloud: aws
    region: us-east-1
    grid_token: em-token
    api: {{private: true}}
    monitoring: prometheus
    network: {{nat: per-zone}}
    pools:
      l4: {{accelerator: nvidia-l4, nodes: {{min: 0, max: 5}}}}
      t4s: {{accelerator: nvidia-t4, allocation: dra, nodes: {{min: 1, max: 2}}}}
      inf: {{accelerator: inferentia2, per_node: 12, neuron_scheduler: true, nodes: {{min: 0, max: 1}}}}
      big:
        accelerator: nvidia-h100-80gb
        per_node: 8
        fabric: efa
        nodes: {{min: 0, max: 2}}
        labels: {{owner: ml-platform, expires: "2999-01-01"}}
    models:
      chat: {{pool: l4, autoscaler: keda, replicas: {{min: 2, max: 4}}, image: {IMAGE}}}
      batch:
        pool: l4
        image: {IMAGE}
        autoscaler: keda
        replicas: {{min: 2, max: 3}}
        tier: flexible
        carbon: {{clean: 150, dirty: 400}}
"""


def judged(name: str, spec: StackSpec, deploy: Callable[..., Recorder], settings: Settings | None = None) -> Judgement:
    def program() -> None:
        set_accounts()
        for key in spec.secrets:
            pulumi.runtime.set_config(f"accelfleet:{key}", "t0ken")
        for key, value in platform(Stack(name, spec)).items():
            pulumi.export(key, value)

    made = deploy(program, stack=name).resources
    found = (Resource(type=r.type, name=r.name, urn=r.urn, props=plain(r.inputs)) for r in made)
    return evaluate(found, settings or Settings.of(spec))


def refused(judgement: Judgement) -> list[str]:
    return [v.message for v in judgement.violations if v.refuses]


def by_digest(spec: StackSpec) -> StackSpec:
    """In production, with the models' images by digest: which, is their owners' word."""
    clusters = {}
    for key, cluster in spec.clusters.items():
        models = {name: m.model_copy(update={"image": f"{m.image}{DIGEST}"}) for name, m in cluster.models.items()}
        clusters[key] = cluster.model_copy(update={"models": models})
    return spec.model_copy(update={"environment": Environment.PROD, "clusters": clusters})


@pytest.mark.parametrize("name", ["aws-dev", "gcp-dev", "azure-dev"])
def test_a_stack_of_ours_in_production_is_not_refused(name: str, deploy: Callable[..., Recorder]) -> None:
    spec = by_digest(load_stack(STACKS / f"{name}.yaml"))
    assert refused(judged(name, spec, deploy)) == []


def test_every_addon_comes_through_in_production_and_not_after_the_waivers_end(
    deploy: Callable[..., Recorder], tmp_path: Path
) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(ALL)
    (tmp_path / "Pulumi.all.yaml").write_text("config:\n  accelfleet:em-token:\n    secure: v1:abc\n")
    spec = load_stack(file)
    found = judged("all", spec, deploy)
    assert refused(found) == []
    waived = {v.path: v for v in found.violations if v.waiver}
    assert waived, "there are rows, and they speak of something"
    ends = max(row.spec.expires for row in OWN)
    late = Settings(environment="prod", today=ends + timedelta(days=1))
    assert all("Its waiver ended on" in message for message in refused(judged("all", spec, deploy, late)))


def test_high_severity_refuses_in_production_alone() -> None:
    def mandatory(environment: str) -> set[Severity]:
        settings = Settings(environment=environment)
        return {rule.severity for rule in RULES.values() if settings.enforcement(rule) == "mandatory"}

    assert mandatory("prod") == {*HIGH}
    assert mandatory("staging") == mandatory("dev") == {Severity.CRITICAL}


def test_a_row_waives_its_value_and_no_other() -> None:
    settings = Settings(environment="prod")
    for row in OWN:
        rule, resource = row.spec.rule, row.spec.resource.replace("*", "x")
        assert settings.waiver(rule, resource, row.found) == row.spec
        assert settings.waiver(rule, resource, f"{row.found}-other") is None
        assert settings.waiver("k8s-image-tag", resource, row.found) is None


def test_rows_are_of_the_images_that_we_use_by_tag() -> None:
    told: list[Any] = [value for name, value in vars(versions).items() if name.endswith(("_IMAGE", "_IMAGES"))]
    images = [one for value in told for one in (value.values() if isinstance(value, dict) else [value])]
    # Not containers: a machine's image, and Karpenter's word for one, have no digest.
    containers = {image for image in images if not image.startswith("projects/")}
    rows = {row.found for row in OWN if row.spec.resource == "*"}
    assert {image for image in containers if "@" not in image} <= rows <= {image.partition("@")[0] for image in containers}


def test_every_row_says_why_and_ends() -> None:
    for row in OWN:
        assert row.spec.rule in RULES
        assert len(row.spec.reason) > 30
        assert row.spec.expires.year == 2027
