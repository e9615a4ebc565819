"""The engine's events as a report: both sides of a change, what is destroyed, what policies said, and no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pulumi
import pytest
from click.testing import Result as Ended
from typer.testing import CliRunner

from fleet.cli import app
from fleet.inventory.file import read
from fleet.inventory.resource import Index, Program
from fleet.inventory.state import InventoryError, resources
from fleet.inventory.things import things
from fleet.load import load_stack
from fleet.report import document
from fleet.report.estimate import estimate
from fleet.report.model import Line
from fleet.report.priced import lines
from fleet.report.program import report
from fleet.workspace import STACKS
from infra.platform import deploy as deploy_platform
from infra.stack import Stack
from tests.mocked_engine import deploy

PROVIDER = "urn:pulumi:dev::shop::pulumi:providers:aws::default"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "hunter2"}


def side(type_: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
    urn = f"urn:pulumi:dev::shop::{type_}::{name}"
    return {"type": type_, "urn": urn, "custom": True, "id": f"{name}-id", "inputs": inputs, "provider": f"{PROVIDER}::0"}


def step(op: str, type_: str, name: str, old: Any = None, new: Any = None, diff: tuple[str, ...] = ()) -> dict[str, Any]:
    made = {
        "op": op,
        "urn": f"urn:pulumi:dev::shop::{type_}::{name}",
        "type": type_,
        "old": None if old is None else side(type_, name, old),
        "new": None if new is None else side(type_, name, new),
        "detailedDiff": {path: {"diffKind": "update", "inputDiff": True} for path in diff} or None,
    }
    return {"sequence": 1, "timestamp": 1, "resourcePreEvent": {"metadata": made, "planning": True}}


INSTANCE, NAT, BUCKET = "aws:ec2/instance:Instance", "aws:ec2/natGateway:NatGateway", "aws:s3/bucket:Bucket"
SMALL, LARGE = {"instanceType": "g6.xlarge"}, {"instanceType": "p5.48xlarge"}
EVENTS: list[dict[str, Any]] = [
    {"sequence": 0, "timestamp": 1, "preludeEvent": {"config": {}}},
    step("same", "pulumi:providers:aws", "default", {"region": "us-east-1"}, {"region": "us-east-1"}),
    step("same", "pulumi:pulumi:Stack", "shop-dev", {}, {}),
    step("same", NAT, "nat", {}, {}),
    step("update", INSTANCE, "web", {**SMALL, "tags": {"a": "1"}}, {**SMALL, "tags": {"a": "2"}}, ("tags.a",)),
    step("create-replacement", INSTANCE, "gpu", SMALL, LARGE, ("instanceType",)),
    step("replace", INSTANCE, "gpu", SMALL, LARGE, ("instanceType",)),
    step("delete-replaced", INSTANCE, "gpu", SMALL),
    step("create", INSTANCE, "more", None, {**SMALL, "userData": SECRET}),
    step("update", "aws:ssm/parameter:Parameter", "key", {"value": SECRET}, {"value": {**SECRET, "value": "x"}}, ("value",)),
    step("delete", BUCKET, "weights", {"bucket": "weights"}),
    {"sequence": 8, "timestamp": 1, "diagnosticEvent": {"severity": "info", "message": "hello"}},
    {
        "sequence": 9,
        "timestamp": 1,
        "policyEvent": {
            "resourceUrn": f"urn:pulumi:dev::shop::{INSTANCE}::more",
            "message": "<{%reset%}>tag your\nmachines<{%reset%}>",
            "policyName": "tagged",
            "policyPackName": "house",
            "enforcementLevel": "mandatory",
        },
    },
    {"sequence": 10, "timestamp": 1, "summaryEvent": {"resourceChanges": {"same": 3}, "policyPacks": {"house": "1"}}},
]
# The Stack is a component.
EVENTS[2]["resourcePreEvent"]["metadata"]["old"]["custom"] = EVENTS[2]["resourcePreEvent"]["metadata"]["new"]["custom"] = False


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """An event log as `pulumi preview --event-log` leaves it."""
    file = tmp_path / "events.json"
    file.write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    return file


def run(*words: str) -> Ended:
    return CliRunner().invoke(app, ["report", *words], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})


def test_fields_are_found_by_the_engines_paths_and_what_is_secret_stays_so_however_deep(tmp_path: Path) -> None:
    """https://www.pulumi.com/docs/iac/concepts/miscellaneous/property-paths/."""

    def inputs(value: str) -> dict[str, Any]:
        deep = {"rules": [{"port": "1"}, {"port": value}]}
        return {"labels": {"team.io/pool": value, 'odd"key': value}, **deep, "login": {**SECRET, "value": {"value": value}}}

    paths = ('labels["team.io/pool"]', 'labels["odd\\"key"]', "rules[1].port", "rules[7].port", "login.value")
    file = tmp_path / "events.json"
    changed = step("update", INSTANCE, "web", inputs("old"), inputs("new"), paths)
    file.write_text(json.dumps(changed) + "\n")
    (only,) = read(file).steps
    hidden = "known after `up`, or secret"
    shown = [("old", "new"), ("old", "new"), ("old", "new"), (None, None), (hidden, hidden)]
    assert [(before, after) for _, before, after in only.fields] == shown


def test_both_sides_and_what_happens_are_in_the_events(log: Path) -> None:
    found = read(log)
    assert found.name == "dev"
    assert found.before is not None
    assert [one.name for one in found.before] == ["nat", "web", "gpu", "key", "weights"]
    assert [one.name for one in found.after] == ["nat", "web", "gpu", "more", "key"]
    assert [(one.op, one.resource.name, one.fields) for one in found.steps] == [
        ("update", "web", (("tags.a", "1", "2"),)),
        ("replace", "gpu", (("instanceType", "g6.xlarge", "p5.48xlarge"),)),
        ("create", "more", ()),
        ("update", "key", (("value", "known after `up`, or secret", "known after `up`, or secret"),)),
        ("delete", "weights", ()),
    ]


def test_what_a_change_costs_is_after_less_before_to_the_cent(log: Path) -> None:
    (stack,) = report(read(log), "what stands", {}).stacks
    # NAT 0.045, web and gpu 0.8048 each, x 730; then NAT, web and more, and p5.48xlarge at 55.04.
    assert stack.before is not None
    assert stack.after is not None
    assert f"{stack.before.usd.expected:.2f}" == "1207.85"
    assert f"{stack.after.usd.expected:.2f}" == "41387.05"
    assert f"{stack.usd_change.expected:.2f}" == "40179.20"
    assert [(c.kind, c.name, c.why) for c in stack.changes if c.destructive] == [
        ("replace", "gpu", ""),
        ("delete", "weights", "its objects go with it"),
    ]
    assert stack.changes[0].destructive, "what destroys comes first"
    assert [(f.policy, f.level, f.resource, f.message) for f in stack.policy.findings if f.policy.startswith("house/")] == [
        ("house/tagged", "mandatory", "more", "tag your machines")
    ]


@pytest.mark.parametrize("shape", ["text", "markdown", "json", "html", "sarif"])
def test_every_shape_tells_what_is_destroyed_and_no_secret(shape: str, log: Path) -> None:
    done = run("--from", str(log), "--format", shape)
    assert done.exit_code == 0, done.output
    assert "hunter2" not in done.stdout
    assert "weights" in done.stdout
    assert "tag your machines" in done.stdout
    if shape == "json":
        jsonschema.validate(json.loads(done.stdout), json.loads(document.PATH.read_text()))
    if shape == "markdown":
        assert done.stdout.index("weights") < done.stdout.index("<details>")
        assert done.stdout.index("tag your machines") < done.stdout.index("<details>")
        assert "Told from the engine's events" in done.stdout


def test_gates_hold_for_programs_too(log: Path, tmp_path: Path) -> None:
    assert run("--from", str(log), "--max-increase", "40180").exit_code == 0
    assert run("--from", str(log), "--max-increase", "40179").exit_code == 1
    assert run("--from", str(log), "--fail-on", "destructive").exit_code == 1
    state = tmp_path / "state.json"
    state.write_text(json.dumps({"version": 3, "deployment": {"resources": [side(NAT, "nat", {})]}}))
    done = run("--from", str(state), "--fail-on", "destructive")
    assert (done.exit_code, "this gate compares" in done.output) == (2, True)


def test_two_states_are_compared_by_urn(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    provider = {**side("pulumi:providers:aws", "default", {"region": "us-east-1"}), "urn": PROVIDER}
    before = [provider, side(NAT, "nat", {}), side(INSTANCE, "web", SMALL), side(BUCKET, "weights", {})]
    after = [provider, side(NAT, "nat", {}), {**side(INSTANCE, "web", LARGE), "id": "i-2"}, side(NAT, "second", {})]
    for file, rows in ((old, before), (new, after)):
        file.write_text(json.dumps({"version": 3, "deployment": {"resources": rows}}))
    done = run("--from", str(new), "--base-from", str(old), "--format", "json")
    assert done.exit_code == 0, done.output
    (stack,) = json.loads(done.stdout)["stacks"]
    assert [(change["kind"], change["name"]) for change in stack["changes"]] == [
        ("replace", "web"),
        ("delete", "weights"),
        ("create", "second"),
    ]
    # (55.04 - 0.8048) x 730 and 0.045 x 730
    assert stack["usd_change"]["expected"] == "39624.55"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give --stack for stack files, or --from"),
        (("--stack", "aws-dev", "--stack", "gcp-dev", "--from", "{log}"), "with it --stack is the one"),
        (("--program", "--from", "{log}"), "--from is a program already"),
        (("--from", "{log}", "--base", "main"), "--base-from with --from"),
        (("--stack", "aws-dev", "--base-from", "{log}"), "--base-from with --from"),
        (("--from", "{log}", "--base-from", "{log}"), "events tell both sides"),
        (("--from", "{own}"), "neither a state"),
    ],
)
def test_wrong_usage_ends_with_2_and_the_reason(words: tuple[str, ...], said: str, log: Path) -> None:
    done = run(*(word.format(log=log, own=__file__) for word in words))
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize("wrapped", [False, True])
def test_the_services_document_and_a_torn_log_are_read(wrapped: bool, tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    text = "\n".join(json.dumps(event) for event in EVENTS)
    file.write_text(json.dumps({"events": EVENTS}) if wrapped else text[:-20])
    assert len(read(file).steps) == 5


def test_a_log_without_a_resource_is_none(tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    file.write_text(json.dumps(EVENTS[0]) + "\n" + json.dumps(EVENTS[-1]))
    with pytest.raises(InventoryError, match="names no resource"):
        read(file)


# Our own program, read as if it were a stranger's


def program_of(stack: str) -> Program:
    spec = load_stack(STACKS / f"{stack}.yaml")
    pulumi.runtime.set_all_config({"gcp:project": "demo"})
    made = deploy(lambda: deploy_platform(Stack(stack, spec)) and None, stack=stack)
    rows = [
        {
            "urn": one.urn,
            "type": one.type,
            "custom": one.custom,
            "id": f"{one.name}-id",
            "inputs": one.inputs,
            "outputs": one.outputs,
            "provider": one.provider,
        }
        for one in made.resources
    ]
    return Program(stack, "a program", resources(rows))


def summed(found: list[Line], *kinds: str) -> tuple[str, int]:
    chosen = [line for line in found if line.kind in kinds]
    return f"{sum(line.usd.floor or 0 for line in chosen):.2f}", len(chosen)


@pytest.mark.parametrize("stack", ["aws-dev", "gcp-dev", "azure-dev"])
def test_a_stack_file_and_the_program_that_it_makes_cost_the_same(stack: str) -> None:
    program = list(lines(things(Index(program_of(stack).after))))
    file = estimate(stack, load_stack(STACKS / f"{stack}.yaml")).lines
    for kinds in (("control-plane",), ("nat",), ("machines", "system"), ("disk",)):
        floor, _ = summed(program, *kinds)
        assert floor == summed(list(file), *kinds)[0], kinds
    # Pools: of one that has a rung to fall back on the program has two.
    floors = {one: summed(list(side), "pool")[0] for one, side in (("program", program), ("file", file))}
    assert floors["program"] == floors["file"]
    assert {line.accelerator for line in program if line.accelerator} == {line.accelerator for line in file if line.accelerator}
    unread = [line.what for line in program if line.kind == "service"]
    assert unread == [], "every type of our own program is known"
