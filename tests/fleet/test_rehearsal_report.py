"""`fleet report --rehearse`: what it refuses before it begins, what it says in every shape, and how it ends."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import Result as Ended
from typer.testing import CliRunner

import fleet.arguments
import fleet.rehearsal.cli
import fleet.rehearsal.run
import fleet.report.cli
import sandbox.up
from fleet.cli import app
from fleet.comment.body import GITHUB_LIMIT, Wanted, render
from fleet.engine import Outcome
from fleet.operations import Result
from fleet.rehearsal import stack
from fleet.rehearsal.run import Interrupted
from fleet.report import document
from fleet.report.model import Change, Disruption, Rehearsal, Stuck
from fleet.turn import Taken
from fleet.workspace import STACKS, EnvironmentLacksError

NO_ROOM = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
GROUP = "aws:eks/nodeGroup:NodeGroup"
FAILED = Rehearsal(
    errors=("chat: release models/chat: context deadline exceeded",),
    changes=(Change("replace", GROUP, "main-l4"), Change("update", GROUP, "main-inf2"), Change("create", GROUP, "main-new")),
    stuck=(
        Stuck("main/models/chat", 2, "main/l4", NO_ROOM),
        Stuck("main/models/old", 1, None, "ImagePullBackOff", before=True),
    ),
    disruptions=(
        Disruption("workload", "main/models/chat", had=1, least=0, went=1, seconds=4.5, back=False),
        Disruption("service", "main/models/chat", had=1, least=0, went=0, seconds=4.4, back=True),
    ),
    nodes_gone={"main/l4": 2},
    landed=("main/inf2",),
)
MILD = Rehearsal(changes=(Change("update", GROUP, "main-l4"),), landed=("main/l4",))
Rehearsed = Callable[[Rehearsal | Exception], None]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with a program and one stack file on its branch `main`."""
    root = tmp_path / "repository"
    (root / "stacks").mkdir(parents=True)
    (root / "__main__.py").write_text("")
    shutil.copy(STACKS / "aws-dev.yaml", root / "stacks")
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "all"]):
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)
    monkeypatch.setattr(fleet.arguments, "STACKS", root / "stacks")
    monkeypatch.setattr(fleet.report.cli, "STACKS", root / "stacks")
    monkeypatch.setattr(fleet.report.cli, "ROOT", root)
    return root


@pytest.fixture
def rehearsed(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rehearsed]:
    """Says what a rehearsal is to find; the base's program and stack must have been there for it."""
    calls = []

    def says(told: Rehearsal | Exception) -> None:
        def rehearse(before: Any, after: Any, base: Path, limits: Any, asked: Any, console: Any) -> dict[str, Rehearsal]:
            assert list(before) == list(after) == ["aws-dev"]
            assert (base / "__main__.py").exists()
            calls.append(asked)
            if isinstance(told, Exception):
                raise told
            return {"aws-dev": told}

        monkeypatch.setattr(fleet.rehearsal.cli, "rehearse", rehearse)

    yield says
    assert calls, "nothing was rehearsed"


def run(*words: str) -> Ended:
    asked = ["report", "--stack", "aws-dev", *words]
    return CliRunner().invoke(app, asked, env={"COLUMNS": "400", "NO_COLOR": "1", "TERM": "dumb"})


def rehearse(shape: str, *words: str) -> Ended:
    return run("--base", "main", "--rehearse", "--format", shape, *words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--rehearse",), "give --base, such as origin/main"),
        (("--rehearse", "--base-dir", "."), "give --base, such as origin/main"),
        (("--rehearse", "--from", "stacks/aws-dev.yaml"), "no program that can be run here"),
        (("--base", "main", "--keep"), "nothing is rehearsed: add --rehearse"),
        (("--base", "main", "--fail-on", "rehearsal"), "nothing is rehearsed: add --rehearse"),
        (("--rehearse", "--base", "nowhere"), "git knows no revision 'nowhere'"),
    ],
)
def test_wrong_usage_is_refused_before_anything_begins(
    repository: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    monkeypatch.chdir(repository)
    done = run(*words)
    assert done.exit_code == 2
    assert said in " ".join(done.output.replace("│", "").split())


def test_a_base_without_a_program_is_refused(repository: Path) -> None:
    subprocess.run(["git", "rm", "-q", "--cached", "__main__.py"], cwd=repository, check=True)
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, "commit", "-qm", "none"], cwd=repository, check=True)
    done = rehearse("text")
    assert done.exit_code == 2
    assert "main has no program (__main__.py) to start from" in done.output


def test_nothing_is_built_and_nothing_begun_where_programs_are_missing(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sandbox.up.toolchain, "find", lambda name: None if name in ("etcd", "helm") else Path(name))
    monkeypatch.setenv("ACCELFLEET_SANDBOX", str(tmp_path / "mine"))
    done = rehearse("text")
    assert done.exit_code == 3
    assert "which lacks etcd, helm: `python -m sandbox.toolchain etcd helm` makes them" in done.output
    assert list(tmp_path.iterdir()) == [repository]


@pytest.mark.parametrize(
    ("problem", "code", "said"),
    [
        (EnvironmentLacksError("no daemon"), 3, "no daemon"),
        (Taken("another run of rehearsal is under way"), 1, "another run of rehearsal is under way"),
        (Interrupted(), 130, "interrupted: nothing is reported"),
    ],
)
def test_what_keeps_it_from_its_end_has_a_code_of_its_own(
    rehearsed: Rehearsed, problem: Exception, code: int, said: str
) -> None:
    rehearsed(problem)
    done = rehearse("text")
    assert done.exit_code == code
    assert said in done.output


def test_the_terminal_says_all_that_went_wrong(rehearsed: Rehearsed) -> None:
    rehearsed(FAILED)
    done = rehearse("text", "--fail-on", "rehearsal")
    assert done.exit_code == 1
    shown = " ".join(done.stdout.split())
    assert "⚠️ the rehearsal failed" in shown
    for line in (
        "rehearsal failed: 1 made anew, 1 changed, 1 new, 2 nodes of main/l4 went, 2 disrupted, 1 not up",
        "chat: release models/chat: context deadline exceeded",
        f"main/models/chat: 2 pods do not come up: {NO_ROOM}",
        "main/models/old: a pod does not come up: ImagePullBackOff (nor did it before the change)",
        "workload main/models/chat: 0 of 1 ready, fewer than before for 4.5 s, 1 of its pods went; not back",
        "service main/models/chat: no endpoint for 4.4 s",
        f"Made anew: {GROUP} main-l4",
        f"rehearsed: does not: {NO_ROOM}",
        "main/inf2 unknown: quota unknown; zones us-east-1a, us-east-1b",
        "; rehearsed: schedules",
        "Rehearsed in the sandbox, where nodes and pods come in a second",
    ):
        assert line in shown, line
    assert "main-new" not in shown
    assert "the rehearsal of aws-dev failed (--fail-on rehearsal)" in done.stderr


def test_what_failed_only_fails_the_command_that_asks_for_it(rehearsed: Rehearsed) -> None:
    rehearsed(FAILED)
    assert rehearse("text").exit_code == 0
    done = rehearse("text", "--fail-on", "destructive")
    assert done.exit_code == 1
    assert "1 resources made anew or deleted in the rehearsal" in done.stderr


def test_a_mild_change_passes_every_gate_and_says_what_changed(rehearsed: Rehearsed) -> None:
    rehearsed(MILD)
    done = rehearse("text", "--fail-on", "rehearsal", "--fail-on", "destructive")
    assert done.exit_code == 0, done.output
    assert "rehearsal: 1 changed, nothing was disrupted, all is up" in done.stdout


def test_a_change_that_does_nothing_is_quiet(rehearsed: Rehearsed) -> None:
    rehearsed(Rehearsal(landed=("main/l4",)))
    assert rehearse("markdown").stdout == ""
    assert rehearse("text").stdout.startswith("aws-dev: nothing changes\n")


def test_a_base_that_does_not_come_up_is_said_and_fails(rehearsed: Rehearsed) -> None:
    rehearsed(Rehearsal(base_errors=("vpc: no such range",)))
    done = rehearse("text", "--fail-on", "rehearsal")
    assert done.exit_code == 1
    assert "the base does not come up in the sandbox, so the change was not run" in done.stdout
    assert "vpc: no such range" in done.stdout


def test_in_markdown_what_failed_or_is_made_anew_stands_before_all_that_is_folded(rehearsed: Rehearsed) -> None:
    rehearsed(FAILED)
    text = rehearse("markdown").stdout
    head, _, folded = text.partition("<details>")
    for seen in (NO_ROOM, "context deadline exceeded", "**Made anew: aws:eks/nodeGroup:NodeGroup** `main-l4`", "4.5 s"):
        assert seen in head, seen
    assert "main-new" in folded
    assert "main-new" not in head
    body = render(Wanted("default", "a" * 40, "Preview", {"aws-dev": text}), GITHUB_LIMIT)
    assert NO_ROOM in body.partition("<details>")[0]


def test_json_follows_the_schema_and_comes_back_the_same(rehearsed: Rehearsed) -> None:
    rehearsed(FAILED)
    text = rehearse("json").stdout
    jsonschema.validate(json.loads(text), json.loads(document.PATH.read_text()))
    (told,) = document.parse(text).stacks
    assert told.rehearsal == FAILED
    verdicts = {one.pool: (one.rehearsed, one.ready) for one in told.readiness}
    assert verdicts == {"main/l4": ("does not", False), "main/l4-spot": (None, None), "main/inf2": ("schedules", None)}


def test_code_scanning_has_each_failure_at_its_pool(rehearsed: Rehearsed, repository: Path) -> None:
    rehearsed(FAILED)
    (made,) = json.loads(rehearse("sarif").stdout)["runs"]
    told = [result for result in made["results"] if result["ruleId"] == "rehearsal-failed"]
    lines = (repository / "stacks" / "aws-dev.yaml").read_text().splitlines()
    places = [result["locations"][0]["physicalLocation"]["region"]["startLine"] for result in told]
    assert [result["level"] for result in told] == ["error", "error"]
    assert told[1]["message"]["text"] == f"main/models/chat: 2 pods do not come up: {NO_ROOM}"
    assert lines[places[1] - 1].strip() == "l4:"


def test_the_page_shows_it_and_lets_nobody_break_out(rehearsed: Rehearsed) -> None:
    rehearsed(Rehearsal(errors=("<script>alert(1)</script>",), stuck=FAILED.stuck, disruptions=FAILED.disruptions))
    page = rehearse("html").stdout
    assert "<h3>Rehearsal</h3>" in page
    assert "&lt;script&gt;alert(1)" in page
    assert NO_ROOM in page
    assert "<caption>Disrupted</caption>" in page


def step(op: str, name: str, **sides: Any) -> dict[str, Any]:
    urn = f"urn:pulumi:aws-dev::p::{GROUP}::{name}"
    return {"metadata": {"op": op, "urn": urn, "type": GROUP, **sides}}


def test_what_was_done_to_resources_is_told_and_what_was_only_begun_is_not() -> None:
    side = {"type": GROUP, "custom": True, "inputs": {"diskSize": 100}}
    grown = {**side, "inputs": {"diskSize": 200}}
    heard = [
        {"resourcePreEvent": step("create", "begun", new=side)},
        {"resOutputsEvent": step("same", "still", old=side, new=side)},
        {"resOutputsEvent": step("update", "larger", old=side, new=grown, detailedDiff={"diskSize": {}})},
        {"resOutputsEvent": step("create-replacement", "anew", old=side, new=side)},
        {"resOutputsEvent": step("replace", "anew", old=side, new=side)},
        {"resOutputsEvent": step("delete-replaced", "anew", old=side)},
        {"resOutputsEvent": step("delete", "gone", old=side)},
        {"diagnosticEvent": {"message": "hello"}},
    ]
    told = stack.changes(heard)
    assert [(one.kind, one.name) for one in told] == [("replace", "anew"), ("delete", "gone"), ("update", "larger")]
    assert [(field.field, field.before, field.after) for field in told[2].fields] == [("diskSize", "100", "200")]
    assert stack.changes(heard[:1]) == ()


def test_why_a_stack_did_not_come_up() -> None:
    assert stack.errors_of(None) == ("a stack that it depends on did not come up",)
    assert stack.errors_of(Result("a", Outcome(1, 0, errors=["no", "update failed"]))) == ("no",)
    assert stack.errors_of(Result("a", Outcome(1, 0, errors=["update failed"]))) == ("update failed",)
    assert stack.errors_of(Result("a", Outcome(0, 0, errors=["a word that changed nothing"]))) == ()
