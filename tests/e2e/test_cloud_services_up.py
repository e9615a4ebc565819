"""A stack with every kind of AWS service comes up beside its cluster, an object starts the pipeline's queue, and it goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.cloud.aws_services import client
from tests.e2e.conftest import Sandbox

pytestmark = pytest.mark.sandbox
STACK = ("--sandbox", "--stack", "aws-pipeline")
NAME = "aws-pipeline-main"


@pytest.fixture(scope="module")
def pipeline(sandbox: Sandbox) -> Iterator[Sandbox]:
    done = sandbox.fleet("up", *STACK)
    assert "is not modelled" not in done.stdout + done.stderr
    yield sandbox
    sandbox.fleet("destroy", *STACK)
    assert [r["urn"] for r in sandbox.cloud("list") if "::accelfleet::" in r["urn"] and "aws-pipeline" in r["urn"]] == []
    assert ask(sandbox, "sqs").list_queues(QueueNamePrefix=NAME).get("QueueUrls", []) == []


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


def test_a_second_up_changes_nothing(pipeline: Sandbox) -> None:
    said = pipeline.fleet("preview", *STACK).stdout
    assert "nothing changes" in said or "no changes" in said.lower(), said
