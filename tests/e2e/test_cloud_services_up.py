"""A stack a cloud with every kind of service comes up beside its cluster, all three side by side, and they go.

On AWS an object starts the pipeline's queue; on GCP and Azure what is made is checked by the vendors' models and recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from fleet.catalog.clouds import PUBLIC, Cloud
from fleet.load import load_stack
from sandbox.cloud.in_moto import client
from tests.e2e.conftest import ROOT, Sandbox

pytestmark = pytest.mark.sandbox
STACKS = ("--sandbox", "--stack", "*-pipeline")
NAME = "aws-pipeline-main"


def resources(sandbox: Sandbox) -> dict[str, list[str]]:
    """What stands in each cloud, by the stack that made it."""
    found: dict[str, list[str]] = {}
    for record in sandbox.cloud("list"):
        _, _, stack, project, *_ = record["urn"].replace("::", ":").split(":")
        if project == "accelfleet" and stack.endswith("-pipeline"):
            found.setdefault(stack, []).append(record["urn"])
    return found


@pytest.fixture(scope="module")
def pipelines(sandbox: Sandbox) -> Iterator[Sandbox]:
    done = sandbox.json("up", *STACKS)
    assert set(done["stacks"]) == {f"{cloud}-pipeline" for cloud in PUBLIC}
    said = {cloud: (sandbox.home / "out" / "logs" / f"{cloud}-pipeline.up.log").read_text() for cloud in PUBLIC}
    assert "is not modelled" not in said[Cloud.AWS]
    # What a policy finds stands below the pack's name, with its level.
    assert [
        cloud for cloud in PUBLIC if "accelfleet@v" not in said[cloud] or re.search(r"\[(advisory|mandatory)\]", said[cloud])
    ] == []
    yield sandbox
    sandbox.fleet("destroy", *STACKS)
    assert resources(sandbox) == {}
    assert ask(sandbox, "sqs").list_queues(QueueNamePrefix=NAME).get("QueueUrls", []) == []


@pytest.fixture
def pipeline(pipelines: Sandbox) -> Sandbox:
    return pipelines


def ask(sandbox: Sandbox, service: str) -> Any:
    return client(sandbox.cloud("status")["stores"]["aws"], service, "us-east-1")


def test_an_object_in_the_store_is_a_message_for_the_workflow(pipeline: Sandbox) -> None:
    s3, sqs = ask(pipeline, "s3"), ask(pipeline, "sqs")
    (bucket,) = [b["Name"] for b in s3.list_buckets()["Buckets"] if f"{NAME}-data" in b["Name"]]
    s3.put_object(Bucket=bucket, Key="new.parquet", Body=b"rows")
    url = sqs.get_queue_url(QueueName=f"{NAME}-arrivals")["QueueUrl"]
    got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)["Messages"]
    events = [event for message in got for event in json.loads(message["Body"]).get("Records") or []]
    assert [event["s3"]["object"]["key"] for event in events] == ["new.parquet"]

    pipe = ask(pipeline, "pipes").describe_pipe(Name=f"{NAME}-learn")
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    machine = ask(pipeline, "stepfunctions").describe_state_machine(stateMachineArn=pipe["Target"])
    assert pipe["Source"] == queue
    steps = json.loads(machine["definition"])["States"]
    assert list(steps) == ["prepare", "tune"]
    function = ask(pipeline, "lambda").get_function(FunctionName=f"{NAME}-prepare")["Configuration"]
    assert steps["prepare"]["Parameters"]["FunctionName"] == function["FunctionArn"]


def test_what_watches_and_analyses_stands_in_aws(pipeline: Sandbox) -> None:
    alarms = ask(pipeline, "cloudwatch").describe_alarms()["MetricAlarms"]
    assert {a["AlarmName"]: a["MetricName"] for a in alarms} == {
        f"{NAME}-late": "ApproximateNumberOfMessagesVisible",
        f"{NAME}-failed": "ExecutionsFailed",
    }
    assert ask(pipeline, "athena").get_work_group(WorkGroup=f"{NAME}-lake")["WorkGroup"]["State"] == "ENABLED"
    assert ask(pipeline, "glue").get_crawler(Name=f"{NAME}-lake")["Crawler"]["DatabaseName"] == f"{NAME}-lake".replace("-", "_")
    assert [a["name"] for a in ask(pipeline, "emr-serverless").list_applications()["applications"]] == [f"{NAME}-features"]


@pytest.mark.parametrize("cloud", PUBLIC)
def test_every_service_of_the_file_stands_in_its_cloud(cloud: Cloud, pipelines: Sandbox) -> None:
    services = load_stack(ROOT / "stacks" / f"{cloud}-pipeline.yaml").clusters["main"].services
    made = resources(pipelines)[f"{cloud}-pipeline"]
    # A child's URN has its component's type before its own, and its name begins with the component's.
    lacking = [key for _, key, _ in services.all() if not any(f"::main-service-{key}" in urn for urn in made)]
    assert lacking == []


def test_a_second_up_changes_nothing(pipelines: Sandbox) -> None:
    result = pipelines.json("up", *STACKS, "--expect-no-changes")
    assert all(set(s["changes"]) <= {"same"} and s["ok"] for s in result["stacks"].values()), result
