"""AWS's services in moto: what a stack makes is there for AWS's own client, does what moto can do, and goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from sandbox.cloud.behaviour import AWS_ACCOUNT
from sandbox.cloud.errors import CloudError
from sandbox.cloud.in_moto import client
from sandbox.cloud.records import Record
from sandbox.cloud.world import World

pytestmark = pytest.mark.sandbox
REGION = "us-east-1"
REGISTRY = f"{AWS_ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
ROLE = f"arn:aws:iam::{AWS_ACCOUNT}:role/job"
DEFINITION = {"StartAt": "only", "States": {"only": {"Type": "Pass", "End": True}}}


class Cloud:
    """A world, and AWS's client of what is in it."""

    def __init__(self, home: Path) -> None:
        self.world = World(home)
        self._made: list[Record] = []

    def make(self, type_: str, **inputs: Any) -> Record:
        urn = f"urn:pulumi:test::test::{type_}::{len(self._made)}"
        made = self.world.create("aws", type_, urn, {"region": REGION}, inputs, {})
        self._made.append(made)
        return made

    def ask(self, service: str) -> Any:
        return client(self.world.buckets.s3.endpoint, service, REGION)

    def empty(self) -> None:
        for record in reversed(self._made):
            self.world.delete("aws", record.type, record.id)


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    found = Cloud(tmp_path_factory.mktemp("aws"))
    yield found
    found.empty()
    assert found.ask("sqs").list_queues().get("QueueUrls", []) == []
    assert found.ask("stepfunctions").list_state_machines()["stateMachines"] == []
    assert found.ask("lambda").list_functions()["Functions"] == []
    assert found.ask("glue").list_crawlers()["CrawlerNames"] == []
    found.world.close()


def messages(aws: Cloud, queue: str) -> list[str]:
    sqs = aws.ask("sqs")
    url = sqs.get_queue_url(QueueName=queue)["QueueUrl"]
    got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2).get("Messages") or []
    return [message["Body"] for message in got]


def test_an_object_makes_a_message_in_the_queue_of_its_store(aws: Cloud) -> None:
    dead = aws.make("aws:sqs/queue:Queue", name="arrivals-dead", messageRetentionSeconds=1209600.0, sqsManagedSseEnabled=True)
    redrive = json.dumps({"deadLetterTargetArn": dead.outputs["arn"], "maxReceiveCount": 5})
    queue = aws.make("aws:sqs/queue:Queue", name="arrivals", visibilityTimeoutSeconds=60.0, redrivePolicy=redrive)
    aws.make("aws:s3/bucket:Bucket", bucket="data", forceDestroy=True)
    news = [{"queueArn": queue.outputs["arn"], "events": ["s3:ObjectCreated:*"]}]
    aws.make("aws:s3/bucketNotification:BucketNotification", bucket="data", queues=news)

    aws.ask("s3").put_object(Bucket="data", Key="week-48/part.parquet", Body=b"rows")

    events = [event for body in messages(aws, "arrivals") for event in json.loads(body).get("Records") or []]
    assert [unquote(event["s3"]["object"]["key"]) for event in events] == ["week-48/part.parquet"]
    url = aws.ask("sqs").get_queue_url(QueueName="arrivals")["QueueUrl"]
    has = aws.ask("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert has["QueueArn"] == queue.outputs["arn"]
    assert has["VisibilityTimeout"] == "60"
    assert json.loads(has["RedrivePolicy"])["maxReceiveCount"] == 5


def test_a_topics_message_comes_to_each_of_its_queues(aws: Cloud) -> None:
    topic = aws.make("aws:sns/topic:Topic", name="news")
    for name in ("audit", "copy"):
        queue = aws.make("aws:sqs/queue:Queue", name=name)
        about = {"topic": topic.id, "protocol": "sqs", "endpoint": queue.outputs["arn"], "rawMessageDelivery": True}
        aws.make("aws:sns/topicSubscription:TopicSubscription", **about)
    aws.ask("sns").publish(TopicArn=topic.id, Message="hello")
    assert messages(aws, "audit") == messages(aws, "copy") == ["hello"]


def test_a_function_a_workflow_and_a_pipe_are_there(aws: Cloud) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = aws.make("aws:iam/role:Role", name="prepare", assumeRolePolicy=policy).outputs["arn"]
    about = {"packageType": "Image", "imageUri": f"{REGISTRY}/prepare:1.0", "role": role, "memorySize": 1024.0, "timeout": 60.0}
    made = aws.make("aws:lambda/function:Function", name="prepare", **about)
    found = aws.ask("lambda").get_function(FunctionName="prepare")["Configuration"]
    assert (found["FunctionArn"], found["MemorySize"], found["Timeout"]) == (made.outputs["arn"], 1024, 60)
    machine = aws.make("aws:sfn/stateMachine:StateMachine", name="learn", definition=json.dumps(DEFINITION), roleArn=ROLE)
    run = aws.ask("stepfunctions").start_execution(stateMachineArn=machine.outputs["arn"], input="{}")
    assert run["executionArn"].startswith(f"arn:aws:states:{REGION}:{AWS_ACCOUNT}:execution:learn:")
    queue = aws.make("aws:sqs/queue:Queue", name="begins")
    aws.make("aws:pipes/pipe:Pipe", name="learn", source=queue.outputs["arn"], target=machine.outputs["arn"], roleArn=ROLE)
    assert aws.ask("pipes").describe_pipe(Name="learn")["Target"] == machine.outputs["arn"]


def test_what_moto_refuses_is_refused_and_not_there(aws: Cloud) -> None:
    about = {"packageType": "Image", "imageUri": f"{REGISTRY}/lost:1.0", "role": f"{ROLE}-of-nobody"}
    with pytest.raises(CloudError, match="cannot be assumed by Lambda"):
        aws.make("aws:lambda/function:Function", name="lost", **about)
    assert [r.name for r in aws.world.records.all("aws", "aws:lambda/function:Function") if r.name == "lost"] == []


def test_a_model_is_there_and_its_endpoint_is_recorded(aws: Cloud) -> None:
    source = {"s3Uri": "s3://models/chat/", "s3DataType": "S3Prefix", "compressionType": "None"}
    container = {"image": f"{REGISTRY}/serve:1.0", "modelDataSource": {"s3DataSources": [source]}}
    about = {"executionRoleArn": ROLE, "enableNetworkIsolation": True, "primaryContainer": container}
    aws.make("aws:sagemaker/model:Model", name="chat-1", **about)
    found = aws.ask("sagemaker").describe_model(ModelName="chat-1")
    assert found["PrimaryContainer"]["Image"] == f"{REGISTRY}/serve:1.0"
    made = aws.make("aws:sagemaker/endpoint:Endpoint", name="chat", endpointConfigName="chat-1")
    assert made.outputs["arn"] == f"arn:aws:sagemaker:{REGION}:{AWS_ACCOUNT}:endpoint/chat"


def test_a_warehouse_jobs_logs_and_an_alarm_are_there(aws: Cloud) -> None:
    result = {"outputLocation": "s3://data/results/", "encryptionConfiguration": {"encryptionOption": "SSE_S3"}}
    settings = {"enforceWorkgroupConfiguration": True, "bytesScannedCutoffPerQuery": 2.0**40, "resultConfiguration": result}
    aws.make("aws:athena/workgroup:Workgroup", name="lake", configuration=settings)
    kept = aws.ask("athena").get_work_group(WorkGroup="lake")["WorkGroup"]["Configuration"]["ResultConfiguration"]
    assert kept["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}
    aws.make("aws:glue/catalogDatabase:CatalogDatabase", name="lake")
    aws.make("aws:glue/crawler:Crawler", name="lake", role=ROLE, databaseName="lake", s3Targets=[{"path": "s3://data"}])
    assert aws.ask("glue").get_crawler(Name="lake")["Crawler"]["DatabaseName"] == "lake"
    aws.make("aws:emrserverless/application:Application", name="features", releaseLabel="emr-7.9.0", type="spark")
    assert [a["name"] for a in aws.ask("emr-serverless").list_applications()["applications"]] == ["features"]
    aws.make("aws:cloudwatch/logGroup:LogGroup", name="/aws/lambda/prepare", retentionInDays=30.0)
    assert aws.ask("logs").describe_log_groups()["logGroups"][0]["logGroupName"] == "/aws/lambda/prepare"
    aws.make(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        name="late",
        namespace="AWS/SQS",
        metricName="ApproximateNumberOfMessagesVisible",
        statistic="Maximum",
        period=60.0,
        evaluationPeriods=10.0,
        threshold=100.0,
        comparisonOperator="GreaterThanThreshold",
        dimensions={"QueueName": "arrivals"},
    )
    (alarm,) = aws.ask("cloudwatch").describe_alarms(AlarmNames=["late"])["MetricAlarms"]
    assert (alarm["Threshold"], alarm["Dimensions"]) == (100.0, [{"Name": "QueueName", "Value": "arrivals"}])


def test_many_at_once_start_one_server(tmp_path: Path) -> None:
    world = World(tmp_path)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert len({id(server) for server in pool.map(lambda _: world.buckets.server("aws"), range(8))}) == 1
    finally:
        world.close()
