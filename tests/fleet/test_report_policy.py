"""What policies say of a program, in every shape of the report: of a state, of events, and of a stack file's own program."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import fleet.arguments
import fleet.report.cli
from fleet.cli import app
from fleet.confined import inside
from fleet.load import load_stack
from fleet.report import policy, recorded
from fleet.report.model import Finding
from fleet.workspace import ROOT, STACKS

RULE = "aws-eks-api-open"
URN = "urn:pulumi:dev::shop::accelfleet:aws:EksCluster$aws:eks/cluster:Cluster::main-cluster"
PARENT = "urn:pulumi:dev::shop::accelfleet:aws:EksCluster::main"
CLUSTER = {
    "urn": URN,
    "type": "aws:eks/cluster:Cluster",
    "custom": True,
    "parent": PARENT,
    "dependencies": [],
    "inputs": {"vpcConfig": {"endpointPublicAccess": True, "publicAccessCidrs": ["0.0.0.0/0"]}, "roleArn": "[secret]"},
}
COMPONENT = {"urn": PARENT, "type": "accelfleet:aws:EksCluster", "custom": False, "parent": "", "inputs": {}}
SHAPES = ("text", "markdown", "json", "html", "sarif")


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["report", *words], env={"COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"})


@pytest.fixture
def state(tmp_path: Path) -> Path:
    file = tmp_path / "state.json"
    file.write_text(json.dumps({"version": 3, "deployment": {"resources": [COMPONENT, CLUSTER]}}))
    return file


@pytest.fixture
def waived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of stacks with one that waives the rule."""
    ends = (datetime.now(UTC) + timedelta(days=60)).date()
    text = (STACKS / "aws-dev.yaml").read_text()
    assert "\npolicies:" not in text
    waiver = f"{{rule: {RULE}, resource: main-*, reason: a workshop of one week, expires: {ends}}}"
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "aws-dev.yaml").write_text(f"{text}\npolicies:\n  waivers:\n    - {waiver}\n")
    for module in (fleet.arguments, fleet.report.cli):
        monkeypatch.setattr(module, "STACKS", tmp_path / "stacks")
    return tmp_path / "stacks"


def findings(done: Result) -> list[Finding]:
    (stack,) = json.loads(done.stdout)["stacks"]
    assert stack["policy"]["evaluated"]
    return [Finding(**one) for one in stack["policy"]["findings"]]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_names_rule_severity_resource_and_remedy(shape: str, state: Path) -> None:
    done = run("--from", str(state), "--format", shape)
    assert done.exit_code == 0, done.output
    for said in (RULE, "critical", "main-cluster", "publicAccessCidrs"):
        assert said in done.stdout, said
    (one,) = [one for one in findings(run("--from", str(state), "--format", "json")) if one.policy == RULE]
    assert (one.level, one.severity, one.resource, one.waived) == ("mandatory", "critical", "main-cluster", None)
    assert one.mend
    assert one.mend in " ".join(done.stdout.split())
    assert one.mend not in one.message


def test_in_a_comment_what_refuses_is_outside_of_what_is_folded(state: Path) -> None:
    said = run("--from", str(state), "--format", "markdown").stdout
    assert said.index(RULE) < said.index("<details>")
    assert "mandatory polic" in said.splitlines()[0]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_waiver_of_the_stack_file_is_shown_with_its_reason_and_end(shape: str, state: Path, waived: Path) -> None:
    done = run("--from", str(state), "--stack", "aws-dev", "--format", shape, "--fail-on", "policy")
    (one,) = [
        one for one in findings(run("--from", str(state), "--stack", "aws-dev", "--format", "json")) if one.policy == RULE
    ]
    assert one.waived
    assert "a workshop of one week (until 20" in " ".join(done.stdout.split())
    assert "main-cluster" in done.stdout
    if shape == "sarif":
        (result,) = [one for one in json.loads(done.stdout)["runs"][0]["results"] if one["ruleId"] == f"policy/{RULE}"]
        assert result["suppressions"][0]["justification"].startswith("a workshop of one week")


def test_a_gate_fails_by_what_is_mandatory_and_not_by_what_is_waived(state: Path, waived: Path) -> None:
    failed = run("--from", str(state), "--fail-on", "policy")
    assert failed.exit_code == 1
    assert f"{RULE} by main-cluster" in failed.output
    passed = run("--from", str(state), "--stack", "aws-dev", "--fail-on", "policy")
    assert RULE not in passed.stderr
    assert run("--stack", "aws-dev", "--fail-on", "policy").exit_code == 2


def test_code_scanning_has_a_rule_for_each_policy(state: Path) -> None:
    (log,) = json.loads(run("--from", str(state), "--format", "sarif").stdout)["runs"]
    rules = {rule["id"]: rule for rule in log["tool"]["driver"]["rules"]}
    assert rules[f"policy/{RULE}"]["help"]["text"].startswith("Mend: ")
    assert {one["ruleId"] for one in log["results"]} <= set(rules)
    (result,) = [one for one in log["results"] if one["ruleId"] == f"policy/{RULE}"]
    assert result["level"] == "error"


def event(pack: str | None) -> list[dict[str, Any]]:
    step = {"op": "create", "urn": URN, "type": CLUSTER["type"], "new": CLUSTER, "old": None}
    said = {"policyPackName": pack, "policyName": RULE, "enforcementLevel": "mandatory", "resourceUrn": URN, "message": "open"}
    return [{"sequence": 1, "resourcePreEvent": {"metadata": step}}, *([{"sequence": 2, "policyEvent": said}] if pack else [])]


@pytest.mark.parametrize(
    ("pack", "seen"), [(None, [RULE]), ("accelfleet", [f"accelfleet/{RULE}"]), ("house", [f"house/{RULE}", RULE])]
)
def test_what_the_engine_asked_our_pack_is_not_asked_again(pack: str | None, seen: list[str], tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    file.write_text("\n".join(json.dumps(one) for one in event(pack)))
    found = [one.policy for one in findings(run("--from", str(file), "--format", "json"))]
    assert [one for one in found if RULE in one] == seen


def test_a_terraform_state_is_judged_by_nobody() -> None:
    done = run("--from", str(Path(__file__).parent / "sample.tfstate"))
    assert "policy: not evaluated" in done.stdout


@pytest.mark.parametrize("name", ["aws-dev", "gcp-dev", "azure-dev"])
def test_a_stack_files_program_is_run_with_no_cloud_and_judged(name: str) -> None:
    done = run("--stack", name, "--program", "--format", "json")
    assert done.exit_code == 0, done.output
    (stack,) = json.loads(done.stdout)["stacks"]
    assert stack["policy"]["evaluated"]
    assert [one for one in stack["policy"]["findings"] if not one["waived"]] == []
    nodes = {one["urn"]: one for one in stack["graph"]}
    assert len(nodes) > 50
    assert {one["parent"] for one in nodes.values()} - {""} <= set(nodes)
    assert any(one["needs"] for one in nodes.values())


def test_a_rule_that_the_program_breaks_is_found_before_any_engine_runs(waived: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "registrations", lambda *_: [COMPONENT, CLUSTER])
    done = run("--stack", "aws-dev", "--program", "--format", "json")
    (one,) = [one for one in findings(done) if one.policy == RULE]
    assert one.waived


def test_where_the_kernel_cannot_confine_a_program_the_command_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "registrations", lambda *_: [COMPONENT, CLUSTER])
    monkeypatch.setattr(inside, "lacks", lambda: ["read and write files", "open sockets"])
    said = run("--stack", "aws-dev", "--program").stderr
    assert "cannot keep these programs from it: read and write files, open sockets (docs/threat-model.md)" in said
    monkeypatch.setattr(inside, "lacks", list)
    assert run("--stack", "aws-dev", "--program").stderr == ""


def test_a_program_that_does_not_run_says_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text("environment: nowhere\n")
    with pytest.raises(recorded.ProgramError, match="wrong: its program did not run with no cloud behind it: "):
        recorded.registrations(tmp_path / "wrong.yaml", recorded.ROOT)


def test_values_that_the_engine_hides_are_unknown_and_never_judged() -> None:
    hidden = {**CLUSTER, "inputs": {"vpcConfig": {"endpointPublicAccess": True, "publicAccessCidrs": "[secret]"}}}
    judged = policy.judged([hidden], load_stack(STACKS / "aws-dev.yaml"))
    assert RULE not in [one.policy for one in judged.findings]
    assert judged.undecided


SOFT = "aws-eks-logs"
SHUT = {**CLUSTER, "inputs": {"vpcConfig": {"endpointPublicAccess": True, "publicAccessCidrs": ["203.0.113.0/24"]}}}


def states(tmp_path: Path, before: list[dict[str, Any]], after: list[dict[str, Any]]) -> tuple[str, ...]:
    for name, rows in (("before", before), ("after", after)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"version": 3, "deployment": {"resources": rows}}))
    return "--from", str(tmp_path / "after.json"), "--base-from", str(tmp_path / "before.json")


def told(done: Result) -> dict[str, Any]:
    (stack,) = json.loads(done.stdout)["stacks"]
    return dict(stack["policy"])


def of(rule: str, some: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in some if one["policy"] == rule]


def test_a_change_tells_what_it_brings_what_it_mends_and_counts_the_rest(tmp_path: Path) -> None:
    brought = states(tmp_path, [COMPONENT, SHUT], [COMPONENT, CLUSTER])
    said = told(run(*brought, "--format", "json"))
    assert said["compared"]
    assert [one["before"] for one in of(RULE, said["findings"])] == [False]
    assert [one["before"] for one in of(SOFT, said["findings"])] == [True]
    text, comment = (run(*brought, "--format", shape).stdout for shape in ("text", "markdown"))
    for shown in (text, comment):
        assert RULE in shown
        assert SOFT not in shown
        assert "1 new violation (1 mandatory)" in shown
        assert "as before" in shown
    assert comment.index(RULE) < comment.index("<details>")
    assert SOFT in run(*brought, "--all").stdout
    assert SOFT in run(*brought, "--format", "markdown", "--all").stdout
    assert run(*brought, "--fail-on", "policy").exit_code == 1

    mended = states(tmp_path, [COMPONENT, CLUSTER], [COMPONENT, SHUT])
    said = told(run(*mended, "--format", "json"))
    assert of(RULE, said["mended"])
    assert not of(RULE, said["findings"])
    for shape in ("text", "markdown"):
        shown = run(*mended, "--format", shape).stdout
        assert "1 mended" in shown
        assert RULE in shown
        assert "new violation" not in shown


def test_what_was_there_before_closes_no_gate_but_with_all(tmp_path: Path) -> None:
    same = states(tmp_path, [COMPONENT, CLUSTER], [COMPONENT, CLUSTER])
    assert run(*same, "--fail-on", "policy").exit_code == 0
    assert "nothing changes; policy: " in run(*same).stdout
    assert run(*same, "--format", "markdown").stdout == ""
    refused = run(*same, "--fail-on", "policy", "--all")
    assert refused.exit_code == 1
    assert RULE in refused.stdout
    # With nothing to compare with, everything is the change's.
    assert run(*same[:2], "--fail-on", "policy").exit_code == 1


def test_code_scanning_has_the_state_of_every_result_beside_the_base(tmp_path: Path) -> None:
    def results(*words: str) -> list[dict[str, Any]]:
        return list(json.loads(run(*words, "--format", "sarif").stdout)["runs"][0]["results"])

    def state(some: list[dict[str, Any]], rule: str) -> set[str]:
        return {one["baselineState"] for one in some if one["ruleId"] == f"policy/{rule}"}

    brought = results(*states(tmp_path, [COMPONENT, SHUT], [COMPONENT, CLUSTER]))
    assert (state(brought, RULE), state(brought, SOFT)) == ({"new"}, {"unchanged"})
    assert all("baselineState" in one for one in brought)
    gone = results(*states(tmp_path, [COMPONENT, CLUSTER], [COMPONENT, SHUT]))
    (absent,) = [one for one in gone if one["ruleId"] == f"policy/{RULE}"]
    assert (absent["baselineState"], absent["kind"], absent["level"]) == ("absent", "pass", "none")
    alone = results(*states(tmp_path, [COMPONENT, CLUSTER], [COMPONENT, CLUSTER])[:2])
    assert not any("baselineState" in one for one in alone)


def test_what_nobody_can_judge_any_more_is_not_mended(tmp_path: Path) -> None:
    hidden = {**CLUSTER, "inputs": {"vpcConfig": {"endpointPublicAccess": True, "publicAccessCidrs": "[unknown]"}}}
    there = told(run(*states(tmp_path, [CLUSTER], [hidden]), "--format", "json"))
    assert not of(RULE, there["mended"])
    back = told(run(*states(tmp_path, [hidden], [CLUSTER]), "--format", "json"))
    assert [one["before"] for one in of(RULE, back["findings"])] == [None]


def test_the_same_rule_broken_in_another_way_is_new(tmp_path: Path) -> None:
    by_ipv6 = {**CLUSTER, "inputs": {"vpcConfig": {"endpointPublicAccess": True, "publicAccessCidrs": ["::/0"]}}}
    said = told(run(*states(tmp_path, [CLUSTER], [by_ipv6]), "--format", "json"))
    assert [one["before"] for one in of(RULE, said["findings"])] == [False]
    assert len(of(RULE, said["mended"])) == 1


@pytest.mark.parametrize(("pack", "before"), [("accelfleet", [True]), ("house", [None, True])])
def test_of_events_our_packs_words_are_held_against_what_stands(pack: str, before: list[bool | None], tmp_path: Path) -> None:
    found = policy.judged([CLUSTER], None).findings
    (own,) = [one for one in found if one.policy == RULE]
    steps = event(pack)
    steps[0]["resourcePreEvent"]["metadata"] |= {"op": "same", "old": CLUSTER}
    steps[1]["policyEvent"]["message"] = f"main-cluster: {own.message} Mend: {own.mend}."
    (tmp_path / "events.json").write_text("\n".join(json.dumps(one) for one in steps))
    said = told(run("--from", str(tmp_path / "events.json"), "--format", "json"))
    assert [one["before"] for one in said["findings"] if RULE in one["policy"]] == before
    assert not of(RULE, said["mended"])


def test_a_stack_files_base_is_run_by_its_own_program(waived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "aws-dev.yaml").write_text((STACKS / "aws-dev.yaml").read_text())
    (waived / "aws-dev.yaml").write_text((STACKS / "aws-dev.yaml").read_text())
    ran: list[tuple[Path, Path]] = []

    def program(file: Path, root: Path = ROOT) -> list[dict[str, Any]]:
        ran.append((file, root))
        if file.parent == base and broken:
            raise recorded.ProgramError("aws-dev: its program <b>broke</b>")
        return [COMPONENT, CLUSTER if file.parent == waived else SHUT]

    broken = False
    monkeypatch.setattr(recorded, "registrations", program)
    words = ("--stack", "aws-dev", "--base-dir", str(base), "--program")
    assert [one["before"] for one in of(RULE, told(run(*words, "--format", "json"))["findings"])] == [False]
    assert ran == [(waived / "aws-dev.yaml", ROOT), (base / "aws-dev.yaml", ROOT)]
    broken = True
    said = told(run(*words, "--format", "json"))
    assert (said["compared"], said["not_compared"]) == (False, "aws-dev: its program <b>broke</b>")
    assert "`aws-dev: its program <b>broke</b>`" in run(*words, "--format", "markdown").stdout
    # Whatever nobody compared counts.
    assert run(*words, "--fail-on", "policy").exit_code == 1
    broken = False
    (base / "aws-dev.yaml").unlink()
    assert [one["before"] for one in of(RULE, told(run(*words, "--format", "json"))["findings"])] == [False]
