"""Drift: what stands otherwise, and whether an autoscaler did it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fleet.cli import app
from fleet.drift import differences

GROUP, POOL, AGENTS = (
    "aws:eks/nodeGroup:NodeGroup",
    "gcp:container/nodePool:NodePool",
    "azure-native:containerservice/v20240901:AgentPool",
)


def refreshed(type_: str, name: str, old: Any, new: Any, op: str = "refresh") -> dict[str, Any]:
    sides = {
        "old": None if old is None else {"custom": True, "outputs": old},
        "new": None if new is None else {"custom": True, "outputs": new},
    }
    return {"resOutputsEvent": {"metadata": {"op": op, "urn": f"urn:pulumi:s::p::{type_}::{name}", "type": type_, **sides}}}


def eks(desired: int, **more: Any) -> dict[str, Any]:
    return {"scalingConfig": {"desiredSize": desired, "minSize": 0, "maxSize": 4}, **more}


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        (refreshed(GROUP, "g", eks(1), eks(3)), [("autoscaler", "scalingConfig.desiredSize", "1", "3")]),
        (refreshed(GROUP, "g", eks(1), eks(9)), [("changed", "scalingConfig.desiredSize", "1", "9")]),
        (
            refreshed(GROUP, "g", eks(1), {"scalingConfig": {"desiredSize": 1, "minSize": 0, "maxSize": 9}}),
            [("changed", "scalingConfig.maxSize", "4", "9")],
        ),
        (
            refreshed(GROUP, "g", eks(1, tags={"a": "1"}), eks(2, tags={"a": "2"})),
            [("changed", "tags.a", "1", "2"), ("autoscaler", "scalingConfig.desiredSize", "1", "2")],
        ),
        (
            refreshed(
                POOL,
                "p",
                {"nodeCount": 0, "autoscaling": {"maxNodeCount": 3}},
                {"nodeCount": 2, "autoscaling": {"maxNodeCount": 3}},
            ),
            [("autoscaler", "nodeCount", "0", "2")],
        ),
        (
            refreshed(AGENTS, "a", {"count": 1, "minCount": 0, "maxCount": 2}, {"count": 2, "minCount": 0, "maxCount": 2}),
            [("autoscaler", "count", "1", "2")],
        ),
        (
            refreshed(
                "azure-native:containerservice:ManagedCluster",
                "c",
                {"agentPoolProfiles": [{"count": 1}, {"count": 1}]},
                {"agentPoolProfiles": [{"count": 1}, {"count": 2}]},
            ),
            [("autoscaler", "agentPoolProfiles.1.count", "1", "2")],
        ),
        (
            refreshed("aws:s3/bucket:Bucket", "b", {"acl": "private"}, {"acl": "public"}),
            [("changed", "acl", "private", "public")],
        ),
        (refreshed("aws:s3/bucket:Bucket", "b", {"tags": None}, {"tags": {}}), []),
        (refreshed("aws:s3/bucket:Bucket", "b", {"etag": "1"}, {"etag": "2"}), []),
        (refreshed("aws:s3/bucket:Bucket", "b", {"acl": "private"}, None), [("gone", "", None, None)]),
        # The plan's own deletion, of what the program no longer has, is no drift.
        (refreshed("aws:s3/bucket:Bucket", "b", {"acl": "private"}, None, op="delete"), []),
        (refreshed("aws:s3/bucket:Bucket", "b", {"acl": "private"}, {"acl": "public"}, op="update"), []),
    ],
)
def test_what_stands_otherwise_is_told_with_who_did_it(event: dict[str, Any], wanted: list[tuple[str, ...]]) -> None:
    assert [(one.kind, one.field, one.state, one.stands) for one in differences([event, event])] == wanted


def test_a_secret_that_changed_is_not_shown() -> None:
    secret = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "hunter2"}
    found = differences([refreshed("aws:ssm/parameter:Parameter", "p", {"value": secret}, {"value": "x"})])
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(("most", "code"), [(4, 0), (2, 1)])
def test_the_command_fails_on_true_drift_alone(most: int, code: int, tmp_path: Path) -> None:
    file = tmp_path / "events.json"
    sizes = {"minSize": 0, "maxSize": most}
    event = refreshed(
        GROUP, "g", {"scalingConfig": {"desiredSize": 1, **sizes}}, {"scalingConfig": {"desiredSize": 3, **sizes}}
    )
    file.write_text(json.dumps(event) + "\n" + json.dumps({"summaryEvent": {}}) + "\n")
    done = CliRunner().invoke(app, ["drift", "--from", str(file)])
    assert done.exit_code == code
    assert f"events: {code} drifted, {1 - code} moved by autoscalers" in done.stdout
    as_json = CliRunner().invoke(app, ["drift", "--from", str(file), "--format", "json"])
    assert json.loads(as_json.stdout)["stacks"]["events"][0]["field"] == "scalingConfig.desiredSize"


@pytest.mark.parametrize(("words", "said"), [((), "give --stack"), (("--from", __file__), "not the engine's events")])
def test_wrong_usage_ends_with_2(words: tuple[str, ...], said: str) -> None:
    done = CliRunner().invoke(app, ["drift", *words], env={"COLUMNS": "300"})
    assert done.exit_code == 2
    assert said in done.output
