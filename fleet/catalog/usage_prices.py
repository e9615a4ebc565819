"""What is paid by use: the price of a unit of a cloud service, from data/usage_prices.csv; few are sourced yet."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from fleet.catalog.clouds import Cloud

_DATA = Path(__file__).parent / "data" / "usage_prices.csv"


@dataclass(frozen=True)
class UsagePrice:
    """A list price of a section of `services:`; `unit` in words."""

    cloud: Cloud
    region: str
    section: str
    usd: Decimal
    unit: str
    source: str
    as_of: str


@cache
def usage_prices() -> tuple[UsagePrice, ...]:
    """Every row."""
    with _DATA.open(newline="") as file:
        return tuple(
            UsagePrice(**{**row, "cloud": Cloud(row["cloud"]), "usd": Decimal(row["usd"])})  # type: ignore[arg-type]
            for row in csv.DictReader(file)
        )


def usage_price(cloud: Cloud, region: str, section: str) -> UsagePrice | None:
    """The price there; None where the catalogue has not seen it."""
    wanted = (cloud, region, section)
    return next((row for row in usage_prices() if (row.cloud, row.region, row.section) == wanted), None)
