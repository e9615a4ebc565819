"""From resources to what is paid for: every type is read, known to be free, paid by use, or said to be unknown."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.inventory import aws, azure, gcp
from fleet.inventory.kinds import kind_of
from fleet.inventory.resource import Index, Resource, text
from fleet.inventory.thing import Kind, Reader, Thing


def _kubernetes_service(resource: Resource, index: Index) -> Iterator[Thing]:
    if text(resource.props, "spec.type") == "LoadBalancer":
        what = "the load balancer that its cluster's cloud makes"
        yield Thing(kind="load-balancer", resource=resource, cloud=None, region=None, what=what, unknown="by the cloud's price")


READERS: dict[str, Reader] = {
    **aws.READERS,
    **gcp.READERS,
    **azure.READERS,
    "kubernetes:core/v1:Service": _kubernetes_service,
}


def things(index: Index) -> Iterator[Thing]:
    """What is paid for, in the program's order."""
    for resource in index.resources:
        reader = READERS.get(resource.type)
        if reader:
            yield from reader(resource, index)
            continue
        kind = kind_of(resource.type)
        if kind and kind.treatment == "free":
            continue
        why = f"paid by use: {kind.asked}" if kind else f"nobody here knows whether a {resource.type} costs something"
        treated: Kind = "by-use" if kind else "service"
        yield Thing(kind=treated, resource=resource, cloud=None, region=None, what=resource.type, unknown=why)
