"""Deploy on merge and nightly drift: who may what, and their scripts run as CI would run them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.workspace import ROOT
from sandbox import toolchain

WORKFLOWS = ROOT / ".github" / "workflows"
LOGIN = ROOT / ".github" / "cloud-login.sh"


def workflow(name: str) -> dict[Any, Any]:
    document = yaml.safe_load((WORKFLOWS / name).read_text())
    assert isinstance(document, dict)
    return document


def script(name: str, job: str, step: str) -> str:
    (found,) = [one["run"] for one in workflow(name)["jobs"][job]["steps"] if one.get("name") == step]
    return str(found)


def run(text: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    if not all(map(shutil.which, ("bash", "jq", "git"))):
        pytest.skip("the scripts need bash, jq and git")
    whole = {"PATH": f"{cwd / 'bin'}:{os.environ['PATH']}", "HOME": str(cwd), **env}
    return subprocess.run(["bash", "-c", text], env=whole, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def program(directory: Path, name: str, text: str) -> None:
    (directory / "bin").mkdir(exist_ok=True)
    file = directory / "bin" / name
    file.write_text(f"#!/bin/bash\n{text}\n")
    file.chmod(0o755)


@pytest.mark.parametrize(("name", "jobs"), [("deploy.yml", {"touched", "up"}), ("drift.yml", {"stacks", "drift"})])
def test_only_what_runs_in_an_environment_may_log_in(name: str, jobs: set[str]) -> None:
    document = workflow(name)
    assert document["permissions"] == {}
    assert set(document["jobs"]) == jobs
    for job in document["jobs"].values():
        may = job["permissions"]
        assert may["contents"] == "read"
        assert ("id-token" in may) == ("environment" in job)
        assert set(may) <= {"contents", "id-token"}
    assert "${{ matrix.stack }}" in next(job["environment"] for job in document["jobs"].values() if "environment" in job)


def test_no_pull_request_deploys() -> None:
    assert workflow("deploy.yml")[True] == {"push": {"branches": ["main"]}}
    assert set(workflow("drift.yml")[True]) == {"schedule", "workflow_dispatch"}
    assert workflow("deploy.yml")["concurrency"]["cancel-in-progress"] is False


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    here = tmp_path / "repository"
    for name in ("stacks", "infra"):
        (here / name).mkdir(parents=True)
    for name in ("a", "b", "c"):
        (here / "stacks" / f"{name}.yaml").write_text("1")
    (here / "stacks" / "Pulumi.a.yaml").write_text("1")
    commit(here, "git init -q -b main && ")
    return here


def commit(here: Path, before: str = "") -> None:
    who = "git -c user.name=a -c user.email=a@a.example -c commit.gpgsign=false"
    done = run(f"{before}git add -A && {who} commit -qm x", here)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("changes", "stacks"),
    [
        ({"README.md": "x"}, []),
        ({"stacks/a.yaml": "2"}, ["a"]),
        ({"stacks/b.yaml": None, "stacks/c.yaml": "2"}, ["c"]),
        ({"stacks/b.yaml": None}, []),
        ({"stacks/new.yaml": "x", "stacks/$(id).yaml": "x"}, ["new"]),
        ({"infra/x.py": "x"}, ["a", "b", "c"]),
    ],
)
def test_touched_stacks_are_those_that_were_merged(changes: dict[str, str | None], stacks: list[str], repository: Path) -> None:
    for name, text in changes.items():
        file = repository / name
        file.unlink() if text is None else file.write_text(text)
    commit(repository)
    out = repository / "out"
    done = run(script("deploy.yml", "touched", "Touched stacks"), repository, BEFORE="HEAD~1", GITHUB_OUTPUT=str(out))
    assert done.returncode == 0, done.stderr
    assert json.loads(out.read_text().removeprefix("stacks=")) == stacks


def test_on_a_new_branch_every_stack_is_touched_and_every_night_every_stack_is_looked_at(repository: Path) -> None:
    for name, job, step in (("deploy.yml", "touched", "Touched stacks"), ("drift.yml", "stacks", "All stacks")):
        out = repository / f"{name}.out"
        done = run(script(name, job, step), repository, BEFORE="0" * 40, GITHUB_OUTPUT=str(out))
        assert done.returncode == 0, done.stderr
        assert json.loads(out.read_text().removeprefix("stacks=")) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {}),
        (
            {"AWS_ROLE": "arn:aws:iam::1:role/x"},
            {
                "AWS_ROLE_ARN": "arn:aws:iam::1:role/x",
                "AWS_WEB_IDENTITY_TOKEN_FILE": "{temp}/aws-token",
                "AWS_ROLE_SESSION_NAME": "fleet-9",
            },
        ),
        (
            {"GCP_PROVIDER": "projects/1/providers/q", "GCP_ACCOUNT": "a@p.iam.gserviceaccount.com"},
            {"GOOGLE_APPLICATION_CREDENTIALS": "{temp}/gcp.json"},
        ),
        (
            {"AZURE_CLIENT": "c", "AZURE_TENANT": "t", "AZURE_SUBSCRIPTION": "s"},
            {"ARM_USE_OIDC": "true", "ARM_CLIENT_ID": "c", "ARM_TENANT_ID": "t", "ARM_SUBSCRIPTION_ID": "s"},
        ),
    ],
)
def test_the_login_leaves_a_token_for_the_clouds_that_are_set(
    given: dict[str, str], wanted: dict[str, str], tmp_path: Path
) -> None:
    program(tmp_path, "curl", 'echo "{\\"value\\": \\"token of ${@: -1}\\"}"')
    env = {
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_ENV": str(tmp_path / "env"),
        "GITHUB_RUN_ID": "9",
        "ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.example/?x=1",
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "t",
    }
    (tmp_path / "env").touch()
    done = run(LOGIN.read_text(), tmp_path, **env, **given)
    assert done.returncode == 0, done.stderr
    said = dict(line.split("=", 1) for line in (tmp_path / "env").read_text().splitlines())
    assert said == {name: value.format(temp=tmp_path) for name, value in wanted.items()}
    assert "token of" not in done.stdout + done.stderr
    if "AWS_ROLE" in given:
        file = tmp_path / "aws-token"
        assert file.read_text() == "token of https://token.example/?x=1&audience=sts.amazonaws.com\n"
        assert file.stat().st_mode & 0o077 == 0
    if "GCP_PROVIDER" in given:
        made = json.loads((tmp_path / "gcp.json").read_text())
        assert made["audience"] == "//iam.googleapis.com/projects/1/providers/q"
        assert made["credential_source"]["file"] == f"{tmp_path}/gcp-token"


def test_a_cloud_that_is_half_set_stops_the_job(tmp_path: Path) -> None:
    env = {"RUNNER_TEMP": str(tmp_path), "GITHUB_ENV": str(tmp_path / "env"), "GITHUB_RUN_ID": "9", "AZURE_CLIENT": "c"}
    done = run(LOGIN.read_text(), tmp_path, **env)
    assert done.returncode != 0
    assert "AZURE_TENANT" in done.stderr


@pytest.mark.parametrize("code", [0, 1, 3])
def test_the_night_run_fails_where_something_drifted_and_says_so_either_way(code: int, tmp_path: Path) -> None:
    program(tmp_path, "fleet", f'echo "fleet $*"; exit {code}')
    summary = tmp_path / "summary"
    done = run(script("drift.yml", "drift", "Drift"), tmp_path, STACK="aws-prod", GITHUB_STEP_SUMMARY=str(summary))
    assert (done.returncode == 0) == (code == 0)
    assert summary.read_text() == "```text\nfleet drift --stack aws-prod\n```\n"


def test_up_reports_before_it_applies(tmp_path: Path) -> None:
    program(tmp_path, "fleet", 'echo "fleet $*"')
    summary = tmp_path / "summary"
    done = run(script("deploy.yml", "up", "Up"), tmp_path, STACK="aws-prod", GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 0
    assert summary.read_text() == "fleet report --stack aws-prod --format markdown\n"
    assert done.stdout == "fleet up --stack aws-prod\n"


def test_ci_runs_what_people_run() -> None:
    (job,) = workflow("ci.yml")["jobs"].values()
    assert job["steps"][-1]["run"] == ".ci/run"
    assert workflow("ci.yml")["permissions"] == {"contents": "read"}


def test_the_operators_objects_are_whole_and_name_one_another() -> None:
    objects = [one for one in yaml.safe_load_all((ROOT / "docs/examples/gitops/operator.yaml").read_text()) if one]
    by_kind = {one["kind"]: one for one in objects}
    assert list(by_kind) == ["Namespace", "ServiceAccount", "ClusterRoleBinding", "Stack"]
    stack, account = by_kind["Stack"], by_kind["ServiceAccount"]
    assert stack["apiVersion"] == "pulumi.com/v1"
    spec = stack["spec"]
    assert spec["serviceAccountName"] == account["metadata"]["name"] == by_kind["ClusterRoleBinding"]["subjects"][0]["name"]
    assert {one["metadata"].get("namespace", "fleet") for one in objects} == {"fleet"}
    # Taking the object away must not take the cloud's things away.
    assert spec["destroyOnFinalize"] is False
    assert re.fullmatch(r"refs/heads/\w+", spec["branch"])
    assert "envRefs" not in spec, "no key lies in the cluster"


def linted(command: list[str]) -> str:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_zizmor_finds_nothing() -> None:
    found = shutil.which("zizmor", path=str(ROOT / ".venv" / "bin"))
    assert found, "it is one of requirements-dev.txt"
    assert linted([found, "--offline", "--no-progress", str(WORKFLOWS)]) == ""


def test_actionlint_finds_nothing_and_finds_what_is_wrong(tmp_path: Path) -> None:
    found = str(toolchain.path("actionlint"))
    assert linted([found, "-no-color"]) == ""
    job = "runs-on: ubuntu-24.04, steps: [{run: 'echo ${{ nope.x }}'}]"
    (tmp_path / "wrong.yml").write_text(f"on: push\njobs: {{a: {{{job}}}}}\n")
    assert "undefined variable" in linted([found, "-no-color", str(tmp_path / "wrong.yml")])
