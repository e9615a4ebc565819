"""A change is rehearsed before it is merged: what would not come up is said in the scheduler's words."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Fork

pytestmark = pytest.mark.sandbox
# Two models share a GPU, by turns.
CRAMPED = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: aws
    region: us-east-1
    api: {allowed_cidrs: [203.0.113.0/24]}
    pools:
      l4:
        accelerator: nvidia-l4
        sharing: {time_slices: 2}
        nodes: {max: 2}
    models:
      chat: {pool: l4}
      embed: {pool: l4}
"""
CALM = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: aws
    region: us-west-2
    api: {allowed_cidrs: [203.0.113.0/24]}
    pools:
      l4:
        accelerator: nvidia-l4
        nodes: {max: 1}
    models:
      chat: {pool: l4}
"""
# One machine of the pool has four.
QUOTAS = "- {cloud: aws, region: us-east-1, quota: L-DB2E81BA, limit: 4, as_of: 2026-11-01}\n"


def git(root: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True)


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    made = Fork(tmp_path_factory.mktemp("fork"), "cramped", CRAMPED)
    (made.root / "stacks" / "calm.yaml").write_text(CALM)
    (made.root / "quotas.yaml").write_text(QUOTAS)
    git(made.root, "init", "-q", "-b", "main")
    git(made.root, "add", "-A")
    git(made.root, "commit", "-qm", "before")
    yield made
    made.close()


def test_what_would_not_come_up_is_said_and_what_harms_nobody_is_not(fork: Fork) -> None:
    """Each model gets a GPU of its own, and the account has room for one; beside it a pool may grow."""
    fork.write(CRAMPED.replace("        sharing: {time_slices: 2}\n", ""))
    (fork.root / "stacks" / "calm.yaml").write_text(CALM.replace("max: 1", "max: 2"))
    words = ("--stack", "cramped", "--stack", "calm", "--base", "main", "--rehearse", "--patience", "20")
    done = fork.ended("report", *words, "--fail-on", "rehearsal", "--format", "json")
    assert done.returncode == 1, done.stderr
    assert "the rehearsal of cramped failed (--fail-on rehearsal)" in done.stderr
    told: dict[str, Any] = {one["stack"]: one for one in json.loads(done.stdout)["stacks"]}

    failed = told["cramped"]["rehearsal"]
    (stuck,) = failed["stuck"]
    assert stuck["name"] in ("main/models/chat", "main/models/embed")
    assert (stuck["pool"], stuck["pods"], stuck["before"]) == ("main/l4", 1, False)
    assert stuck["reason"].startswith("0/2 nodes are available: 1 Insufficient")
    assert [one["back"] for one in failed["disruptions"] if one["name"] == stuck["name"]] == [False, False]
    (pool,) = told["cramped"]["readiness"]
    assert (pool["rehearsed"], pool["waits"]) == ("does not", stuck["reason"])

    calm = told["calm"]["rehearsal"]
    assert [(one["kind"], one["what"]) for one in calm["changes"]] == [("update", "aws:eks/nodeGroup:NodeGroup")]
    assert {field: calm[field] for field in ("errors", "stuck", "disruptions", "nodes_gone")} == {
        "errors": [],
        "stuck": [],
        "disruptions": [],
        "nodes_gone": {},
    }
    assert [one["rehearsed"] for one in told["calm"]["readiness"]] == ["schedules"]

    assert not fork.processes(), "the rehearsal left processes behind"
    assert not list(fork.home.parent.glob("sandbox-rehearsal*")), "the rehearsal left its sandbox behind"
