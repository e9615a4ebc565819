"""What a cloud asks for beside machines: control planes and NAT gateways, USD an hour, from data/services.csv.

Traffic has no rows here: how much there will be no stack file says.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from fleet.catalog.clouds import Cloud

_DATA = Path(__file__).parent / "data" / "services.csv"
_EVERYWHERE = "*"


@dataclass(frozen=True)
class ServicePrice:
    """A list price; `region` is `*` where a cloud asks the same in all of them."""

    cloud: Cloud
    region: str
    service: str
    usd_hour: Decimal
    source: str
    as_of: str


@cache
def service_prices() -> tuple[ServicePrice, ...]:
    """Every row."""
    with _DATA.open(newline="") as file:
        return tuple(
            ServicePrice(**{**row, "cloud": Cloud(row["cloud"]), "usd_hour": Decimal(row["usd_hour"])})  # type: ignore[arg-type]
            for row in csv.DictReader(file)
        )


def service_price(cloud: Cloud, region: str, service: str) -> ServicePrice | None:
    """The price there; None where the catalogue has not seen it."""
    found = (row for row in service_prices() if row.cloud is cloud and row.service == service)
    return next((row for row in found if row.region in (region, _EVERYWHERE)), None)
