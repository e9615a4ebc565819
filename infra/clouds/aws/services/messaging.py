"""SNS topics and SQS queues: encrypted, TLS only, and for named senders only.

Owns what a store's events and a topic's messages need to reach a queue. Refuses FIFO: order costs throughput, and nothing
here needs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_aws as aws

from fleet.spec_services import AlarmWhen, QueueSpec, TopicSpec
from infra.clouds.aws.network import AwsNetwork
from infra.clouds.aws.services.rights import VERSION, Metric, account
from infra.clouds.services import ServiceArgs

_DEAD_KEEP_S = 14 * 86400  # SQS's longest


def encrypted_topic(parent: pulumi.Resource, name: str, physical: str, publishers: Sequence[str]) -> aws.sns.Topic:
    """A topic under a key of its own: with AWS's own key for SNS no other service could publish to it.

    https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html

    Args:
        publishers: services of AWS that publish to it on behalf of this account.
    """
    child = pulumi.ResourceOptions(parent=parent)
    mine = account(parent)
    owner = pulumi.Output.concat("arn:aws:iam::", mine, ":root")
    statements: list[dict[str, Any]] = [
        {"Sid": "Account", "Effect": "Allow", "Principal": {"AWS": owner}, "Action": "kms:*", "Resource": "*"}
    ]
    if publishers:
        statements.append(
            {
                "Sid": "Publishers",
                "Effect": "Allow",
                "Principal": {"Service": list(publishers)},
                "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
                "Resource": "*",
                "Condition": {"StringEquals": {"aws:SourceAccount": mine}},
            }
        )
    key = aws.kms.Key(
        f"{name}-key",
        description=f"Messages of {physical}",
        enable_key_rotation=True,
        deletion_window_in_days=7,
        policy=pulumi.Output.json_dumps({"Version": VERSION, "Statement": statements}),
        opts=child,
    )
    topic = aws.sns.Topic(f"{name}-topic", name=physical, kms_master_key_id=key.id, signature_version=2, opts=child)
    allowed: list[dict[str, Any]] = [_without_tls("sns:Publish", topic.arn)]
    if publishers:
        allowed.append(
            {
                "Sid": "Publishers",
                "Effect": "Allow",
                "Principal": {"Service": list(publishers)},
                "Action": "sns:Publish",
                "Resource": topic.arn,
                "Condition": {"StringEquals": {"aws:SourceAccount": mine}},
            }
        )
    policy = pulumi.Output.json_dumps({"Version": VERSION, "Statement": allowed})
    aws.sns.TopicPolicy(f"{name}-policy", arn=topic.arn, policy=policy, opts=child)
    return topic


class SnsTopic(pulumi.ComponentResource):
    """A topic; its queues subscribe themselves."""

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[TopicSpec, AwsNetwork], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:aws:SnsTopic", name, {}, opts)
        self.address = encrypted_topic(self, name, args.named(limit=256), publishers=()).arn
        self.register_outputs({"address": self.address})


class SqsQueue(pulumi.ComponentResource):
    """A queue with another behind it for what nobody could work off, after "Amazon SQS security best practices"."""

    address: pulumi.Output[str]
    # By which `fleet.queues` knows it.
    counted: pulumi.Output[str]
    arn: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[QueueSpec, AwsNetwork], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:aws:SqsQueue", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        spec = args.spec
        dead = aws.sqs.Queue(
            f"{name}-dead",
            name=args.named("dead", limit=80),
            sqs_managed_sse_enabled=True,
            message_retention_seconds=_DEAD_KEEP_S,
            opts=child,
        )
        queue = aws.sqs.Queue(
            f"{name}-queue",
            name=args.named(limit=80),
            sqs_managed_sse_enabled=True,
            message_retention_seconds=spec.keep_days * 86400,
            visibility_timeout_seconds=spec.work_s,
            receive_wait_time_seconds=20,
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": dead.arn, "maxReceiveCount": spec.dead_letter_after}
            ),
            opts=child,
        )
        self.arn, self.address, self.counted = queue.arn, queue.url, queue.url
        senders: list[dict[str, Any]] = []
        store = args.stores[spec.store] if spec.store else None
        topic = args.beside[spec.topic] if spec.topic else None
        if store is not None:
            senders.append(_sender("s3.amazonaws.com", queue.arn, store.bucket_arn, account(self)))
        if topic is not None:
            senders.append(_sender("sns.amazonaws.com", queue.arn, topic.address, account(self)))
        policy = aws.sqs.QueuePolicy(
            f"{name}-policy",
            queue_url=queue.url,
            policy=pulumi.Output.json_dumps({"Version": VERSION, "Statement": [_without_tls("sqs:*", queue.arn), *senders]}),
            opts=child,
        )
        # S3 tries the queue when it is told of it.
        after = pulumi.ResourceOptions(parent=self, depends_on=[policy])
        if store is not None:
            news = aws.s3.BucketNotificationQueueArgs(queue_arn=queue.arn, events=["s3:ObjectCreated:*"])
            aws.s3.BucketNotification(f"{name}-events", bucket=store.physical_name, queues=[news], opts=after)
        if topic is not None:
            aws.sns.TopicSubscription(
                f"{name}-subscription",
                topic=topic.address,
                protocol="sqs",
                endpoint=queue.arn,
                raw_message_delivery=True,
                opts=after,
            )
        of = {"QueueName": queue.name}
        self.metrics = {
            AlarmWhen.BACKLOG: Metric("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", of),
            AlarmWhen.AGE: Metric("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", of),
        }
        self.register_outputs({"address": self.address, "arn": self.arn})


def _without_tls(action: str, resource: pulumi.Output[str]) -> dict[str, Any]:
    return {
        "Sid": "DenyWithoutTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def _sender(service: str, queue: pulumi.Output[str], source: pulumi.Output[str], owner: pulumi.Output[str]) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": source}, "StringEquals": {"aws:SourceAccount": owner}},
    }
