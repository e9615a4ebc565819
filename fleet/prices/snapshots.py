"""Snapshots that others keep: gpuhunt's CSV of one provider, and SkyPilot's vms.csv. Told apart by their columns.

Prices of machines that the catalogue knows; of SkyPilot's also the machines themselves, as offers to choose from.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path

from fleet.catalog.accelerators import ACCELERATORS, Accelerator
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, Offer, machines
from fleet.prices.lists import ListError
from fleet.prices.row import Price

_GPUHUNT = {"instance_name", "location", "price", "spot"}
_SKYPILOT = {"InstanceType", "Price", "SpotPrice", "Region"}
_SKYPILOT_MACHINES = _SKYPILOT | {"AcceleratorName", "AcceleratorCount", "vCPUs", "MemoryGiB"}
# What SkyPilot calls what the catalogue calls otherwise than nvidia-<name>; its TPUs are slices, not machines.
# https://github.com/skypilot-org/skypilot, sky/utils/accelerator_registry.py and sky/catalog/data_fetchers, read 2026-11.
_SKYPILOT_NAMES = {
    "A100": "nvidia-a100-40gb",
    "H100": "nvidia-h100-80gb",
    "H200": "nvidia-h200-141gb",
    "RTXPRO6000": "nvidia-rtx-pro-6000",
    "Inferentia": "inferentia1",
    "Inferentia2": "inferentia2",
    "Trainium": "trainium1",
    "Trainium2": "trainium2",
    "Gaudi HL-205": "gaudi1",
}
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


def offers(file: Path, cloud: Cloud, as_of: str) -> list[Offer]:
    """The machines with accelerators of SkyPilot's vms.csv, one a region; what the catalogue has no name for is left out.

    Raises:
        ListError: it has other columns, or a figure that is no number.
    """
    source = f"SkyPilot catalog {file.name}"
    known = {(row.name, row.accelerator): row for row in machines() if row.cloud is cloud}
    made: dict[tuple[str, Accelerator, str], Offer] = {}
    with file.open(newline="", encoding="utf-8") as lines:
        rows = csv.reader(lines)
        head = next(rows, [])
        if not set(head) >= _SKYPILOT_MACHINES:
            raise ListError(f"{file}: has not the columns of SkyPilot's vms.csv")
        columns = [head.index(name) for name in ("InstanceType", "AcceleratorName", "Region", "Price", "SpotPrice")]
        sizes = [head.index(name) for name in ("AcceleratorCount", "vCPUs", "MemoryGiB")]
        try:
            for row in rows:
                name, kind, place, on_demand, spot = (row[column] for column in columns)
                accelerator = _accelerator(kind)
                if accelerator is None or not name:
                    continue
                key = (name, accelerator, place)
                # A row a zone: on demand is the same in each, of spot the cheapest counts.
                if (old := made.get(key)) is None or _less(spot, old.spot):
                    machine = known.get(key[:2]) or _machine(cloud, name, accelerator, [row[size] for size in sizes], source)
                    known[key[:2]] = machine
                    made[key] = Offer(
                        region=_region(place),
                        machine=machine,
                        on_demand=Decimal(on_demand) if on_demand else None,
                        spot=Decimal(spot) if spot else None,
                        source=source,
                        as_of=as_of,
                    )
        except (InvalidOperation, ValueError, IndexError):
            raise ListError(f"{file}: line {rows.line_num}: a figure is missing, or is no number") from None
    return list(made.values())


def _accelerator(name: str) -> Accelerator | None:
    return ACCELERATORS.get(_SKYPILOT_NAMES.get(name) or f"nvidia-{name.lower()}")


def _less(text: str, than: Decimal | None) -> bool:
    return bool(text) and (than is None or Decimal(text) < than)


def _machine(cloud: Cloud, name: str, accelerator: Accelerator, sizes: list[str], source: str) -> Machine:
    count, vcpus, memory = (int(float(size or 0)) for size in sizes)
    return Machine(
        cloud=cloud,
        name=name,
        accelerator=accelerator,
        accelerators=count,
        vcpus=vcpus,
        memory_gib=memory,
        quota="",
        spot_quota="",
        source=source,
    )


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
