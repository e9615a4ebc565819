"""The policy pack behind the real engine: what breaks a mandatory rule is named, and nothing of it is made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from fleet.engine import Engine
from fleet.load import load_stack
from fleet.operations import Operation
from fleet.progress import Board
from fleet.workspace import POLICIES, STACKS, Workspace
from policies.accel_policies.judge import RULES
from sandbox.cloud import daemon
from sandbox.cloud.client import Client
from sandbox.workspace import sandbox_workspace, shadow_project

pytestmark = pytest.mark.sandbox
# A website for everybody: its bucket's block of public access is half open.
PROGRAM = Path(__file__).parents[1] / "programs" / "s3_website"
BROKEN = "aws-bucket-block-flags: site: blockPublicPolicy is False."
BUCKET = "aws:s3/bucket:Bucket"
PACK = ("--policy-pack", str(POLICIES))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    home = tmp_path_factory.mktemp("policies")
    made = sandbox_workspace(home)
    project = home / "website"
    (project / "config").mkdir(parents=True)
    (project / "Pulumi.yaml").write_text(yaml.safe_dump(shadow_project(home / "bin", PROGRAM, "website")))
    (project / "config" / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": {"aws:region": "us-east-1"}}))
    daemon.start(home)
    yield replace(made, project=project, view=None, prepare=None)
    daemon.stop(home)


def there(workspace: Workspace) -> list[str]:
    assert workspace.sandbox is not None
    return [r["urn"].rpartition("::")[0].rpartition("::")[2] for r in Client(workspace.sandbox).call("list")]


def test_a_preview_names_the_rule_the_resource_and_the_field(workspace: Workspace) -> None:
    engine = Engine(workspace, "dev")
    engine.init()
    outcome = engine.run("preview", *PACK)
    assert not outcome.ok
    assert any(said.startswith(BROKEN) and "Mend: set all four flags" in said for said in outcome.broken), outcome.errors


def test_the_engine_counts_no_rule_as_kept_that_looks_at_something_else(workspace: Workspace) -> None:
    events: list[Mapping[str, Any]] = []
    Engine(workspace, "dev").run("preview", *PACK, on_event=events.append)
    told = [event["policyAnalyzeSummaryEvent"] for event in events if "policyAnalyzeSummaryEvent" in event]
    kept = {one["resourceUrn"].rpartition("::")[0].rpartition("::")[2]: one.get("passed") or [] for one in told}
    looking = {rule.id for rule in RULES.values() if not rule.whole and BUCKET in rule.types}
    assert looking and set(kept[BUCKET]) == looking
    remedies = [event["policyRemediateSummaryEvent"] for event in events if "policyRemediateSummaryEvent" in event]
    assert len(remedies) == len(told) and not any(one.get("passed") for one in remedies)


def test_fleet_up_makes_nothing_of_a_change_that_breaks_a_mandatory_rule(workspace: Workspace, tmp_path: Path) -> None:
    board = Board("up", ["dev"], Console(), quiet=True)
    operation = Operation("up", workspace, {"dev": load_stack(STACKS / "aws-dev.yaml")}, board, tmp_path)
    result = operation.run()["dev"]
    assert result is not None and not result.ok
    assert any(error.startswith(BROKEN) for error in result.outcome.errors)
    assert there(workspace) == []
    assert [r["type"] for r in Engine(workspace, "dev").export()["deployment"].get("resources") or []] == []


def test_without_a_preview_the_engine_still_makes_no_resource_that_breaks_one(workspace: Workspace) -> None:
    outcome = Engine(workspace, "dev").run("up", *PACK)  # it adds --skip-preview
    assert not outcome.ok and any(said.startswith(BROKEN) for said in outcome.broken)
    made = there(workspace)
    # What stands by itself may have come before; not that one, nor what waits for it.
    assert not [kind for kind in made if "PublicAccessBlock" in kind or "BucketPolicy" in kind], made


def test_the_engine_makes_what_the_pack_has_remedied(workspace: Workspace, tmp_path: Path) -> None:
    """Its own pack and stack file: the remedy is asked for there."""
    flags = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    stacks, program, pack = (tmp_path / name for name in ("stacks", "program", "pack"))
    for directory in (stacks, program, pack):
        directory.mkdir()
    told = "owner: ml\nenvironment: dev\nclusters: {main: {cloud: aws, region: us-east-1, api: {private: true}}}\n"
    (stacks / "dev.yaml").write_text(f"{told}policies: {{remediate: [aws-bucket-block-flags]}}\n")
    made = (
        'bucket = aws.s3.Bucket("plain")\naws.s3.BucketPublicAccessBlock("plain", bucket=bucket.id, block_public_acls=True)\n'
    )
    (program / "__main__.py").write_text(f"import pulumi_aws as aws\n\n{made}")
    (pack / "PulumiPolicy.yaml").write_text((POLICIES / "PulumiPolicy.yaml").read_text().replace("../", f"{POLICIES.parent}/"))
    run = f"from pathlib import Path\nfrom policies.accel_policies.pack import main\nmain(Path({str(stacks)!r}))\n"
    (pack / "__main__.py").write_text(f"import sys\nsys.path.insert(0, {str(POLICIES.parent)!r})\n{run}")
    project = workspace.sandbox / "plain" if workspace.sandbox else tmp_path
    (project / "config").mkdir(parents=True)
    shadow = shadow_project(project.parent / "bin", program, "plain")
    (project / "Pulumi.yaml").write_text(yaml.safe_dump(shadow))
    (project / "config" / "Pulumi.dev.yaml").write_text(yaml.safe_dump({"config": {"aws:region": "us-east-1"}}))
    engine = Engine(replace(workspace, project=project), "dev")
    engine.init()
    outcome = engine.run("up", "--policy-pack", str(pack))
    assert not any(said.startswith("aws-bucket-block-flags") for said in outcome.broken), outcome.broken
    (block,) = [r for r in engine.export()["deployment"]["resources"] if "PublicAccessBlock" in r["type"]]
    assert {flag: block["inputs"].get(flag) for flag in flags} == dict.fromkeys(flags, True)
