"""The pipelines around `fleet comment`: who may write, what is pinned, and that nothing of a request is run as script."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.workspace import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
HEAD = "a" * 40


def read(path: Path) -> dict[Any, Any]:
    document = yaml.safe_load(path.read_text())
    assert isinstance(document, dict)
    return document


def workflow(name: str) -> dict[Any, Any]:
    return read(ROOT / ".github" / "workflows" / name)


def steps(document: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in document["jobs"].values() for step in job["steps"]]


def test_both_workflows_are_there() -> None:
    assert {path.name for path in WORKFLOWS} >= {"comment.yml", "preview.yml"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(path: Path) -> None:
    used = [step["uses"] for step in steps(read(path)) if "uses" in step]
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", one)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_expression_stands_in_a_script(path: Path) -> None:
    # GitHub pastes its value into the script; by `env` it is data.
    assert [step["run"] for step in steps(read(path)) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_runs_do_not_pile_up_and_have_an_end(path: Path) -> None:
    document = read(path)
    assert "${{ github." in document["concurrency"]["group"]
    # What builds the sandbox's programs, or waits for a cloud to make clusters, takes longer.
    longest = {"ci.yml": 150, "deploy.yml": 120}.get(path.name, 30)
    assert all(job["timeout-minutes"] <= longest for job in document["jobs"].values())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_no_checkout_leaves_its_token_behind(path: Path) -> None:
    taken = [step for step in steps(read(path)) if step.get("uses", "").startswith("actions/checkout@")]
    assert taken
    assert all(step["with"]["persist-credentials"] is False for step in taken)


def test_what_runs_the_requests_code_may_read_alone() -> None:
    document = workflow("preview.yml")
    # YAML 1.1 reads the word `on` as true.
    assert list(document[True]) == ["pull_request"]
    assert document["permissions"] == {"contents": "read"}
    assert not any("permissions" in job for job in document["jobs"].values())
    assert "secrets." not in (ROOT / ".github" / "workflows" / "preview.yml").read_text()


def test_what_may_write_runs_the_default_branch_alone() -> None:
    document = workflow("comment.yml")
    assert document[True] == {"workflow_run": {"workflows": [workflow("preview.yml")["name"]], "types": ["completed"]}}
    assert document["permissions"] == {}
    (job,) = document["jobs"].values()
    assert job["permissions"] == {"actions": "read", "contents": "read", "pull-requests": "write"}
    (checkout,) = [step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout@")]
    assert checkout["with"].keys() == {"persist-credentials"}
    # Outside the checkout, where no file of the artifact can take the place of code.
    assert 'preview="$RUNNER_TEMP/preview"' in script_of("comment.yml")
    assert not [step for step in job["steps"] if step.get("uses", "").startswith("actions/download-artifact@")]


PROGRAMS = {
    "gh": 'case "$2" in */runs/9/artifacts) echo 4;; */artifacts/4/zip) cat "$ARTIFACT";; *) echo "${FAKE_REPOSITORY}";; esac',
    "python": f'cd "{ROOT}" && exec "{sys.executable}" "$@"',
    "fleet": 'echo "fleet $*" >> "$CALLS"; while [ $# -gt 0 ]; do if [ "$1" = --out ]; then echo x > "$2"; fi; shift; done',
}


@pytest.fixture
def programs(tmp_path: Path) -> dict[str, str]:
    """An environment whose `gh` and `fleet` write down what they are asked."""
    if not all(map(shutil.which, ("bash", "jq", "git"))):
        pytest.skip("the scripts need bash, jq and git")
    (tmp_path / "bin").mkdir()
    for name, script in PROGRAMS.items():
        file = tmp_path / "bin" / name
        file.write_text(f"#!/bin/bash\n{script}\n")
        file.chmod(0o755)
    return {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "CALLS": str(tmp_path / "calls"),
        "RUNNER_TEMP": str(tmp_path),
        "HOME": str(tmp_path),
        "GITHUB_SERVER_URL": "https://github.example",
        "GITHUB_REPOSITORY": "acme/fleet",
        "COMMIT": HEAD,
        "HEAD_REPOSITORY": "77",
        "FAKE_REPOSITORY": "77",
        "RUN": "9",
        "ARTIFACT": str(tmp_path / "artifact.zip"),
        "NUMBER": "5",
        "BASE": "main",
    }


def script_of(name: str) -> str:
    return str(steps(workflow(name))[-1]["run"] if name == "comment.yml" else steps(workflow(name))[-2]["run"])


def bash(script: str, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["bash", "-c", script], env=env, cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("request_", "repository", "said"),
    [
        (f'{{"number": 5, "commit": "{HEAD}"}}', "77", ""),
        (f'{{"number": 5, "commit": "{"b" * 40}"}}', "77", "not of the commit"),
        (f'{{"number": "5; id", "commit": "{HEAD}"}}', "77", "not of the commit"),
        (f'{{"number": 0, "commit": "{HEAD}"}}', "77", "not of the commit"),
        (f'{{"number": "../../x", "commit": "{HEAD}"}}', "77", "not of the commit"),
        (f'{{"number": 6, "commit": "{HEAD}"}}', "78", "another repository"),
    ],
)
def test_an_artifact_is_held_against_the_event(
    request_: str, repository: str, said: str, programs: dict[str, str], tmp_path: Path
) -> None:
    with zipfile.ZipFile(programs["ARTIFACT"], "w") as packed:
        packed.writestr("request.json", request_)
    done = bash(script_of("comment.yml"), {**programs, "FAKE_REPOSITORY": repository}, tmp_path)
    calls = Path(programs["CALLS"])
    if said:
        assert (done.returncode, calls.exists()) == (1, False)
        assert said in done.stdout
    else:
        assert done.returncode == 0, done.stderr
        assert f"--number 5 --commit {HEAD} --link https://github.example/acme/fleet/actions/runs/9" in calls.read_text()


def test_an_artifact_with_a_link_is_refused(programs: dict[str, str], tmp_path: Path) -> None:
    link = zipfile.ZipInfo("sections/a.md")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(programs["ARTIFACT"], "w") as packed:
        packed.writestr("request.json", f'{{"number": 5, "commit": "{HEAD}"}}')
        packed.writestr(link, "/etc/hostname")
    done = bash(script_of("comment.yml"), programs, tmp_path)
    assert done.returncode == 1
    assert "holds a link" in done.stderr
    assert not Path(programs["CALLS"]).exists()


def test_no_more_of_an_artifact_is_fetched_than_may_be_unpacked(programs: dict[str, str], tmp_path: Path) -> None:
    Path(programs["ARTIFACT"]).write_bytes(bytes(9_000_000))
    assert bash(script_of("comment.yml"), programs, tmp_path).returncode != 0
    assert (tmp_path / "preview.zip").stat().st_size <= 5_000_001
    assert not Path(programs["CALLS"]).exists()


@pytest.mark.parametrize(
    ("changes", "sections"),
    [
        ({"README.md": "x"}, []),
        ({"stacks/a.yaml": "x"}, ["a"]),
        ({"stacks/b.yaml": None}, ["b"]),
        ({"stacks/new.yaml": "x", "stacks/$(id).yaml": "x"}, ["new"]),
        ({"infra/x.py": "x"}, ["a", "b"]),
    ],
)
def test_the_touched_stacks_are_reported_on(
    changes: dict[str, str | None], sections: list[str], programs: dict[str, str], tmp_path: Path
) -> None:
    here = tmp_path / "repository"
    (here / "stacks").mkdir(parents=True)
    (here / "infra").mkdir()
    git = "git -c user.name=a -c user.email=a@a.example -c commit.gpgsign=false"
    for name in ("a", "b"):
        (here / "stacks" / f"{name}.yaml").write_text("1")
    made = bash(f"git init -q -b main && git add -A && {git} commit -qm 1 && git switch -qc change", programs, here)
    assert made.returncode == 0, made.stderr
    for name, text in changes.items():
        file = here / name
        file.unlink() if text is None else file.write_text(text)
    assert bash(f"git add -A && {git} commit -qm 2", programs, here).returncode == 0
    done = bash(script_of("preview.yml"), programs, here)
    assert done.returncode == 0, done.stderr
    out = here / "out" / "preview"
    assert sorted(path.stem for path in (out / "sections").glob("*.md")) == sections
    assert yaml.safe_load((out / "request.json").read_text()) == {"number": 5, "commit": HEAD}


@pytest.mark.parametrize("asked", ["", "yes"])
def test_a_change_is_rehearsed_where_the_repository_asks_for_it(asked: str, programs: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "a.yaml").write_text("1")
    git = "git -c user.name=a -c user.email=a@a.example -c commit.gpgsign=false"
    prepared = f"git init -q -b main && {git} commit -q --allow-empty -m 1 && git switch -qc change && git add stacks"
    assert bash(f"{prepared} && {git} commit -qm 2", programs, tmp_path).returncode == 0
    done = bash(script_of("preview.yml"), {**programs, "REHEARSE": asked}, tmp_path)
    assert done.returncode == 0, done.stderr
    words = Path(programs["CALLS"]).read_text().split()
    assert ("--rehearse" in words) is bool(asked)
    assert words[-2:] == ["--out", "out/preview/sections/a.md"]
    (job,) = workflow("preview.yml")["jobs"].values()
    assert job["env"]["REHEARSE"] == "${{ vars.FLEET_REHEARSE }}"
    assert [step["if"] for step in job["steps"] if "fleet sandbox up" in step.get("run", "")] == ["vars.FLEET_REHEARSE != ''"]


def test_gitlabs_example_gives_no_fork_the_token_and_queues_writers() -> None:
    document = read(ROOT / "docs" / "examples" / "gitlab-ci.yml")
    job = document["comment"]
    (rule,) = job["rules"]
    assert "$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID" in rule["if"]
    assert "$CI_MERGE_REQUEST_IID" in job["resource_group"]
    assert any(line.startswith("fleet comment gitlab ") for line in job["script"])
