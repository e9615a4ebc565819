"""A price as a list has it, and what becomes of prices.csv by it: known machines and regions, each with source and date."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from fleet.catalog.clouds import Cloud, regions
from fleet.catalog.machines import Machine, machines

FILE = Path(__file__).parents[1] / "catalog" / "data" / "prices.csv"
# Spot within these shares of on-demand is believable; anything else is a list read wrongly (tests/fleet/test_catalog.py).
_LEAST, _MOST = Decimal("0.1"), Decimal(1)
_Key = tuple[str, str, str, str]


@dataclass(frozen=True)
class Price:
    """USD an hour of a machine in one region; one of the two may be missing from a list.

    Attributes:
        accelerator: the catalogue's name, for GCP's N1 with guests; None where the machine's own is meant.
    """

    cloud: Cloud
    region: str
    machine: str
    on_demand: Decimal | None
    spot: Decimal | None
    source: str
    as_of: str
    accelerator: str | None = None


@dataclass
class Outcome:
    """What was done with a list."""

    changed: list[tuple[str, str, str]] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    same: int = 0
    unknown: int = 0
    unbelievable: list[str] = field(default_factory=list)


def merged(text: str, prices: Iterable[Price]) -> tuple[str, Outcome]:
    """prices.csv with these prices in it. A row that a list does not have stays; one that is not believable is left out."""
    rows = list(csv.DictReader(io.StringIO(text)))
    by_key: dict[_Key, dict[str, str]] = {_key(row): row for row in rows}
    outcome = Outcome()
    for price in prices:
        machine = _machine(price)
        if machine is None or price.region not in regions(price.cloud):
            outcome.unknown += 1
            continue
        _take(by_key, rows, machine, price, outcome)
    made = io.StringIO()
    writer = csv.DictWriter(made, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return made.getvalue(), outcome


def _key(row: dict[str, str]) -> _Key:
    return row["cloud"], row["region"], row["machine"], row["accelerator"]


def _machine(price: Price) -> Machine | None:
    named = [row for row in machines() if row.cloud is price.cloud and row.name == price.machine]
    if price.accelerator is not None:
        named = [row for row in named if row.accelerator and row.accelerator.name == price.accelerator]
    return named[0] if len(named) == 1 else None


def _take(
    by_key: dict[_Key, dict[str, str]], rows: list[dict[str, str]], machine: Machine, price: Price, done: Outcome
) -> None:
    accelerator = machine.accelerator.name if machine.accelerator else ""
    key = (str(price.cloud), price.region, machine.name, accelerator)
    old = by_key.get(key)
    on_demand = _text(price.on_demand) or (old["on_demand_usd_hour"] if old else "")
    spot = _text(price.spot) or (old["spot_usd_hour"] if old else "")
    name = f"{price.cloud} {price.region} {machine.name}"
    if on_demand and spot and not _LEAST <= Decimal(spot) / Decimal(on_demand) <= _MOST:
        done.unbelievable.append(f"{name}: spot {spot} of {on_demand}")
        return
    said = {"on_demand_usd_hour": on_demand, "spot_usd_hour": spot, "source": price.source, "as_of": price.as_of}
    if old is None:
        made = dict(zip(("cloud", "region", "machine", "accelerator"), key, strict=True))
        row = {**made, "accelerators": str(machine.accelerators), **said}
        rows.append(row)
        by_key[key] = row
        done.new.append(name)
    elif (old["on_demand_usd_hour"], old["spot_usd_hour"]) == (on_demand, spot):
        done.same += 1
    else:
        was = f"{old['on_demand_usd_hour'] or '-'} / {old['spot_usd_hour'] or '-'}"
        done.changed.append((name, was, f"{on_demand or '-'} / {spot or '-'}"))
        old.update(said)


def _text(value: Decimal | None) -> str:
    """As the file writes them: no exponent, no trailing zeros."""
    return "" if value is None or value <= 0 else format(value.normalize(), "f")
