"""What a model brings and how it is reached, as people write it under a model.

Shape and defaults only; facts are `fleet.checks`'.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StrictBool, StrictInt, StringConstraints

from fleet.spec_base import HostName, Name, Spec

# A namespace or Service is a DNS label; a Gateway, claim or StorageClass is a DNS subdomain, as a node's name is.
Label = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=63)]
# Gateway API's Hostname: no address, no port, and a wildcard for the first label alone.
Host = Annotated[
    str,
    StringConstraints(pattern=r"^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$", max_length=253),
]


class CacheSpec(Spec):
    """Where weights out of a store outlive a replica, so that the next one need not fetch them: exactly one of these."""

    node: StrictBool = Field(default=False, description="On each node's own disk, for the replicas that come to it.")
    claim: HostName | None = Field(
        default=None, description="A PersistentVolumeClaim of yours in the model's namespace, which all replicas may write."
    )
    storage_class: HostName | None = Field(
        default=None, description="StorageClass of a claim that is made: for all replicas (ReadWriteMany), twice size_gib."
    )

    @property
    def given(self) -> list[str]:
        """The keys that say where."""
        return [key for key in ("node", "claim", "storage_class") if getattr(self, key)]


class WeightsSpec(Spec):
    """Where a model's weights are: in a store, to which its pods get read access and to nothing else, or in an image."""

    store: Name | None = Field(default=None, description="A store of the same cluster.")
    path: str = Field(default="", description="Prefix inside the store.")
    files: str | None = Field(
        default=None, description="Folder of this repository that `fleet up` puts there; default: what is there already."
    )
    image: str | None = Field(
        default=None, description="In place of a store, an image with nothing but the weights, which is mounted."
    )
    cache: CacheSpec | None = Field(default=None, description="Where they outlive a replica; default: each fetches them.")
    size_gib: StrictInt = Field(
        default=20, ge=1, description="Size on disk; the pool's disks and the start-up probe follow it."
    )


class CanarySpec(Spec):
    """A newer model that gets a part of another one's requests, by weight."""

    model: Name = Field(description="A model of the same cluster and team.")
    percent: StrictInt = Field(ge=0, le=100, description="Of a hundred requests, how many it gets.")


class RouteSpec(Spec):
    """The way to a model from outside of the cluster, by the Gateway API; the Gateway and its controller are yours."""

    gateway: HostName = Field(description="Name of the Gateway.")
    namespace: Label | None = Field(default=None, description="The Gateway's namespace; default: the model's.")
    hosts: list[Host] = Field(
        default_factory=list, description="Host names that lead to the model; default: all the Gateway's."
    )
    canary: CanarySpec | None = None


class PodMonitorSpec(Spec):
    """For a Prometheus operator that is there already; `monitoring: prometheus` needs none."""

    namespace: Label = Field(
        default="monitoring", description="Namespace of the Prometheus, which is let in to the model's port."
    )
    labels: dict[str, str] = Field(default_factory=dict, description="By which that Prometheus chooses its PodMonitors.")
    interval_s: StrictInt = Field(default=15, ge=1, le=300, description="Seconds between two looks.")
