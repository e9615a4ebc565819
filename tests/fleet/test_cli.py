"""The command line: help that teaches, exit codes, and JSON that is one document and nothing else."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result as Ended
from typer.testing import CliRunner

import fleet.arguments
import fleet.stacks_cli
from fleet.cli import WORDS, app
from fleet.engine import Outcome
from fleet.operations import Result
from fleet.standing import Standing
from fleet.workspace import ROOT, Workspace
from fleet.workspace import STACKS as REAL_STACKS

CORPUS = ROOT / "tests" / "corpus" / "stacks"
OPTIONS = {
    "up": {"--stack", "--sandbox", "--format", "--expect-no-changes", "--parallel"},
    "preview": {"--stack", "--sandbox", "--format", "--expect-no-changes", "--parallel"},
    "destroy": {"--stack", "--sandbox", "--format", "--parallel"},
    "status": {"--stack", "--sandbox", "--format"},
    "check": {"--stack", "--format"},
    "quota": {"--stack", "--format"},
    "carbon": {"--stack", "--week", "--load", "--deadline", "--work", "--format"},
    "place": {"--cloud", "--region", "--spot", "--hours", "--max-usd", "--max-kg", "--together", "--explain", "--write"},
    "fit": {"--precision", "--tokens", "--train", "--rank", "--format"},
    "import-terraform": {"--out", "--fill", "--format"},
    "actual": {"--stack", "--prometheus", "--cluster", "--hours", "--format"},
    "latency": {"--accelerator", "--cloud", "--region", "--spot", "--offline", "--tries", "--timeout", "--format"},
    "report": {"--stack", "--base", "--base-dir", "--format", "--out", "--limits", "--max-increase", "--fail-on", "--from"},
    "doctor": {"--for", "--format"},
    "drift": {"--stack", "--sandbox", "--from", "--format"},
}

# Cannot do without a file or an address, too.
NEEDED = ("carbon", "actual")
OF_STACKS = [command for command in OPTIONS if "--stack" in OPTIONS[command] and command not in NEEDED]


def run(*words: str) -> Ended:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of stack files with two sound ones; reports and logs go beside it."""
    directory = tmp_path / "stacks"
    directory.mkdir()
    for name in ("aws-dev", "gcp-dev"):
        shutil.copy(REAL_STACKS / f"{name}.yaml", directory)
    monkeypatch.setattr(fleet.stacks_cli, "STACKS", directory)
    monkeypatch.setattr(fleet.arguments, "STACKS", directory)
    monkeypatch.setattr(fleet.stacks_cli, "OUT", tmp_path / "out")
    return directory


def broken(stacks: Path, *names: str) -> None:
    for name in names:
        shutil.copy(CORPUS / f"{name}.yaml", stacks)


@pytest.mark.parametrize("command", OPTIONS)
def test_help_of_a_command_names_every_option(command: str) -> None:
    done = run(command, "--help")
    assert done.exit_code == 0
    assert all(option in done.stdout for option in OPTIONS[command])


@pytest.mark.parametrize("command", OPTIONS)
def test_help_of_a_command_has_an_example(command: str) -> None:
    assert re.search(rf"Example: fleet {command} \S", run(command, "--help").stdout)


def test_without_a_word_there_is_help_with_every_command_and_an_example() -> None:
    done = run()
    assert "fleet up --sandbox --stack '*-dev'" in done.output
    assert all(command in done.output for command in OPTIONS)
    assert OPTIONS.keys() == {word for word, place in WORDS.items() if not place.endswith(":app")}
    assert run("--help").exit_code == 0


@pytest.mark.parametrize("command", OF_STACKS)
def test_an_unknown_stack_is_wrong_usage_and_says_which_there_are(command: str, stacks: Path) -> None:
    done = run(command, "--stack", "aws-dve")
    assert done.exit_code == 2
    assert "no stack matches aws-dve" in done.stderr
    assert "aws-dev, gcp-dev" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("words", ["up", "up --stack aws-dev --parallel 0", "check --format xml", "upp"])
def test_wrong_usage_is_code_2(words: str, stacks: Path) -> None:
    assert run(*words.split()).exit_code == 2


@pytest.mark.parametrize("command", [c for c in OF_STACKS if c != "status"])
def test_a_broken_file_fails_with_its_place_before_anything_starts(
    command: str, stacks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet.stacks_cli, "workspace_or_exit", lambda _: pytest.fail("asked for a workspace"))
    broken(stacks, "accelerator-unknown", "nodes-min-over-max")
    done = run(command, "--stack", "*")
    assert done.exit_code == 1
    for place in ("accelerator-unknown.yaml:15:", "nodes-min-over-max.yaml:"):
        assert f"{stacks}/{place}" in done.stderr
    assert "did you mean nvidia-l4" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", ["check", "up"])
def test_faults_as_json_are_one_document(command: str, stacks: Path) -> None:
    broken(stacks, "accelerator-unknown", "yaml-tab")
    done = run(command, "--stack", "*", "--format", "json")
    assert (done.exit_code, done.stderr) == (1, "")
    document = json.loads(done.stdout)
    assert document.keys() == {"version", "errors"}
    assert document["version"] == 1
    fields = {"file", "line", "column", "path", "message", "got", "allowed", "remedy"}
    assert all(error.keys() == fields for error in document["errors"])
    assert [(Path(e["file"]).stem, e["line"] > 0, bool(e["remedy"])) for e in document["errors"]] == [
        ("accelerator-unknown", True, True),
        ("yaml-tab", True, True),
    ]


def test_sound_files_are_said_to_be(stacks: Path) -> None:
    done = run("check")
    assert (done.exit_code, done.stdout) == (0, "all stack files are sound\n")


def test_sound_files_as_json_are_one_document_too(stacks: Path) -> None:
    done = run("check", "--format", "json")
    assert done.exit_code == 0
    assert json.loads(done.stdout) == {"version": 1, "errors": []}


@pytest.mark.parametrize("command", ["up", "preview", "destroy", "status"])
def test_without_the_engine_the_machine_lacks_something_and_says_how_to_mend_it(
    command: str, stacks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run(command, "--stack", "aws-dev")
    assert (done.exit_code, done.stdout) == (3, "")
    assert all(words in done.stderr for words in ("Pulumi CLI", "https://www.pulumi.com/docs/install/", "--sandbox"))


class Nowhere:
    def find(self, stack: str, wanted: object) -> list[str]:
        return []


@pytest.fixture
def results(stacks: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Result | None]:
    """What an operation comes to, without one; fill it in."""
    ends: dict[str, Result | None] = {}
    monkeypatch.setattr(fleet.stacks_cli, "workspace_or_exit", lambda _: Workspace(stacks, {}, Nowhere()))
    monkeypatch.setattr("fleet.operations.Operation.run", lambda _: ends)
    monkeypatch.setattr("fleet.standing.standing", lambda *_: Standing(absent=["aws-dev"]))
    return ends


def ended(code: int = 0, *errors: str, **more: Any) -> Result:
    return Result("aws-dev", Outcome(code, 1.25, {"create": 2}, list(errors)), **more)


ENDS = {"good": (ended(), 0), "failed": (ended(1, "x"), 1), "left": (ended(leftovers=["a disk"]), 1), "unstarted": (None, 1)}


@pytest.mark.parametrize(("end", "code"), ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("verb", ["up", "preview", "destroy"])
def test_an_operation_as_json_is_one_document(
    results: dict[str, Result | None], verb: str, end: Result | None, code: int
) -> None:
    results["aws-dev"] = end
    done = run(verb, "--stack", "aws-dev", "--format", "json")
    document = json.loads(done.stdout)
    assert done.exit_code == code
    stack = document.pop("stacks")["aws-dev"]
    assert document == {"version": 1, "verb": verb, "interrupted": False}
    assert (stack["stack"], stack["ok"]) == ("aws-dev", code == 0)
    if end:
        of_run = {"stack", "started", "ok", "seconds", "changes", "errors", "advice"}
        assert stack.keys() == of_run | {"recovered", "swept", "leftovers"}


def test_what_stands_as_json_is_one_document(results: dict[str, Result | None]) -> None:
    done = run("status", "--stack", "aws-dev", "--format", "json")
    assert done.exit_code == 0
    empty = {"pools": [], "waiting": [], "unreachable": {}, "commitments": []}
    assert json.loads(done.stdout) == {"version": 1, **empty, "absent": ["aws-dev"]}


def test_a_failure_is_told_with_the_log_that_has_all_of_it(results: dict[str, Result | None]) -> None:
    results["aws-dev"], results["gcp-dev"] = ended(1, "NodeGroup: no capacity"), None
    done = run("up", "--stack", "*")
    assert done.exit_code == 1
    assert "aws-dev: NodeGroup: no capacity" in done.stdout
    assert "aws-dev.up.log" in done.stdout.replace("\n", "")
    assert "gcp-dev: not started" in done.stdout


def test_pain_05_a_refusal_for_want_of_capacity_is_told_once_with_what_to_do(results: dict[str, Result | None]) -> None:
    refused = "Could not launch On-Demand Instances. InsufficientInstanceCapacity"
    results["aws-dev"] = ended(1, f"l4: {refused}", f"a100: {refused}")
    told = " ".join(run("up", "--stack", "aws-dev").stdout.split())
    assert told.count("name more zones in the pool") == 1
    document = json.loads(run("up", "--stack", "aws-dev", "--format", "json").stdout)
    (said,) = document["stacks"]["aws-dev"]["advice"]
    assert "docs/capacity.md" in said


@pytest.mark.parametrize("text", ["no scope [/subscriptions/1]", "must match [a-z]+", "[red] is no zone"])
def test_an_error_is_printed_as_the_cloud_wrote_it(results: dict[str, Result | None], text: str) -> None:
    results["aws-dev"] = ended(1, text)
    done = run("up", "--stack", "aws-dev")
    assert text in done.stdout
