"""After a destroy: what a cloud still holds of a stack, swept where a cluster's own controllers made it, else named.

Kubernetes makes load balancers, network interfaces and disks that no state mentions; they outlive the cluster, hold its
subnets and cost money (pain 19). Sweeps only what carries the dead cluster's own tag; a thing with our stack's tag and
no state is reported and left, as it may hold data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Found:
    """A resource as the cloud lists it."""

    cloud: str
    type: str
    id: str
    name: str
    tags: dict[str, str]
    inputs: dict[str, Any] = field(default_factory=dict, compare=False)

    def __str__(self) -> str:
        return f"{self.type.rsplit(':', 1)[-1]} {self.name} ({self.id})"


class View(Protocol):
    """What a cloud holds, and taking it away."""

    def listed(self) -> Sequence[Found]: ...
    def delete(self, found: Found) -> None: ...


# In the order in which one holds the next: an interface goes only once its balancer has.
_MADE_BY_CLUSTERS = ("LoadBalancer", "ForwardingRule", "PublicIPAddress", "NetworkInterface", "Volume", "Disk", "SecurityGroup")
_CLUSTER_TAGS = ("goog-k8s-cluster-name", "k8s-azure-cluster-name")


def of_cluster(found: Found, clusters: set[str]) -> bool:
    """Whether one of these clusters made it: EKS marks the tag's key with the cluster's name, GKE and AKS its value."""
    owned = {key.rpartition("/")[2] for key in found.tags if key.startswith("kubernetes.io/cluster/")}
    owned |= {found.tags[key] for key in _CLUSTER_TAGS if key in found.tags}
    return bool(owned & clusters)


def sweep(view: View, clusters: set[str], known: set[str]) -> list[str]:
    """Delete what clusters left; returns it by name.

    Args:
        clusters: the names in their clouds of the clusters that are gone.
        known: ids that the stack's state holds, which are the engine's to delete.
    """
    made = [f for f in view.listed() if of_cluster(f, clusters) and f.id not in known and _kind(f) in _MADE_BY_CLUSTERS]
    swept = []
    for found in sorted(made, key=lambda f: _MADE_BY_CLUSTERS.index(_kind(f))):
        view.delete(found)
        swept.append(str(found))
    return swept


def remaining(view: View, stack: str, clusters: set[str], known: set[str]) -> list[str]:
    """What still carries the stack's tag or a cluster's, by name."""
    return [
        str(f)
        for f in view.listed()
        if f.id not in known and (f.tags.get("accelfleet-stack") == stack or of_cluster(f, clusters))
    ]


def _kind(found: Found) -> str:
    return found.type.rsplit(":", 1)[-1]
