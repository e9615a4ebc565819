"""Money and carbon of a pool as it stands: nodes x list price, nodes x watts x grid. Unknown stays unknown.

Method for carbon: TDP x utilisation x PUE x the grid's yearly mean, the accelerators alone; the host's own power is not
in it, as no cloud publishes it. Where a vendor publishes no TDP there is no figure.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, Offer

# A month is 730 hours everywhere in the field's tools (8,760 / 12).
HOURS_A_MONTH = 730
ALL_MONTH = Decimal(HOURS_A_MONTH)
# Mean load of a serving accelerator; a figure of ours until metrics say better.
UTILISATION = Decimal("0.6")
# Where a region's own PUE is not published (docs of the carbon table).
DEFAULT_PUE = Decimal("1.2")
# A reservation's machines cost what on-demand ones do, used or not.
BILLED_AS_ON_DEMAND = ("on-demand", "reservation")
_CARBON = Path(__file__).parent / "catalog" / "data" / "carbon.csv"


@dataclass(frozen=True)
class PoolCost:
    """USD and kgCO2e a month at the present size; None where the catalogue has no figure, with the dates of those it has."""

    usd_month: Decimal | None
    kg_month: Decimal | None
    price_as_of: str | None


@cache
def _grid() -> dict[tuple[Cloud, str], tuple[Decimal, Decimal]]:
    """(cloud, region) -> (gCO2e per kWh, PUE); a site's region is its grid zone, and its PUE nobody published."""
    with _CARBON.open(newline="") as file:
        rows = list(csv.DictReader(file))
    sites = {
        (Cloud.EXISTING, r["electricity_maps_zone"]): (Decimal(r["gco2_per_kwh"]), DEFAULT_PUE)
        for r in rows
        if r["gco2_per_kwh"]
    }
    return sites | {
        (Cloud(r["cloud"]), r["region"]): (Decimal(r["gco2_per_kwh"]), Decimal(r["pue"]) if r["pue"] else DEFAULT_PUE)
        for r in rows
        if r["gco2_per_kwh"]
    }


def grid(cloud: Cloud, region: str) -> tuple[Decimal, Decimal] | None:
    """A region's yearly mean of gCO2e a kWh, and its PUE; None where nobody published them."""
    return _grid().get((cloud, region))


def grid_zone(cloud: Cloud, region: str) -> str:
    """The grid that a region hangs on, by Electricity Maps' name.

    Raises:
        KeyError: the table has no such region.
    """
    if cloud is Cloud.EXISTING:
        return region
    with _CARBON.open(newline="") as file:
        zones = {(row["cloud"], row["region"]): row["electricity_maps_zone"] for row in csv.DictReader(file)}
    return zones[cloud, region]


def hourly_price(price: Offer | None, purchase: str) -> Decimal | None:
    """USD an hour of a machine that is bought in this way; None where the catalogue has no figure.

    A reservation is billed as on-demand, used or not; a block is paid ahead and flex-start has its own price list, so
    that neither is known here.
    """
    if price is None:
        return None
    return price.spot if purchase == "spot" else price.on_demand if purchase in (*BILLED_AS_ON_DEMAND, "owned") else None


def tdp_of(row: Machine) -> Decimal | None:
    """Watts of a machine's accelerators, whole or in part; None where there are none, or their vendor published no TDP."""
    tdp = row.accelerator.tdp_w if row.accelerator else None
    return None if tdp is None else Decimal(tdp * row.accelerators * row.part.numerator) / row.part.denominator


def month_of(hourly: Decimal, nodes: int, hours: Decimal = ALL_MONTH) -> Decimal:
    """What `nodes` machines that each run for so many hours cost, to the cent."""
    return (hourly * nodes * hours).quantize(Decimal("0.01"))


def carbon_of(cloud: Cloud, region: str, row: Machine | None, nodes: int, hours: Decimal = ALL_MONTH) -> Decimal | None:
    """What `nodes` machines of this type that each run for so many hours emit, kgCO2e; None where something is not known."""
    watts, found = tdp_of(row) if row else None, grid(cloud, region)
    if watts is None or found is None:
        return None
    intensity, pue = found
    kwh = watts * nodes * hours / 1000 * UTILISATION * pue
    return (kwh * intensity / 1000).quantize(Decimal("0.1"))


def pool_cost(cloud: Cloud, region: str, row: Machine | None, price: Offer | None, *, purchase: str, nodes: int) -> PoolCost:
    """What `nodes` machines of this type, bought in this way, cost and emit in a month."""
    hourly = hourly_price(price, purchase)
    usd = month_of(hourly, nodes) if hourly is not None else None
    return PoolCost(usd, carbon_of(cloud, region, row, nodes), price.as_of if price else None)


def sum_of(first: PoolCost, second: PoolCost) -> PoolCost:
    """Both together; unknown where either is."""

    def both(a: Decimal | None, b: Decimal | None) -> Decimal | None:
        return None if a is None or b is None else a + b

    return PoolCost(both(first.usd_month, second.usd_month), both(first.kg_month, second.kg_month), first.price_as_of)
