"""Snapshots that others keep: gpuhunt's CSV of one provider, and SkyPilot's vms.csv. Told apart by their columns."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path

from fleet.catalog.clouds import Cloud
from fleet.prices.lists import ListError
from fleet.prices.row import Price

_GPUHUNT = {"instance_name", "location", "price", "spot"}
_SKYPILOT = {"InstanceType", "Price", "SpotPrice", "Region"}
_ZONE = re.compile(r"^([a-z]+-[a-z]+\d+)-[a-z]$")


def read(file: Path, cloud: Cloud, as_of: str) -> Iterator[Price]:
    """The prices of one cloud.

    Raises:
        ListError: it has neither's columns, or a price that is no number.
    """
    with file.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        columns = set(rows.fieldnames or ())
        try:
            if columns >= _GPUHUNT:
                yield from _gpuhunt(rows, cloud, f"gpuhunt {file.name}", as_of)
            elif columns >= _SKYPILOT:
                yield from _skypilot(rows, cloud, f"SkyPilot catalog {file.name}", as_of)
            else:
                raise ListError(f"{file}: has neither gpuhunt's columns nor SkyPilot's")
        except InvalidOperation:
            raise ListError(f"{file}: line {rows.line_num}: a price that is no number") from None


def _gpuhunt(rows: csv.DictReader[str], cloud: Cloud, source: str, as_of: str) -> Iterator[Price]:
    for row in rows:
        price, spot = Decimal(row["price"]), row["spot"].lower() == "true"
        region = _region(row["location"])
        yield Price(cloud, region, row["instance_name"], None if spot else price, price if spot else None, source, as_of)


def _skypilot(rows: csv.DictReader[str], cloud: Cloud, source: str, as_of: str) -> Iterator[Price]:
    """A row a zone: on demand is the same in each, of spot the first one is taken."""
    seen: set[tuple[str, str]] = set()
    for row in rows:
        key = (row["InstanceType"], _region(row["Region"]))
        if not row["InstanceType"] or key in seen:
            continue
        seen.add(key)
        on_demand, spot = (Decimal(row[name]) if row[name] else None for name in ("Price", "SpotPrice"))
        yield Price(cloud, key[1], key[0], on_demand, spot, source, as_of)


def _region(place: str) -> str:
    zone = _ZONE.match(place)
    return zone[1] if zone else place
