"""Programs the sandbox did not come with: ordinary Pulumi programs run, settle and go, under the stand-in plugins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from fleet.engine import Engine
from fleet.workspace import Workspace
from sandbox.cloud import daemon
from sandbox.cloud.client import Client
from sandbox.workspace import sandbox_workspace, shadow_project

pytestmark = pytest.mark.sandbox
PROGRAMS = Path(__file__).parents[1] / "programs"
SETTINGS = {"aws:region": "us-east-1", "gcp:project": "demo", "gcp:region": "us-central1", "azure-native:location": "eastus"}
# What each leaves the user: an output and the form it has.
OUTPUTS = {
    "aws_web": ("queue", "arn:aws:sqs:us-east-1:123456789012:jobs-"),
    "gcp_web": ("reader", "reader-of-site@demo.iam.gserviceaccount.com"),
    "azure_web": ("endpoint", "https://site"),
}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    home = tmp_path_factory.mktemp("programs")
    made = sandbox_workspace(home)
    daemon.start(home)
    yield made
    daemon.stop(home)


@pytest.mark.parametrize("name", sorted(OUTPUTS))
def test_an_ordinary_program_comes_up_settles_and_goes(workspace: Workspace, name: str) -> None:
    assert workspace.sandbox is not None
    project = workspace.sandbox / name
    (project / "config").mkdir(parents=True)
    about = shadow_project(workspace.sandbox / "bin", PROGRAMS / name, name.replace("_", "-"))
    (project / "Pulumi.yaml").write_text(yaml.safe_dump(about))
    (project / "config" / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": SETTINGS}))
    engine = Engine(replace(workspace, project=project), "dev")
    engine.init()

    first = engine.run("up")
    assert first.ok, first.errors
    output, form = OUTPUTS[name]
    assert str(engine.outputs()[output]).startswith(form)
    if name == "aws_web":
        assert any("lambda/eventSourceMapping:EventSourceMapping is not modelled" in note for note in first.notes), first.notes
    second = engine.run("up", "--expect-no-changes")
    assert second.ok, second.errors
    last = engine.run("destroy")
    assert last.ok, last.errors
    assert Client(workspace.sandbox).call("list") == []
