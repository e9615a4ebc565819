"""The queues that a model can go by: their addresses in each cloud, taken apart. Asks no cloud.

Owns the spelling of an address. A queue of the cluster's own `services:` is written `queue:<service>` and has its address only
once it is made: `infra.platform` puts it in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fleet.catalog.clouds import Cloud
from fleet.spec import ClusterSpec

OF_SERVICE = "queue:"
_ADDRESSES = {
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-message-identifiers.html
    Cloud.AWS: r"https://sqs\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/(?P<account>\d{12})/(?P<queue>[A-Za-z0-9_-]{1,80}(\.fifo)?)",
    # https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names
    Cloud.GCP: r"projects/(?P<project>[a-z][a-z0-9-]{4,28}[a-z0-9])/subscriptions/(?P<queue>[A-Za-z][A-Za-z0-9._~+%-]{2,254})",
    # A resource id: the host's name alone does not say whose right it is to count.
    # https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftservicebus
    Cloud.AZURE: r"/subscriptions/[0-9a-fA-F-]{36}/resourceGroups/[^/]{1,90}/providers/Microsoft\.ServiceBus/"
    r"namespaces/(?P<namespace>[A-Za-z][A-Za-z0-9-]{4,48}[A-Za-z0-9])/queues/(?P<queue>[A-Za-z0-9][A-Za-z0-9._~-]{0,259})",
}
EXAMPLES = {
    Cloud.AWS: "https://sqs.us-east-1.amazonaws.com/123456789012/jobs",
    Cloud.GCP: "projects/my-project/subscriptions/jobs",
    Cloud.AZURE: "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/my-group"
    "/providers/Microsoft.ServiceBus/namespaces/my-namespace/queues/jobs",
}


@dataclass(frozen=True)
class Queue:
    """An address taken apart.

    Attributes:
        name: of the queue, or on GCP of the subscription.
        place: what it lies in: AWS's region, GCP's project, Azure's Service Bus namespace.
        account: AWS's account; empty elsewhere.
    """

    cloud: Cloud
    name: str
    place: str
    account: str = ""


def queue(cloud: Cloud, address: str) -> Queue:
    """A queue by its address.

    >>> queue(Cloud.AZURE, EXAMPLES[Cloud.AZURE])
    Queue(cloud=<Cloud.AZURE: 'azure'>, name='jobs', place='my-namespace', account='')

    Raises:
        ValueError: it is none of that cloud.
    """
    found = re.fullmatch(_ADDRESSES[cloud], address) if cloud in _ADDRESSES else None
    if found is None:
        raise ValueError(f"{address!r} is no queue of {cloud}: such as {EXAMPLES.get(cloud, 'none')}")
    parts = found.groupdict()
    place = parts.get("region") or parts.get("project") or parts["namespace"]
    return Queue(cloud, parts["queue"], place, parts.get("account") or "")


def of_services(cluster: ClusterSpec) -> list[str]:
    """Queues that the cluster's own `services:` make."""
    return list(cluster.services.queues)
