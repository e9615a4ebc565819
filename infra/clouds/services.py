"""What a cloud service's component takes, and what every one of them offers: the shapes that all clouds share.

A cloud's `services` package names its components by section of `services:` in `KINDS`; it is loaded only where a stack
has services. No provider SDK is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import pulumi

from fleet import naming
from fleet.catalog.machines import Machine
from fleet.spec_services import Kind, Service, stores_of

# The service's own part of the stack file, and the cloud's Network component.
S = TypeVar("S", bound=Service)
N = TypeVar("N")


@dataclass(kw_only=True)
class Shared:
    """What several services of a cluster stand on, where a cloud has such: made by the first of them that needs it.

    Attributes:
        name, physical_name: the cluster's. opts: for what is made, so that it belongs to the cluster and to no service.
    """

    name: str
    physical_name: str
    opts: pulumi.ResourceOptions
    made: dict[str, Any] = field(default_factory=dict)

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]


@dataclass(frozen=True, kw_only=True)
class ServiceArgs(Generic[S, N]):
    """One service.

    Attributes:
        name: its physical name before a cloud's limit; `named` cuts it to one.
        stores: the cluster's own, all of them, by their names in the stack file.
        beside: components of the services that were made before it, by theirs.
        consumer: of a queue, what works it off, if a service of the stack file does.
        machine: what it runs on, where it runs on machines.
    """

    name: str
    region: str
    network: N
    spec: S
    stores: Mapping[str, Any]
    beside: Mapping[str, Any]
    shared: Shared
    protect: bool
    tags: dict[str, str]
    consumer: Kind | None = None
    machine: Machine | None = None

    def named(self, *parts: str, limit: int = 63) -> str:
        return naming.physical(self.name, *parts, limit=limit)

    @property
    def reads(self) -> list[Any]:
        """Stores that it reads and does not write."""
        reads, writes = stores_of(self.spec)
        return [self.stores[name] for name in dict.fromkeys(reads) if name not in writes]

    @property
    def writes(self) -> list[Any]:
        """Stores that it reads and writes."""
        return [self.stores[name] for name in dict.fromkeys(stores_of(self.spec)[1])]

    @property
    def environment(self) -> dict[str, pulumi.Output[str]]:
        """What tells a container where its stores are: `STORE_<NAME>`, as an fsspec reader opens it."""
        names = dict.fromkeys(name for part in stores_of(self.spec) for name in part)
        return {f"STORE_{name.upper().replace('-', '_')}": self.stores[name].url for name in names}


class MadeService(Protocol):
    """`address` is how programs name it: a URL, an ARN or id, whatever that cloud's clients ask for."""

    address: pulumi.Output[str]
