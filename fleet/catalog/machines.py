"""Machine types and what a region asks for them: data/machines.csv and data/prices.csv, read once.

A missing price is None, never zero. Region availability is what the price snapshot lists: a machine no region
lists is on offer nowhere we know of, and the checks say so.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path

from fleet.catalog.accelerators import ACCELERATORS, Accelerator
from fleet.catalog.clouds import Cloud

PURCHASES = ("on-demand", "spot")
# Machine series that boot from Hyperdisk and from nothing else (provider-google#19890, #20247).
# https://cloud.google.com/compute/docs/disks/hyperdisks#machine-type-support
_HYPERDISK_ONLY = ("a3-ultragpu", "a4", "c4", "ct6e", "g4", "n4")
_DATA = Path(__file__).parent / "data"
# Machine type -> value of GKE's accelerator label, where that is not its accelerator's.
_GKE_NAMES = {"ct3-hightpu-4t": "tpu-v3-device", "a3-megagpu-8g": "nvidia-h100-mega-80gb"}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """One machine type. On GCP an N1 with guest accelerators is a machine of its own here.

    Attributes:
        accelerators: devices on one machine (chips for a TPU VM); 0 for a CPU machine.
        part: how much of an accelerator each device is: less than 1 for a GPU that the cloud cuts for several machines.
        memory_gib: main memory, GiB.
        quota, spot_quota: the cloud's own quota name; empty where the catalogue has not seen it.
        purchases: how the cloud sells it, in the words of `fleet.spec.Purchase`; data/machines.csv says where a machine
            that is sold in one way only was seen so.
        source, as_of: where the numbers were read, and when.
    """

    cloud: Cloud
    name: str
    accelerator: Accelerator | None
    accelerators: int
    vcpus: int
    memory_gib: int
    quota: str
    spot_quota: str
    purchases: tuple[str, ...] = PURCHASES
    part: Fraction = Fraction(1)
    source: str = ""
    as_of: str = ""

    @property
    def device_gib(self) -> int:
        """Memory of each device, GiB as marketed: of a part its part. 0 without accelerators."""
        return int(self.accelerator.memory_gib * self.part) if self.accelerator else 0


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A machine's list price in one region, USD an hour, with where and when it was read."""

    region: str
    machine: Machine
    on_demand: Decimal | None
    spot: Decimal | None
    source: str
    as_of: str


def _rows(name: str) -> list[dict[str, str]]:
    with (_DATA / name).open(newline="") as file:
        return list(csv.DictReader(file))


@cache
def machines() -> tuple[Machine, ...]:
    """Every machine type, in the file's order (smallest first within an accelerator)."""
    return tuple(
        Machine(
            cloud=Cloud(row["cloud"]),
            name=row["machine"],
            accelerator=ACCELERATORS[row["accelerator"]] if row["accelerator"] else None,
            accelerators=int(row["accelerators"]),
            vcpus=int(row["vcpus"]),
            memory_gib=int(row["memory_gib"]),
            quota=row["quota"],
            spot_quota=row["spot_quota"],
            purchases=(row["sold_only"],) if row["sold_only"] else PURCHASES,
            part=Fraction(row["part"] or 1),
            source=row["source"],
            as_of=row["as_of"],
        )
        for row in _rows("machines.csv")
    )


@cache
def offers() -> tuple[Offer, ...]:
    """Every price row of the snapshot."""
    by_key = {(m.cloud, m.name, m.accelerator.name if m.accelerator else ""): m for m in machines()}
    return tuple(
        Offer(
            region=row["region"],
            machine=by_key[Cloud(row["cloud"]), row["machine"], row["accelerator"]],
            on_demand=Decimal(row["on_demand_usd_hour"]) if row["on_demand_usd_hour"] else None,
            spot=Decimal(row["spot_usd_hour"]) if row["spot_usd_hour"] else None,
            source=row["source"],
            as_of=row["as_of"],
        )
        for row in _rows("prices.csv")
    )


def machine(cloud: Cloud, name: str, accelerator: str | None = None) -> Machine | None:
    """The machine type of that name; `accelerator` tells GCP's N1 with and without guest accelerators apart."""
    for row in machines():
        same = accelerator is None or (row.accelerator is not None and row.accelerator.name == accelerator)
        if row.cloud is cloud and row.name == name and same:
            return row
    return None


def machines_with(cloud: Cloud, accelerator: str, region: str | None = None) -> tuple[Machine, ...]:
    """Machine types that carry the accelerator, on offer in `region` if one is given."""
    found = tuple(m for m in machines() if m.cloud is cloud and m.accelerator and m.accelerator.name == accelerator)
    if region is None:
        return found
    here = {(o.machine.name, o.machine.accelerator) for o in offers() if o.region == region and o.machine.cloud is cloud}
    return tuple(m for m in found if (m.name, m.accelerator) in here)


def host(accelerator: Accelerator, count: int, vcpus: int, memory_gib: int) -> Machine:
    """A node of an existing cluster, as its owner describes it: no cloud's type, and of no price list."""
    return Machine(
        cloud=Cloud.EXISTING,
        name="host",
        accelerator=accelerator,
        accelerators=count,
        vcpus=vcpus,
        memory_gib=memory_gib,
        quota="",
        spot_quota="",
        purchases=("on-demand",),
    )


def gke_name(row: Machine) -> str | None:
    """Value of GKE's `gke-accelerator` or `gke-tpu-accelerator` label on such a machine; None where GKE has none."""
    return _GKE_NAMES.get(row.name) or (row.accelerator.gke_name if row.accelerator else None)


def gke_boot_disk(name: str) -> str:
    """The kind of boot disk that GKE gives a machine type here."""
    return "hyperdisk-balanced" if name.startswith(_HYPERDISK_ONLY) else "pd-balanced"


def regions_with(target: Machine) -> tuple[str, ...]:
    """Regions whose price list has the machine."""
    return tuple(sorted({o.region for o in offers() if o.machine == target}))


def offer(target: Machine, region: str) -> Offer | None:
    """The price row of a machine in a region, or None where the snapshot has none."""
    return next((o for o in offers() if o.machine == target and o.region == region), None)
