"""Pub/Sub topics and queues. A queue is a subscription: of the topic it names, else of one of its own.

Google encrypts all of it. Messages stay in the region. Who works a queue off decides how its messages come: a function has
them pushed, a workflow brings its own trigger, anybody else pulls.
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_gcp as gcp

from fleet.spec_services import AlarmWhen, Kind, QueueSpec, TopicSpec
from infra.clouds.gcp.network import GcpNetwork
from infra.clouds.gcp.services.rights import Metric, project
from infra.clouds.services import ServiceArgs

_DEAD_KEEP_S = 7 * 86400


def _topic(parent: pulumi.Resource, name: str, physical: str, args: ServiceArgs[Any, GcpNetwork]) -> gcp.pubsub.Topic:
    return gcp.pubsub.Topic(
        f"{name}-topic",
        name=physical,
        message_storage_policy=gcp.pubsub.TopicMessageStoragePolicyArgs(allowed_persistence_regions=[args.region]),
        labels=args.tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )


class PubSubTopic(pulumi.ComponentResource):
    """A topic; queues that name it subscribe themselves."""

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[TopicSpec, GcpNetwork], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:gcp:PubSubTopic", name, {}, opts)
        self.topic = _topic(self, name, args.named(limit=255), args)
        self.address = self.topic.id
        self.register_outputs({"address": self.address})


class PubSubQueue(pulumi.ComponentResource):
    """A queue with another topic behind it for what nobody could work off, after "Handle message failures".

    Attributes:
        address: the subscription to pull from; of a queue that a service works off, the topic.
        counted: the address, by which `fleet.queues` knows it.
    """

    address: pulumi.Output[str]
    counted: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[QueueSpec, GcpNetwork], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:gcp:PubSubQueue", name, {}, opts)
        self._name, self._args = name, args
        self.topic = args.beside[args.spec.topic].topic if args.spec.topic else self._own_topic()
        self._agent = project(self).number.apply(
            lambda number: f"serviceAccount:service-{number}@gcp-sa-pubsub.iam.gserviceaccount.com"
        )
        self.address = self.topic.id
        if args.consumer is None:
            self.address = self.subscribe(None, self).id
        self.counted = self.address
        of = pulumi.Output.format('resource.label.subscription_id="{0}"', args.named(limit=255))
        if args.consumer is Kind.WORKFLOWS:
            # Eventarc names its subscription itself.
            of = pulumi.Output.format('metadata.system_labels.topic_id="{0}"', self.topic.name)
        kind = 'resource.type="pubsub_subscription" AND metric.type="pubsub.googleapis.com/subscription/'
        self.metrics = {
            AlarmWhen.BACKLOG: Metric(pulumi.Output.concat(f'{kind}num_undelivered_messages" AND ', of), "ALIGN_MAX"),
            AlarmWhen.AGE: Metric(pulumi.Output.concat(f'{kind}oldest_unacked_message_age" AND ', of), "ALIGN_MAX"),
        }
        self.register_outputs({"address": self.address})

    def _own_topic(self) -> gcp.pubsub.Topic:
        name, args, child = self._name, self._args, pulumi.ResourceOptions(parent=self)
        topic = _topic(self, name, args.named(limit=255), args)
        if args.spec.store:
            agent = project(self).number.apply(
                lambda number: f"serviceAccount:service-{number}@gs-project-accounts.iam.gserviceaccount.com"
            )
            publishes = gcp.pubsub.TopicIAMMember(
                f"{name}-events", topic=topic.name, role="roles/pubsub.publisher", member=agent, opts=child
            )
            gcp.storage.Notification(
                f"{name}-events",
                bucket=args.stores[args.spec.store].bucket_name,
                topic=topic.id,
                payload_format="JSON_API_V1",
                event_types=["OBJECT_FINALIZE"],
                opts=pulumi.ResourceOptions(parent=self, depends_on=[publishes]),
            )
        return topic

    def subscribe(self, push: gcp.pubsub.SubscriptionPushConfigArgs | None, parent: pulumi.Resource) -> gcp.pubsub.Subscription:
        """The queue's subscription, and where its failures go.

        Args:
            push: where its messages go by themselves; without, somebody pulls.
        """
        name, args, child = self._name, self._args, pulumi.ResourceOptions(parent=parent)
        dead = _topic(parent, f"{name}-dead", args.named("dead", limit=255), args)
        gcp.pubsub.Subscription(
            f"{name}-dead",
            name=args.named("dead", limit=255),
            topic=dead.id,
            message_retention_duration=f"{_DEAD_KEEP_S}s",
            expiration_policy=gcp.pubsub.SubscriptionExpirationPolicyArgs(ttl=""),
            labels=args.tags,
            opts=child,
        )
        gcp.pubsub.TopicIAMMember(
            f"{name}-dead", topic=dead.name, role="roles/pubsub.publisher", member=self._agent, opts=child
        )
        made = gcp.pubsub.Subscription(
            f"{name}-subscription",
            name=args.named(limit=255),
            topic=self.topic.id,
            ack_deadline_seconds=args.spec.work_s,
            message_retention_duration=f"{args.spec.keep_days * 86400}s",
            # An idle queue is a queue.
            expiration_policy=gcp.pubsub.SubscriptionExpirationPolicyArgs(ttl=""),
            dead_letter_policy=gcp.pubsub.SubscriptionDeadLetterPolicyArgs(
                dead_letter_topic=dead.id, max_delivery_attempts=args.spec.dead_letter_after
            ),
            retry_policy=gcp.pubsub.SubscriptionRetryPolicyArgs(minimum_backoff="10s", maximum_backoff="600s"),
            push_config=push,
            labels=args.tags,
            opts=child,
        )
        gcp.pubsub.SubscriptionIAMMember(
            f"{name}-dead", subscription=made.name, role="roles/pubsub.subscriber", member=self._agent, opts=child
        )
        return made
