"""List prices of common machines without accelerators, from data/plain_prices.csv, for programs that are not ours.

What a stack file may name is in machines.csv, with sizes and quotas; of these machines nothing but the price is known.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from fleet.catalog.clouds import Cloud

_DATA = Path(__file__).parent / "data" / "plain_prices.csv"


@dataclass(frozen=True)
class PlainPrice:
    """On demand, USD an hour, with where and when it was read."""

    usd_hour: Decimal
    source: str
    as_of: str


@cache
def plain_prices() -> dict[tuple[Cloud, str, str], PlainPrice]:
    """By cloud, region and machine."""
    with _DATA.open(newline="") as file:
        return {
            (Cloud(row["cloud"]), row["region"], row["machine"]): PlainPrice(
                Decimal(row["on_demand_usd_hour"]), row["source"], row["as_of"]
            )
            for row in csv.DictReader(file)
        }
