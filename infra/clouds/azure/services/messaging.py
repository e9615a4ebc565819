"""Service Bus: one namespace a cluster, with its topics and queues; Entra identities only, no keys.

The Standard tier, which every network reaches and no key opens: a private endpoint wants Premium, at some hundred times the
price. A message that nobody could work off lies in the queue's own dead letters.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi_azure_native import eventgrid, servicebus

from fleet.naming import global_name
from fleet.spec_services import AlarmWhen, QueueSpec, TopicSpec
from infra.clouds.azure.network import AzureNetwork
from infra.clouds.azure.roles import Role, grant
from infra.clouds.azure.services.rights import Metric, account_id
from infra.clouds.services import ServiceArgs


def bus(args: ServiceArgs[Any, AzureNetwork]) -> servicebus.Namespace:
    """The cluster's namespace: messages go from a topic to queues of the same one only."""

    def make() -> servicebus.Namespace:
        return servicebus.Namespace(
            f"{args.shared.name}-bus",
            # Unique in the world, as it is a host's name.
            namespace_name=global_name(args.shared.physical_name, "bus", limit=50),
            resource_group_name=args.network.resource_group_name,
            location=args.region,
            sku=servicebus.SBSkuArgs(name="Standard", tier="Standard"),
            disable_local_auth=True,
            minimum_tls_version="1.2",
            tags=args.tags,
            opts=args.shared.opts,
        )

    made: servicebus.Namespace = args.shared.once("bus", make)
    return made


class BusTopic(pulumi.ComponentResource):
    """A topic; queues that name it have a subscription there which forwards to them.

    Attributes:
        address: the topic's id.
    """

    address: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[TopicSpec, AzureNetwork], opts: pulumi.ResourceOptions) -> None:
        super().__init__("accelfleet:azure:BusTopic", name, None, opts)
        self.topic = servicebus.Topic(
            f"{name}-topic",
            topic_name=args.named(limit=260),
            namespace_name=bus(args).name,
            resource_group_name=args.network.resource_group_name,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.address = self.topic.id
        self.register_outputs({"address": self.address})


class BusQueue(pulumi.ComponentResource):
    """Attributes:
    address: `<namespace>.servicebus.windows.net/<queue>`.
    counted: its id, by which `fleet.queues` knows it.
    """

    address: pulumi.Output[str]
    counted: pulumi.Output[str]

    def __init__(self, name: str, args: ServiceArgs[QueueSpec, AzureNetwork], opts: pulumi.ResourceOptions) -> None:
        super().__init__("accelfleet:azure:BusQueue", name, None, opts)
        child, spec, space = pulumi.ResourceOptions(parent=self), args.spec, bus(args)
        group = args.network.resource_group_name
        self.queue = servicebus.Queue(
            f"{name}-queue",
            queue_name=args.named(limit=260),
            namespace_name=space.name,
            resource_group_name=group,
            lock_duration=f"PT{spec.work_s}S",
            max_delivery_count=spec.dead_letter_after,
            default_message_time_to_live=f"P{spec.keep_days}D",
            dead_lettering_on_message_expiration=True,
            opts=child,
        )
        self.namespace = space.name
        self.address = pulumi.Output.concat(space.name, ".servicebus.windows.net/", self.queue.name)
        self.counted = self.queue.id
        if spec.topic:
            servicebus.Subscription(
                f"{name}-subscription",
                subscription_name=args.named(limit=50),
                topic_name=args.beside[spec.topic].topic.name,
                namespace_name=space.name,
                resource_group_name=group,
                forward_to=self.queue.name,
                opts=child,
            )
        if spec.store:
            self._events(name, args)
        of = (("EntityName", self.queue.name),)
        kind = "Microsoft.ServiceBus/namespaces"
        self.metrics = {AlarmWhen.BACKLOG: Metric(space.id, kind, "ActiveMessages", "Maximum", of)}
        self.register_outputs({"address": self.address})

    def _events(self, name: str, args: ServiceArgs[QueueSpec, AzureNetwork]) -> None:
        """https://learn.microsoft.com/azure/event-grid/managed-service-identity"""
        assert args.spec.store, "asked for by a queue with a store"
        child, group = pulumi.ResourceOptions(parent=self), args.network.resource_group_name
        topic = eventgrid.SystemTopic(
            f"{name}-events",
            system_topic_name=args.named(limit=50),
            resource_group_name=group,
            location=args.region,
            source=account_id(args.stores[args.spec.store]),
            topic_type="Microsoft.Storage.StorageAccounts",
            identity=eventgrid.IdentityInfoArgs(type="SystemAssigned"),
            tags=args.tags,
            opts=child,
        )
        sends = grant(
            f"{name}-sends",
            scope=self.queue.id,
            principal_id=topic.identity.principal_id,
            role=Role.QUEUE_SENDER,
            opts=child,
        )
        eventgrid.SystemTopicEventSubscription(
            f"{name}-events",
            event_subscription_name=args.named(limit=64),
            system_topic_name=topic.name,
            resource_group_name=group,
            event_delivery_schema="CloudEventSchemaV1_0",
            delivery_with_resource_identity=eventgrid.DeliveryWithResourceIdentityArgs(
                identity=eventgrid.EventSubscriptionIdentityArgs(type="SystemAssigned"),
                destination=eventgrid.ServiceBusQueueEventSubscriptionDestinationArgs(
                    endpoint_type="ServiceBusQueue", resource_id=self.queue.id
                ),
            ),
            filter=eventgrid.EventSubscriptionFilterArgs(included_event_types=["Microsoft.Storage.BlobCreated"]),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[sends]),
        )
