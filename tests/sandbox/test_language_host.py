"""The language host under the real engine, and the traceback it shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.language_host import user_traceback
from tests.sandbox.project import Project

_PROGRAM = """
import os
import pulumi
from helper import Thing

first = Thing("first")
Thing("second", pulumi.ResourceOptions(parent=first))
if os.environ.get("FAIL") == "program":
    raise ValueError("no such luck")
if os.environ.get("FAIL") == "exit":
    raise SystemExit(3)
if os.environ.get("FAIL") == "run":
    raise pulumi.RunError("set region")
pulumi.export("where", os.getcwd())
pulumi.export("config", pulumi.Config().get("size"))
"""
_HELPER = """
import pulumi

class Thing(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("trial:index:Thing", name, {}, opts)
        self.register_outputs({})
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = Project(tmp_path_factory.mktemp("language"), _PROGRAM)
    (made.directory / "program" / "helper.py").write_text(_HELPER)
    return made


@pytest.mark.sandbox
def test_a_program_runs_in_its_directory_with_its_configuration(project: Project) -> None:
    project.run("config", "set", "size", "4").expect()
    first = project.up().expect()
    assert "+ 3 created" in first.text
    assert "$PATH" not in first.text  # the engine warns of plugins it merely came across
    assert project.outputs() == {"where": str(project.directory / "program"), "config": "4"}
    assert "3 unchanged" in project.preview().expect().text


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("how", "said"),
    [("program", "ValueError: no such luck"), ("exit", "Program exited with 3"), ("run", "error: set region")],
)
def test_a_failing_program_says_why_in_its_own_words(project: Project, how: str, said: str) -> None:
    failed = project.preview(FAIL=how).expect(ok=False)
    assert said in failed.text
    assert "site-packages" not in failed.text
    assert "language_host.py" not in failed.text
    assert "runpy" not in failed.text
    if how == "program":
        assert 'program/__main__.py", line 9, in <module>' in failed.text


@pytest.mark.sandbox
def test_a_directory_without_a_program_is_said(project: Project) -> None:
    main = project.directory / "program" / "__main__.py"
    text = main.read_text()
    main.unlink()
    try:
        assert "unable to find main python program `__main__.py`" in project.preview().expect(ok=False).text
    finally:
        main.write_text(text)


@pytest.mark.sandbox
def test_plugins_written_in_python_are_started_and_heard(project: Project, tmp_path: Path) -> None:
    """A policy pack that stops before it serves: what it prints reaches the user, so it was run and streamed."""
    (tmp_path / "PulumiPolicy.yaml").write_text("runtime: python\nversion: 0.0.1\n")
    (tmp_path / "__main__.py").write_text("import sys\nprint('the pack runs', file=sys.stderr)\nraise SystemExit(1)\n")
    failed = project.preview("--policy-pack", str(tmp_path)).expect(ok=False)
    assert "the pack runs" in failed.text
    assert "failed to start" in failed.text


def test_a_traceback_keeps_the_users_frames_of_the_cause_too() -> None:
    def inner() -> None:
        json.loads("nonsense")

    try:
        try:
            inner()
        except Exception as cause:
            raise RuntimeError("outer") from cause
    except RuntimeError as problem:
        shown = user_traceback(problem)
    assert "in inner" in shown
    assert "RuntimeError: outer" in shown
    assert "JSONDecodeError" in shown
    assert "decoder.py" not in shown
