"""AWS's services beside clusters, made for real in moto's server: queues, functions, workflows, SageMaker, Athena and others.

A record is written as for every type; then the same thing is made in moto by boto3, so that the vendor's own client finds it,
and what moto's services do to each other they do: an object put into a bucket makes a message in its queue. What moto does not
run (a Lambda's container, a training, a pipe) is there and does nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.cloud import aws
from sandbox.cloud.aws import Aws
from sandbox.cloud.in_moto import Call, Json, in_moto
from sandbox.cloud.records import Record


def _given(record: Record, **names: str) -> Json:
    """Arguments by their names there, from inputs by ours; what was not given is left out."""
    found = {theirs: record.inputs.get(ours) for theirs, ours in names.items()}
    return {theirs: _whole(value) for theirs, value in found.items() if value is not None}


def _whole(value: Any) -> Any:
    """Numbers come from the engine as floats; the API's are whole."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(part) for key, part in value.items()}
    return [_whole(part) for part in value] if isinstance(value, list) else value


def _upper(value: Any) -> Any:
    """`maximumCapacity: {cpu: …}` as the API spells it."""
    if isinstance(value, dict):
        return {key[0].upper() + key[1:]: _upper(part) for key, part in value.items()}
    return [_upper(part) for part in value] if isinstance(value, list) else _whole(value)


def _role(record: Record) -> Json | None:
    """Lambda looks its role up; nobody else in moto does."""
    trust = str(record.inputs.get("assumeRolePolicy"))
    if "lambda.amazonaws.com" not in trust:
        return None
    return {"RoleName": record.inputs["name"], "AssumeRolePolicyDocument": trust}


def _queue(record: Record) -> Json:
    of = {
        "VisibilityTimeout": "visibilityTimeoutSeconds",
        "MessageRetentionPeriod": "messageRetentionSeconds",
        "ReceiveMessageWaitTimeSeconds": "receiveWaitTimeSeconds",
        "RedrivePolicy": "redrivePolicy",
        "SqsManagedSseEnabled": "sqsManagedSseEnabled",
    }
    attributes = {name: _text(value) for name, value in _given(record, **of).items()}
    return {"QueueName": record.inputs["name"], "Attributes": attributes}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _queue_url(record: Record) -> Json:
    return {"QueueUrl": record.id}


def _topic(record: Record) -> Json:
    attributes = {name: _text(value) for name, value in _given(record, KmsMasterKeyId="kmsMasterKeyId").items()}
    return {"Name": record.inputs["name"], "Attributes": attributes}


def _subscription(record: Record) -> Json:
    raw = {"RawMessageDelivery": _text(bool(record.inputs.get("rawMessageDelivery")))}
    return {**_given(record, TopicArn="topic", Protocol="protocol", Endpoint="endpoint"), "Attributes": raw}


def _events(record: Record) -> Json:
    queues = [{"QueueArn": queue["queueArn"], "Events": queue["events"]} for queue in record.inputs.get("queues") or []]
    return {"Bucket": record.inputs["bucket"], "NotificationConfiguration": {"QueueConfigurations": queues}}


def _function(record: Record) -> Json | None:
    if record.inputs.get("packageType") != "Image":
        return None  # its code is the program's files, and nothing here would run it
    variables = (record.inputs.get("environment") or {}).get("variables") or {}
    return {
        **_given(record, FunctionName="name", Role="role", MemorySize="memorySize", Timeout="timeout"),
        "PackageType": "Image",
        "Code": {"ImageUri": record.inputs["imageUri"]},
        "Environment": {"Variables": variables},
    }


def _model(record: Record) -> Json:
    container = record.inputs["primaryContainer"]
    source = ((container.get("modelDataSource") or {}).get("s3DataSources") or [{}])[0]
    data = {"S3DataSource": _upper({k.replace("s3", "S3"): v for k, v in source.items()})} if source else None
    primary = {"Image": container["image"], **({"ModelDataSource": data} if data else {})}
    asked = _given(
        record, ModelName="name", ExecutionRoleArn="executionRoleArn", EnableNetworkIsolation="enableNetworkIsolation"
    )
    return {**asked, "PrimaryContainer": primary}


def _workgroup(record: Record) -> Json:
    given = record.inputs.get("configuration") or {}
    result = given.get("resultConfiguration") or {}
    kept = {
        "EnforceWorkGroupConfiguration": given.get("enforceWorkgroupConfiguration"),
        "BytesScannedCutoffPerQuery": _whole(given.get("bytesScannedCutoffPerQuery")),
        "ResultConfiguration": _upper(result),
    }
    return {"Name": record.inputs["name"], "Configuration": {key: value for key, value in kept.items() if value is not None}}


def _database(record: Record) -> Json:
    return {"DatabaseInput": {"Name": record.inputs["name"]}}


def _crawler(record: Record) -> Json:
    targets = {"S3Targets": _upper(record.inputs.get("s3Targets") or [])}
    return {**_given(record, Name="name", Role="role", DatabaseName="databaseName"), "Targets": targets}


def _alarm(record: Record) -> Json:
    dimensions = [{"Name": key, "Value": value} for key, value in (record.inputs.get("dimensions") or {}).items()]
    return {
        **_given(
            record,
            AlarmName="name",
            Namespace="namespace",
            MetricName="metricName",
            Statistic="statistic",
            Period="period",
            EvaluationPeriods="evaluationPeriods",
            Threshold="threshold",
            ComparisonOperator="comparisonOperator",
            TreatMissingData="treatMissingData",
            AlarmActions="alarmActions",
        ),
        "Dimensions": dimensions,
    }


def _named(argument: str) -> Callable[[Record], Json]:
    return lambda record: {argument: record.inputs["name"]}


def _known(type_: str, call: Call) -> dict[str, Aws]:
    """A type that `sandbox.cloud.aws` models."""
    inner = aws.TYPES[type_]
    assert isinstance(inner, Aws), f"{type_} is no AWS type"
    return {type_: in_moto(inner, call)}


def _new(type_: str, service: str, arn: str, call: Call, *immutable: str) -> dict[str, Aws]:
    return {type_: in_moto(Aws(service=service, arn=arn, immutable=("name", *immutable)), call)}


TYPES: dict[str, Aws] = {
    **_known("aws:iam/role:Role", Call("iam", "create_role", _role, "delete_role", lambda r: {"RoleName": r.inputs["name"]})),
    **_known("aws:sqs/queue:Queue", Call("sqs", "create_queue", _queue, "delete_queue", _queue_url)),
    **_known("aws:sns/topic:Topic", Call("sns", "create_topic", _topic, "delete_topic", lambda r: {"TopicArn": r.id})),
    **_known("aws:sns/topicSubscription:TopicSubscription", Call("sns", "subscribe", _subscription)),
    **_known("aws:s3/bucketNotification:BucketNotification", Call("s3", "put_bucket_notification_configuration", _events)),
    **_known(
        "aws:lambda/function:Function",
        Call("lambda", "create_function", _function, "delete_function", _named("FunctionName")),
    ),
    **_known(
        "aws:cloudwatch/logGroup:LogGroup",
        Call("logs", "create_log_group", _named("logGroupName"), "delete_log_group", _named("logGroupName")),
    ),
    **_new(
        "aws:cloudwatch/metricAlarm:MetricAlarm",
        "cloudwatch",
        "alarm:{name}",
        Call("cloudwatch", "put_metric_alarm", _alarm, "delete_alarms", lambda r: {"AlarmNames": [r.inputs["name"]]}),
    ),
    **_new(
        "aws:sfn/stateMachine:StateMachine",
        "states",
        "stateMachine:{name}",
        Call(
            "stepfunctions",
            "create_state_machine",
            lambda r: _given(r, name="name", definition="definition", roleArn="roleArn"),
            "delete_state_machine",
            lambda r: {"stateMachineArn": r.outputs["arn"]},
        ),
    ),
    **_new(
        "aws:pipes/pipe:Pipe",
        "pipes",
        "pipe/{name}",
        Call(
            "pipes",
            "create_pipe",
            lambda r: _given(r, Name="name", Source="source", Target="target", RoleArn="roleArn"),
            "delete_pipe",
            _named("Name"),
        ),
        "source",
    ),
    **_new(
        "aws:sagemaker/model:Model",
        "sagemaker",
        "model/{name}",
        Call("sagemaker", "create_model", _model, "delete_model", _named("ModelName")),
        "primaryContainer",
        "executionRoleArn",
    ),
    **_new(
        "aws:athena/workgroup:Workgroup",
        "athena",
        "workgroup/{name}",
        Call("athena", "create_work_group", _workgroup, "delete_work_group", _named("WorkGroup")),
    ),
    **_new(
        "aws:glue/catalogDatabase:CatalogDatabase",
        "glue",
        "database/{name}",
        Call(
            "glue",
            "create_database",
            lambda r: {"DatabaseInput": {"Name": r.inputs["name"]}},
            "delete_database",
            _named("Name"),
        ),
    ),
    **_new(
        "aws:glue/crawler:Crawler",
        "glue",
        "crawler/{name}",
        Call("glue", "create_crawler", _crawler, "delete_crawler", _named("Name")),
    ),
    **_new(
        "aws:emrserverless/application:Application",
        "emr-serverless",
        "/applications/{id}",
        Call(
            "emr-serverless",
            "create_application",
            lambda r: {**_given(r, name="name", releaseLabel="releaseLabel"), "type": "SPARK"},
            "delete_application",
            lambda r: {"applicationId": r.outputs["applicationId"]},
            (("applicationId", "applicationId"),),
        ),
    ),
    # Recorded alone: moto's endpoints know the instance types of 2020 and no others.
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration": Aws(
        service="sagemaker", key=("name",), arn="endpoint-config/{name}", immutable=("name", "productionVariants")
    ),
    "aws:sagemaker/endpoint:Endpoint": Aws(service="sagemaker", key=("name",), arn="endpoint/{name}", immutable=("name",)),
    # And what belongs to others of these and is theirs alone.
    "aws:sns/topicPolicy:TopicPolicy": Aws(key=("arn",), immutable=("arn",)),
    "aws:lambda/eventSourceMapping:EventSourceMapping": Aws(
        service="lambda", key=("functionName", "eventSourceArn"), arn="event-source-mapping:{id}", immutable=("eventSourceArn",)
    ),
}
