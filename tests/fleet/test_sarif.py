"""The report for code scanning: a result for what must be seen, at its line of the stack file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import fleet.arguments
import fleet.report.cli
from fleet.cli import app
from fleet.workspace import STACKS


@pytest.fixture
def stacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with one stack file, as the working directory of the command, and a copy of it beside."""
    for name in ("stacks", "before"):
        (tmp_path / name).mkdir()
        shutil.copy(STACKS / "aws-dev.yaml", tmp_path / name)
    monkeypatch.setattr(fleet.arguments, "STACKS", tmp_path / "stacks")
    monkeypatch.setattr(fleet.report.cli, "STACKS", tmp_path / "stacks")
    monkeypatch.setattr(fleet.report.cli, "ROOT", tmp_path)
    return tmp_path / "stacks"


def results(*words: str) -> tuple[int, list[dict[str, Any]]]:
    done = CliRunner().invoke(app, ["report", *words, "--format", "sarif"])
    (run,) = json.loads(done.stdout)["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert all(rules[one["ruleIndex"]] == one["ruleId"] for one in run["results"])
    return done.exit_code, run["results"]


def place(result: dict[str, Any]) -> tuple[str, int]:
    (location,) = result["locations"]
    physical = location["physicalLocation"]
    return physical["artifactLocation"]["uri"], physical["region"]["startLine"]


def line(file: Path, text: str) -> int:
    return next(number for number, one in enumerate(file.read_text().splitlines(), 1) if text in one)


def test_a_sound_stack_without_a_change_has_no_result(stacks: Path) -> None:
    assert results("--stack", "aws-dev") == (0, [])


def test_what_is_made_anew_is_at_its_pool_and_what_is_gone_at_its_cluster(stacks: Path) -> None:
    file = stacks / "aws-dev.yaml"
    nodes = "\n        nodes: {min: 0, max: 3}"
    text = file.read_text().replace(f"accelerator: nvidia-l4{nodes}", f"accelerator: nvidia-t4{nodes}")
    start, end = text.index("      inf2:"), text.index("    stores:")
    models = text.index("      rerank:")
    file.write_text(text[:start] + text[end:models])
    code, found = results("--stack", "aws-dev", "--base-dir", str(stacks.parent / "before"))
    assert code == 0
    told = [(one["message"]["text"].split(" (")[0], *place(one)) for one in found if one["ruleId"] == "destructive-change"]
    assert ("Made anew: pool main/l4", "stacks/aws-dev.yaml", line(file, "      l4:")) in told
    assert ("Deleted: pool main/inf2", "stacks/aws-dev.yaml", line(file, "    pools:")) in told


def test_a_quota_that_is_too_small_is_an_error(stacks: Path) -> None:
    row = {"cloud": "aws", "region": "us-east-1", "quota": "L-DB2E81BA", "limit": 20, "as_of": "2026-11-01"}
    (stacks.parent / "quotas.yaml").write_text(yaml.safe_dump([row]))
    (found,) = results("--stack", "aws-dev")[1]
    assert (found["ruleId"], found["level"]) == ("quota-too-small", "error")
    assert "short by 8" in found["message"]["text"]


def test_faults_of_the_file_are_results_with_their_lines(stacks: Path) -> None:
    file = stacks / "aws-dev.yaml"
    file.write_text(file.read_text().replace("accelerator: inferentia2", "accelerator: inferentia9"))
    code, (found,) = results("--stack", "aws-dev")
    assert code == 1
    assert (found["ruleId"], found["level"]) == ("stack-file", "error")
    assert place(found)[1] == line(file, "inferentia9")


def test_what_has_no_price_is_a_note(stacks: Path) -> None:
    file = stacks / "aws-dev.yaml"
    file.write_text(file.read_text().replace("region: us-east-1", "region: ap-northeast-1"))
    found = results("--stack", "aws-dev")[1]
    assert {(one["ruleId"], one["level"]) for one in found} == {("price-unknown", "note")}
    assert any("no price of NAT in ap-northeast-1" in one["message"]["text"] for one in found)
