"""`fleet doctor`: what is missing for which command, and what to do."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import fleet.doctor
from fleet.cli import app
from fleet.doctor import COMMANDS, Machine, checks

ALL = ("git", "pulumi", "kubectl", "aws", "gcloud", "az", "kubelogin", "gke-gcloud-auth-plugin")


def machine(*programs: str, **env: str) -> Machine:
    there = {name: f"/usr/bin/{name}" for name in programs}
    return Machine(env, there.get, (3, 12), 16, 100, Path("/"))


WHOLE = machine(*ALL, PULUMI_BACKEND_URL="file:///x", GITHUB_TOKEN="x", GITLAB_TOKEN="x")


def missing(here: Machine, *clouds: str) -> dict[str, set[str]]:
    """By what is missing, the commands that lack it."""
    return {one.name: set(one.commands) for one in checks(here, clouds) if not one.ok}


def test_a_whole_machine_lacks_nothing() -> None:
    assert missing(WHOLE, "aws", "gcp", "azure", "existing") == {}


def test_an_empty_machine_can_still_check_and_place() -> None:
    lacks = missing(machine(), "aws")
    assert {name for commands in lacks.values() for name in commands}.isdisjoint({"check", "place", "quota"})
    assert lacks["git"] == {"report"}
    assert lacks["pulumi"] == {"preview", "up", "destroy", "status", "drift"}
    assert lacks["aws"] == lacks["pulumi"]
    assert lacks["GITHUB_TOKEN"] == {"comment github"}


def test_a_clouds_programs_are_wanted_where_a_stack_is_on_it_alone() -> None:
    assert not {"gcloud", "az"} & set(missing(machine(), "aws"))
    assert {"gcloud", "gke-gcloud-auth-plugin"} <= set(missing(machine(), "gcp"))


@pytest.mark.parametrize(
    ("changed", "lacks"), [({"python": (3, 10)}, "Python"), ({"memory_gib": 2}, "memory"), ({"disk_gib": 5}, "disk")]
)
def test_a_small_or_old_machine_is_told_so(changed: dict[str, object], lacks: str) -> None:
    (found,) = [one for one in checks(replace(WHOLE, **changed), ()) if not one.ok]  # type: ignore[arg-type]
    assert found.name == lacks
    assert found.remedy


def test_a_login_counts_as_a_backend(tmp_path: Path) -> None:
    assert "a state backend" in missing(machine(HOME=str(tmp_path)))
    (tmp_path / ".pulumi").mkdir()
    (tmp_path / ".pulumi" / "credentials.json").write_text("{}")
    assert "a state backend" not in missing(machine(HOME=str(tmp_path)))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 3, "fleet up: lacks pulumi, a state backend, aws"),
        (("--for", "place"), 0, "fleet place: ready"),
        (("--for", "up"), 3, "missing  pulumi: https://www.pulumi.com/docs/install/"),
        (("--for", "dance"), 2, "is none of"),
    ],
)
def test_the_command_says_so_and_ends_by_it(
    words: tuple[str, ...], code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet.doctor, "this_machine", machine)
    monkeypatch.setattr(fleet.doctor, "_clouds", lambda: ["aws"])
    done = CliRunner().invoke(app, ["doctor", *words], env={"COLUMNS": "300", "NO_COLOR": "1"})
    assert done.exit_code == code
    assert said in done.output


def test_as_json_every_check_says_for_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet.doctor, "this_machine", lambda: WHOLE)
    done = CliRunner().invoke(app, ["doctor", "--format", "json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)["checks"]
    assert {name for one in found for name in one["commands"]} == set(COMMANDS)
    assert all(one["ok"] and one["remedy"] for one in found)
