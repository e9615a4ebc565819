"""The pack around the rules: its page, its stack file, its protocol, what it never says, and how well its tests hold."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format, struct_pb2
from pulumi.runtime.proto import analyzer_pb2
from typer.testing import CliRunner

from fleet.cli import app
from fleet.load import StackErrors, load_stack
from fleet.spec_policies import Enforcement, WaiverSpec
from fleet.workspace import ROOT
from policies.accel_policies import page
from policies.accel_policies.judge import RULES, evaluate
from policies.accel_policies.pack import Analyzer
from policies.accel_policies.rule import Resource, Severity
from policies.accel_policies.settings import Settings
from policies.accel_policies.values import UNKNOWN
from policies.accel_policies.wire import plain
from tests.policies.programs import TODAY

SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"
ACL = "aws:s3/bucketAcl:BucketAcl"
OPEN = Resource(type=ACL, name="site", props={"acl": "public-read"})
STACK = """owner: ml
environment: dev
clusters: {main: {cloud: aws, region: us-east-1, api: {allowed_cidrs: [203.0.113.0/24]}}}
policies: %s
"""


def settings(**more: Any) -> Settings:
    return Settings(environment="prod", today=TODAY, **more)


def waiver(days: int, resource: str = "si*") -> WaiverSpec:
    ends = TODAY + timedelta(days=days)
    return WaiverSpec(rule="aws-bucket-acl-public", resource=resource, reason="a website for all", expires=ends)


def test_there_are_rules_of_every_severity_and_each_says_all_of_it() -> None:
    assert len(RULES) >= 70
    assert {rule.severity for rule in RULES.values()} == set(Severity)
    for rule in RULES.values():
        assert rule.what.endswith(".") and rule.why.endswith((".", ")")) and rule.mend and all(rule.references), rule.id
        assert not rule.mend.endswith(".") and "  " not in rule.what + rule.why


def test_the_page_is_the_codes() -> None:
    assert page.PAGE.read_text() == page.text()


@pytest.mark.parametrize(
    ("enforce", "level"),
    [
        ({}, Enforcement.MANDATORY),
        ({"critical": Enforcement.ADVISORY}, Enforcement.ADVISORY),
        ({"critical": Enforcement.DISABLED, "aws-bucket-acl-public": Enforcement.ADVISORY}, Enforcement.ADVISORY),
    ],
)
def test_a_rules_own_word_goes_before_its_severitys(enforce: dict[str, Enforcement], level: Enforcement) -> None:
    (found,) = evaluate([OPEN], settings(enforce=enforce)).violations
    assert found.enforcement is level and found.refuses is (level is Enforcement.MANDATORY)


def test_critical_rules_refuse_and_the_others_where_a_stack_says_so() -> None:
    found = {rule.severity for rule in RULES.values() if Settings().enforcement(rule) is Enforcement.MANDATORY}
    assert found == {Severity.CRITICAL}
    strict = Settings(enforce={"high": Enforcement.MANDATORY})
    assert {rule.severity for rule in RULES.values() if strict.enforcement(rule) is Enforcement.MANDATORY} == {
        Severity.CRITICAL,
        Severity.HIGH,
    }


def test_a_disabled_rule_says_nothing() -> None:
    assert evaluate([OPEN], settings(enforce={"critical": Enforcement.DISABLED})).violations == ()


def test_a_waiver_waives_its_resource_until_its_last_day() -> None:
    assert evaluate([OPEN], settings(waivers=(waiver(0),))).violations[0].waiver is not None
    (found,) = evaluate([OPEN], settings(waivers=(waiver(30, "other"),))).violations
    assert found.waiver is None
    late = evaluate([OPEN], settings(waivers=(waiver(-1),))).violations
    assert [(v.rule.id, v.refuses) for v in late] == [("aws-bucket-acl-public", True), ("waiver-expired", True)]
    assert "Its waiver ended on 2026-05-31." in late[0].message


def test_what_is_misshapen_is_not_judged_and_breaks_nothing() -> None:
    odd = [
        Resource(type="aws:iam/policy:Policy", name="p", props={"policy": "no JSON"}),
        Resource(
            type="gcp:compute/firewall:Firewall",
            name="f",
            props={"sourceRanges": ["0.0.0.0/0"], "allows": [{"ports": ["x"], "protocol": "tcp"}]},
        ),
        Resource(type="kubernetes:apps/v1:Deployment", name="d", props={"spec": "nothing"}),
    ]
    found = evaluate(odd, settings())
    assert {rule for rule, *_ in found.unknown} >= {"aws-iam-star", "gcp-firewall-open"}


def test_secrets_and_what_is_not_known_yet_are_unknown_at_any_depth() -> None:
    secret = {SIGNATURE: SECRET, "value": "canary"}
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    assert plain({"a": [secret, {"b": unknown}], "n": 5.0, "__defaults": []}) == {"a": [UNKNOWN, {"b": UNKNOWN}], "n": 5}


def request(urn: str, props: dict[str, Any], type_: str = ACL) -> Any:
    struct = struct_pb2.Struct()
    json_format.ParseDict(props, struct)
    return analyzer_pb2.AnalyzeRequest(type=type_, name=urn.rpartition("::")[2], urn=urn, properties=struct)


def test_the_engine_is_told_and_no_secret_is(tmp_path: Path) -> None:
    analyzer = Analyzer(tmp_path)
    info = analyzer.GetAnalyzerInfo(None, None)
    assert {policy.name for policy in info.policies} == set(RULES)
    answer = analyzer.Analyze(request("urn:pulumi:dev::p::t::site", {"acl": "public-read"}), None)
    (told,) = answer.diagnostics
    assert (told.policyName, told.enforcementLevel) == ("aws-bucket-acl-public", analyzer_pb2.MANDATORY)
    assert told.message.startswith("site: acl is 'public-read'.")
    quiet = analyzer.Analyze(request("urn:x", {"acl": {SIGNATURE: SECRET, "value": "public-read"}}), None)
    assert not quiet.diagnostics


def test_rules_that_do_not_look_at_a_resource_are_told_from_those_that_it_keeps(tmp_path: Path) -> None:
    analyzer, site = Analyzer(tmp_path), request("urn::site", {"acl": "public-read"})
    looking = {rule.id for rule in RULES.values() if not rule.whole and ACL in rule.types}
    each = {rule.id for rule in RULES.values() if not rule.whole}
    assert looking and not_applicable(analyzer.Analyze(site, None)) == each - looking
    kept = analyzer.Analyze(request("urn::site", {"acl": "private"}), None)
    assert not kept.diagnostics and not_applicable(kept) == each - looking
    assert not_applicable(analyzer.Remediate(site, None)) == each
    bucket = request("urn::b", {}, "aws:s3/bucket:Bucket")
    analyzer.Analyze(bucket, None)
    of_buckets = {rule.id for rule in RULES.values() if rule.whole and (not rule.types or bucket.type in rule.types)}
    stack = analyzer_pb2.AnalyzeStackRequest(resources=[analyzer_pb2.AnalyzerResource(urn="urn::b")])
    assert of_buckets and not_applicable(analyzer.AnalyzeStack(stack, None)) == RULES.keys() - each - of_buckets


def not_applicable(answer: Any) -> set[str]:
    return {one.policy_name for one in answer.not_applicable}


def test_stack_rules_see_what_was_registered_and_still_stands(tmp_path: Path) -> None:
    analyzer = Analyzer(tmp_path)
    for name in ("stays", "went"):
        analyzer.Analyze(request(f"urn::{name}", {}, "aws:s3/bucket:Bucket"), None)
    left = analyzer_pb2.AnalyzeStackRequest(resources=[analyzer_pb2.AnalyzerResource(urn="urn::stays")])
    told = [one for one in analyzer.AnalyzeStack(left, None).diagnostics if one.policyName == "aws-bucket-blocked"]
    assert [one.urn for one in told] == ["urn::stays"]


def test_the_stack_file_of_the_stack_configures_the_pack(tmp_path: Path) -> None:
    (tmp_path / "prod-web.yaml").write_text(STACK % "{enforce: {critical: advisory}}")
    analyzer = Analyzer(tmp_path)
    analyzer.ConfigureStack(analyzer_pb2.AnalyzerStackConfigureRequest(stack="prod-web"), None)
    (told,) = analyzer.Analyze(request("urn::site", {"acl": "public-read"}), None).diagnostics
    assert told.enforcementLevel == analyzer_pb2.ADVISORY


@pytest.mark.parametrize(
    ("told", "path", "mend"),
    [
        ("{enforce: {critcal: mandatory}}", "policies.enforce.critcal", "did you mean critical?"),
        ("{enforce: {high: never}}", "policies.enforce.high", "mandatory, advisory, disabled"),
        ("{limits: {accelerators: {nvidia-l5: 3}}}", "policies.limits.accelerators.nvidia-l5", "did you mean nvidia-l4?"),
        ("{waivers: [3]}", "policies.waivers.0", "a map of fields"),
        (
            "{waivers: [{rule: k8s-label, resource: x, reason: long enough to say, expires: 2026-12-01}]}",
            "policies.waivers.0.rule",
            "did you mean k8s-labels?",
        ),
        (
            "{waivers: [{rule: k8s-labels, resource: x, reason: long enough to say, expires: 2999-12-01}]}",
            "policies.waivers.0.expires",
            "within the year",
        ),
        (
            "{waivers: [{rule: k8s-labels, resource: x, reason: short, expires: 2026-12-01}]}",
            "policies.waivers.0.reason",
            "the pattern",
        ),
        (
            "{waivers: [{rule: k8s-labels, resource: x, reason: long enough to say, expires: soon}]}",
            "policies.waivers.0.expires",
            "such as 2027-01-31",
        ),
    ],
)
def test_a_slip_in_the_stack_file_is_one_error_with_its_place(tmp_path: Path, told: str, path: str, mend: str) -> None:
    file = tmp_path / "prod-web.yaml"
    file.write_text(STACK % told)
    with pytest.raises(StackErrors) as wrong:
        load_stack(file)
    (error,) = wrong.value.errors
    assert error.path == path and error.line == 4 and mend in str(error)


def test_the_command_lists_and_checks_a_preview(tmp_path: Path) -> None:
    run = CliRunner()
    listed = json.loads(run.invoke(app, ["policies", "--format", "json", "--severity", "critical", "--id", "aws-"]).stdout)
    assert {one["severity"] for one in listed["policies"]} == {"critical"} and len(listed["policies"]) > 5
    assert run.invoke(app, ["policies", "--id", "nonsense"]).exit_code == 2
    state = {"type": ACL, "urn": "urn:pulumi:dev::p::t::site", "inputs": {"acl": "public-read"}}
    file = tmp_path / "preview.json"
    file.write_text(json.dumps({"steps": [{"op": "create", "newState": state}, {"op": "delete", "oldState": state}]}))
    judged = run.invoke(app, ["policies", "check", str(file), "--format", "json"])
    assert judged.exit_code == 1
    assert [v["rule"] for v in json.loads(judged.stdout)["violations"]] == ["aws-bucket-acl-public"]
    file.write_text("[]")
    assert run.invoke(app, ["policies", "check", str(file)]).exit_code == 2


def test_only_the_pack_speaks_to_pulumi() -> None:
    loaded = "[m for m in sys.modules if m.split('.')[0].startswith('pulumi')]"
    code = f"import sys; from policies.accel_policies import judge; print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_changes_to_the_rules_are_noticed_by_their_fixtures() -> None:
    """A seeded share of what `python -m benchmarks.policy_mutation` makes of all."""
    from benchmarks.policy_mutation import recorded, score

    hits, made, holes = score(recorded(), sample=120, seed=8)
    assert made > 80
    assert hits / made >= 0.93, holes
