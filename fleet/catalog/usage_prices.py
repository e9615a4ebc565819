"""What cloud services cost: the price of a unit from data/usage_prices.csv, of managed machines from data/managed_prices.csv.

Free allowances are an account's and not a service's: none is taken off. A region without a row has no price here.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from fleet.catalog.clouds import Cloud

_DATA = Path(__file__).parent / "data"
_EVERYWHERE = "*"
# Why there is no row, where somebody looked for one.
UNREAD = {
    (Cloud.GCP, "alarms"): "$1.50 a condition was announced, and $0.10 since, on no page that bears a date",
}


@dataclass(frozen=True)
class UsagePrice:
    """A list price of a section of `services:`.

    Attributes:
        region: `*` where the cloud asks the same in all of them.
        measure: what is counted, as people write it under `usage:`; empty for what each asks every month.
        usd: for `per` of the measure; unit: the same in words.
    """

    cloud: Cloud
    region: str
    section: str
    measure: str
    usd: Decimal
    per: int
    unit: str
    source: str
    as_of: str

    def of(self, amount: float) -> Decimal:
        """What so many cost."""
        return self.usd * Decimal(str(amount)) / self.per


@dataclass(frozen=True)
class ManagedPrice:
    """A list price of a managed service's machine, USD an hour.

    Attributes:
        spot_fee: what the service asks beside the machine's own spot price; None where it has a spot price nobody has read.
    """

    cloud: Cloud
    region: str
    section: str
    machine: str
    usd_hour: Decimal
    spot_fee: Decimal | None
    source: str
    as_of: str


@cache
def usage_prices() -> tuple[UsagePrice, ...]:
    """Every row of a unit's."""
    with (_DATA / "usage_prices.csv").open(newline="") as file:
        return tuple(
            UsagePrice(**{**row, "cloud": Cloud(row["cloud"]), "usd": Decimal(row["usd"]), "per": int(row["per"])})  # type: ignore[arg-type]
            for row in csv.DictReader(file)
        )


def prices_of(cloud: Cloud, region: str, section: str) -> tuple[UsagePrice, ...]:
    """What the section costs there, a price a measure; none where the catalogue has not seen it."""
    wanted = (cloud, section)
    return tuple(row for row in usage_prices() if (row.cloud, row.section) == wanted and row.region in (region, _EVERYWHERE))


def measures(cloud: Cloud, section: str) -> tuple[str, ...]:
    """What a cloud counts of the section, by the regions that the catalogue knows."""
    found = (row.measure for row in usage_prices() if (row.cloud, row.section) == (cloud, section))
    return tuple(dict.fromkeys(measure for measure in found if measure))


@cache
def managed_prices() -> tuple[ManagedPrice, ...]:
    """Every row of a machine's."""
    with (_DATA / "managed_prices.csv").open(newline="") as file:
        return tuple(
            ManagedPrice(
                cloud=Cloud(row["cloud"]),
                region=row["region"],
                section=row["section"],
                machine=row["machine"],
                usd_hour=Decimal(row["usd_hour"]),
                spot_fee=Decimal(row["spot_fee_usd_hour"]) if row["spot_fee_usd_hour"] else None,
                source=row["source"],
                as_of=row["as_of"],
            )
            for row in csv.DictReader(file)
        )


def managed_price(cloud: Cloud, region: str, section: str, machine: str) -> ManagedPrice | None:
    """The price there; None where the catalogue has not seen it."""
    wanted = (cloud, region, section, machine)
    return next((row for row in managed_prices() if (row.cloud, row.region, row.section, row.machine) == wanted), None)
