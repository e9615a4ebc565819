"""How far each region is from where you stand: the time of a TCP connect to its public endpoint, beside what it costs.

Owns which host stands for a region. A connect is one round trip, whatever the service behind it does; the name is looked up
before the clock starts. What cannot be reached is said to be so, with the reason, and ranks last. Nothing is sent, and no
credential is read.
"""

from __future__ import annotations

import socket
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal

from fleet.catalog.clouds import PUBLIC, Cloud, regions
from fleet.catalog.machines import offers
from fleet.cost import hourly_price

PORT = 443
# A host that is named for its region, which a test compares with what the vendors' own SDKs list.
# AWS: docs.aws.amazon.com/general/latest/gr/ec2-service.html. GCP: Vertex AI's discovery document lists its locational
# endpoints. Azure: learn.microsoft.com/azure/ai-services/cognitive-services-custom-subdomains. Read 2026-11.
# Google's and Microsoft's front ends may end the connect nearer to you than the region is: a lower bound there.
_HOSTS: Mapping[Cloud, str] = {
    Cloud.AWS: "ec2.{region}.amazonaws.com",
    Cloud.GCP: "{region}-aiplatform.googleapis.com",
    Cloud.AZURE: "{region}.api.cognitive.microsoft.com",
}
# Cloud TPU's own region, which no other public service is in.
_NO_HOST = ((Cloud.GCP, "us-central2"),)
LOWER_BOUND = (Cloud.GCP, Cloud.AZURE)


@dataclass(frozen=True)
class Price:
    """The cheapest offer of an accelerator in a region, USD an hour for each of it."""

    machine: str
    usd_hour: Decimal
    as_of: str


@dataclass(frozen=True)
class Place:
    """A region: how far it is, and what an accelerator costs there.

    Attributes:
        milliseconds: median of the connects; None where none was tried, or none came through.
        why: what stood in the way, empty where nothing did.
        price: None where none was asked for, or the catalogue has none.
    """

    cloud: Cloud
    region: str
    host: str
    milliseconds: float | None = None
    why: str = ""
    price: Price | None = None


def host(cloud: Cloud, region: str) -> str:
    """The public endpoint that stands for a region, empty where none is known."""
    return "" if (cloud, region) in _NO_HOST else _HOSTS[cloud].format(region=region)


def places(accelerator: str | None = None, purchase: str = "on-demand") -> list[Place]:
    """Every region of the catalogue, not measured yet.

    Args:
        accelerator: with its price; regions whose price list has none are left out.
    """
    every = [Place(cloud, region, host(cloud, region)) for cloud in PUBLIC for region in regions(cloud)]
    if accelerator is None:
        return every
    priced = [Place(one.cloud, one.region, one.host, price=price(one, accelerator, purchase)) for one in every]
    return [one for one in priced if one.price is not None]


def price(place: Place, accelerator: str, purchase: str) -> Price | None:
    """What one whole accelerator costs an hour at the least, in the machine that is cheapest by it."""
    found = [
        Price(one.machine.name, hourly / one.machine.accelerators, one.as_of)
        for one in offers()
        if one.region == place.region and one.machine.cloud is place.cloud and one.machine.part == 1
        if one.machine.accelerator is not None and one.machine.accelerator.name == accelerator
        if purchase in one.machine.purchases and (hourly := hourly_price(one, purchase)) is not None
    ]
    return min(found, key=lambda one: one.usd_hour, default=None)


def connect_ms(name: str, port: int, tries: int, timeout_s: float) -> float:
    """The median time of a TCP connect.

    Raises:
        OSError: the name is not known, or a connect failed.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)[0]
    taken = []
    for _ in range(tries):
        with socket.socket(family, kind, protocol) as one:
            one.settimeout(timeout_s)
            started = time.perf_counter()
            one.connect(address)
            taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def measured(
    wanted: Sequence[Place],
    tries: int = 5,
    timeout_s: float = 3.0,
    connect: Callable[[str, int, int, float], float] = connect_ms,
) -> list[Place]:
    """The places with their times, nearest first and what cannot be reached last."""

    def one(place: Place) -> Place:
        if not place.host:
            return _with(place, None, "no public endpoint known")
        try:
            return _with(place, connect(place.host, PORT, tries, timeout_s), "")
        except OSError as wrong:
            return _with(place, None, f"unreachable: {_reason(wrong)}")

    # A few at a time: they wait for the network, and a crowd would wait for each other.
    with ThreadPoolExecutor(max_workers=8) as pool:
        found = list(pool.map(one, wanted))
    return sorted(found, key=lambda place: (place.milliseconds is None, place.milliseconds or 0, place.cloud, place.region))


def _with(place: Place, milliseconds: float | None, why: str) -> Place:
    return Place(place.cloud, place.region, place.host, milliseconds, why, place.price)


def _reason(wrong: OSError) -> str:
    if isinstance(wrong, socket.gaierror):
        return "the name is not known here"
    if isinstance(wrong, TimeoutError):
        return "no answer in time"
    return wrong.strerror or str(wrong)
