"""Our own stacks keep the rules, or say in their file why not; and a wrong one is minded by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from fleet.load import load_stack
from fleet.workspace import STACKS
from infra.platform import deploy as platform
from infra.stack import Stack
from policies.accel_policies.judge import Judgement, evaluate
from policies.accel_policies.rule import Resource
from policies.accel_policies.settings import Settings
from policies.accel_policies.wire import plain
from tests.mocked_engine import Recorder, set_accounts

FILES = sorted(p.stem for p in STACKS.glob("*.yaml") if not p.name.startswith("Pulumi."))


def judged(name: str, deploy: Callable[..., Recorder], **changes: Any) -> Judgement:
    spec = load_stack(STACKS / f"{name}.yaml").model_copy(update=changes)

    def program() -> None:
        set_accounts()
        for key, value in platform(Stack(name, spec)).items():
            pulumi.export(key, value)

    made = deploy(program, stack=name).resources
    return evaluate((Resource(type=r.type, name=r.name, urn=r.urn, props=plain(r.inputs)) for r in made), Settings.of(spec))


@pytest.mark.parametrize("name", FILES)
def test_a_stack_of_ours_breaks_no_rule(name: str, deploy: Callable[..., Recorder]) -> None:
    found = judged(name, deploy)
    assert [violation.message for violation in found.unwaived] == []
    assert not found.unknown


def test_every_waiver_waives_something(deploy: Callable[..., Recorder]) -> None:
    for name in FILES:
        waivers = load_stack(STACKS / f"{name}.yaml").policies.waivers
        used = {v.waiver.rule for v in judged(name, deploy).violations if v.waiver} if waivers else set()
        assert {waiver.rule for waiver in waivers} == used


def test_an_open_api_is_minded_by_name(deploy: Callable[..., Recorder]) -> None:
    spec = load_stack(STACKS / "aws-dev.yaml")
    api = spec.clusters["main"].api.model_copy(update={"allowed_cidrs": []})
    cluster = spec.clusters["main"].model_copy(update={"api": api})
    found = judged("aws-dev", deploy, clusters={"main": cluster})
    assert [(v.rule.id, v.resource.name, v.path, v.refuses) for v in found.violations] == [
        ("aws-eks-api-open", "main-cluster", "vpcConfig.publicAccessCidrs", True)
    ]
