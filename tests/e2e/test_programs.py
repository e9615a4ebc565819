"""Programs the sandbox did not come with: ordinary Pulumi programs run, settle and go, under the stand-in plugins."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from fleet.engine import Engine, Event
from fleet.inventory.file import read
from fleet.report.program import report
from fleet.workspace import Workspace
from sandbox.cloud import daemon
from sandbox.cloud.client import Client
from sandbox.workspace import sandbox_workspace, shadow_project

pytestmark = pytest.mark.sandbox
GUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
ARM_VM = "/subscriptions/.*/resourceGroups/vm.*/providers/Microsoft.Compute/virtualMachines/machine.*"
PROGRAMS = Path(__file__).parents[1] / "programs"
SETTINGS = {"aws:region": "us-east-1", "gcp:project": "demo", "gcp:region": "us-central1", "azure-native:location": "eastus"}
# What each leaves the user: its outputs, whole or as the form they have.
OUTPUTS: dict[str, dict[str, str]] = {
    "aks": {
        "cluster": "cluster[0-9a-f]+|cluster-[0-9a-f]+",
        "principal": GUID,
        "job": "nightly-.*",
        "kubeconfig": ".*kubelogin.*",
    },
    "aws_web": {"queue": "arn:aws:sqs:us-east-1:123456789012:jobs-.*", "server": "i-[0-9a-f]{17}"},
    "azure_function": {
        "endpoint": r"https://app-[0-9a-f]+\.azurewebsites\.net/api/hello",
        "principal": GUID,
        "package": r"https://store[0-9a-f]+\.blob\.core\.windows\.net/packages-[0-9a-f]+/package",
        "app": "/subscriptions/.*/providers/Microsoft.Web/sites/app-.*",
    },
    "azure_vm": {"address": r"203\.0\.113\.\d+", "subnet": "/subscriptions/.*/vnet.*/subnets/default", "machine": ARM_VM},
    "azure_web": {"endpoint": r"https://site[0-9a-f]*\.blob\.core\.windows\.net/", "key": ".+"},
    "eks": {"cluster": "arn:aws:eks:us-east-1:123456789012:cluster/cluster-.*", "ready": "2", "kubeconfig": ".*get-token.*"},
    "gcp_function": {
        "url": r"https://us-central1-demo\.cloudfunctions\.net/hello-.*",
        "uri": r"https://hello-.*-uc\.a\.run\.app",
        "state": "ACTIVE",
        "archive": "archive-.*",
    },
    "gcp_web": {"reader": "reader-of-site@demo.iam.gserviceaccount.com", "bucket": "gs://site-.*"},
    "gke": {"cluster": "cluster-.*", "ready": "3", "ip": r"10\.96\.\d+\.\d+"},
    "s3_website": {
        # The MD5 of its file, which a path relative to the program leads to.
        "missing": "b3b93d96acf70deee9ef40f56b4a4faa",
        "endpoint": r"site-.*\.s3-website-us-east-1\.amazonaws\.com",
        "policy": ".*s3:GetObject.*arn:aws:s3:::site-.*/\\*.*",
    },
    "sns_fanout": {
        "account": "123456789012",
        "topic": "arn:aws:sns:us-east-1:123456789012:orders-.*",
        "queues": ".*https://sqs.*",
    },
}
# Lines of a report that have a price, that could have one, and that are paid by use.
PRICED = {
    "aks": (0, 0, 0),
    "aws_web": (0, 0, 0),
    "azure_function": (0, 0, 0),
    "azure_vm": (0, 0, 0),
    "azure_web": (0, 0, 0),
    "eks": (0, 0, 0),
    "gcp_function": (0, 0, 0),
    "gcp_web": (0, 0, 0),
    "gke": (0, 0, 0),
    "s3_website": (0, 0, 0),
    "sns_fanout": (0, 0, 0),
}
# Types of which nobody modelled the behaviour: the run says so by name.
UNMODELLED: dict[str, set[str]] = {}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    home = tmp_path_factory.mktemp("programs")
    made = sandbox_workspace(home)
    daemon.start(home)
    yield made
    daemon.stop(home)


def test_every_program_is_run() -> None:
    assert set(PRICED) == set(OUTPUTS)
    assert {path.parent.name for path in PROGRAMS.glob("*/__main__.py")} == set(OUTPUTS)


def inventory(engine: Engine, events: list[Event], scratch: Path) -> tuple[int, int, int]:
    """What a report reads of the program's state, and of the events of its first run."""
    exported = engine.plain("stack", "export", "--stack", "dev")
    assert exported.returncode == 0, exported.stderr
    (scratch / "state.json").write_text(exported.stdout)
    (scratch / "events.json").write_text("".join(json.dumps(event) + "\n" for event in events))
    state, made = (report(read(scratch / name), "nothing", {}).stacks[0] for name in ("state.json", "events.json"))
    assert state.after is not None
    assert made.after is not None
    # Of a first run everything is created, and its events know what its state does.
    assert {change.kind for change in made.changes} == {"create"}
    assert [(line.name, line.what, line.usd) for line in made.after.lines] == [
        (line.name, line.what, line.usd) for line in state.after.lines
    ]
    return state.after.priced, state.after.priceable, state.after.by_use


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

    events: list[Event] = []
    first = engine.run("up", on_event=events.append)
    assert first.ok, first.errors
    outputs = engine.outputs()
    for output, form in OUTPUTS[name].items():
        assert re.fullmatch(form, str(outputs[output]), re.DOTALL), (output, outputs[output])
    said = {note.partition(": ")[2].partition(" is not modelled")[0] for note in first.notes if "is not modelled" in note}
    assert said == UNMODELLED.get(name, set()), first.notes
    assert inventory(engine, events, project) == PRICED[name]
    second = engine.run("up", "--expect-no-changes")
    assert second.ok, second.errors
    last = engine.run("destroy")
    assert last.ok, last.errors
    mine = f"::{name.replace('_', '-')}::"
    assert [r["urn"] for r in Client(workspace.sandbox).call("list") if mine in r["urn"]] == []
    assert Client(workspace.sandbox).call("status")["clusters"] == []
