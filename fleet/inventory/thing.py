"""Something that is paid for, as facts: machines, disks, gateways, balancers, control planes, services. No prices here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from fleet.catalog.clouds import Cloud
from fleet.inventory.resource import Index, Resource

Count = tuple[int, int, int]
Kind = Literal["machines", "disk", "nat", "load-balancer", "control-plane", "by-use", "service"]


@dataclass(frozen=True, kw_only=True)
class Thing:
    """What one resource brings, so many times at the least, now, and at the most.

    Attributes:
        what: in words, as a report shows it.
        machine: its type's name; gpu: how GCP calls the guest accelerator, and how many of them on one machine.
        disk: kind and GiB. service: its name in data/services.csv.
        unknown: why nobody can price it from the program alone; empty if one can.
    """

    kind: Kind
    resource: Resource
    cloud: Cloud | None
    region: str | None
    what: str
    count: Count | None = (1, 1, 1)
    machine: str | None = None
    gpu: tuple[str, int] | None = None
    purchase: str = "on-demand"
    disk: tuple[str, int] | None = None
    service: str | None = None
    unknown: str = ""


Reader = Callable[[Resource, Index], Iterator[Thing]]


def bounds(low: int | None, now: int | None, most: int | None) -> Count | None:
    """A group's sizes, those that are missing taken from the others; None where all are."""
    known = [size for size in (now, low, most) if size is not None]
    if not known:
        return None
    middle = known[0]
    return (middle if low is None else low, middle, max(middle, middle if most is None else most))
