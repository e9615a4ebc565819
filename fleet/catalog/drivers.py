"""Who puts an accelerator's kernel driver on a node, which one, and what the cloud is told for it: data/drivers.csv.

Exactly one may own a driver: two that fight break the node (pain 4). Everywhere we make pools it is the cloud, whose
node image carries it: EKS's accelerated AL2023 images, GKE's `DEFAULT` driver and its TPU images, AKS's GPU profile.
In an existing cluster it is whoever set up the hosts, by hand or by an operator; nobody owns Gaudi's on EKS.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from fleet.catalog.accelerators import Accelerator, Family
from fleet.catalog.clouds import Cloud

_DATA = Path(__file__).parent / "data" / "drivers.csv"


class DriverOwner(StrEnum):
    CLOUD = "cloud"
    HOST = "host"
    OPERATOR = "operator"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Driver:
    """The driver on the nodes of a pool.

    Attributes:
        setting: what the cloud is told to have it: EKS's amiType, GKE's gpuDriverVersion, AKS's gpuProfile.driver; empty
            where nothing is to be said.
        name: the driver, in the words of data/compatibility.csv.
        version: as far as it was read anywhere; None where no page says it.
    """

    owner: DriverOwner
    setting: str
    name: str
    version: str | None


@cache
def _rows() -> tuple[dict[str, str], ...]:
    with _DATA.open(newline="") as file:
        return tuple(csv.DictReader(file))


def driver(cloud: Cloud, accelerator: Accelerator, kubernetes: str | None = None) -> Driver | None:
    """The driver of an accelerator's nodes at a Kubernetes minor, None standing for any; None where the table has none.

    The row that says most wins: of the accelerator before its family's, of this minor before any other's.
    """
    rows = [
        row
        for row in _rows()
        if (row["cloud"], row["family"]) == (cloud, accelerator.family)
        and row["accelerator"] in ("", accelerator.name)
        and row["kubernetes"] in ("", kubernetes)
    ]
    if not rows:
        return None
    row = max(rows, key=lambda row: (bool(row["accelerator"]), bool(row["kubernetes"])))
    return Driver(owner=DriverOwner(row["owner"]), setting=row["setting"], name=row["driver"], version=row["version"] or None)


def drivers(cloud: Cloud, family: Family) -> tuple[str, ...]:
    """Versions that the cloud's nodes of the family have, in words, with what tells one from another."""
    rows = [row for row in _rows() if (row["cloud"], row["family"]) == (cloud, family)]
    return tuple(" ".join(filter(None, (row["version"] or "not known", _which(row)))) for row in rows if row["owner"] != "none")


def _which(row: dict[str, str]) -> str:
    with_ = row["accelerator"], row["kubernetes"] and f"Kubernetes {row['kubernetes']}"
    return f"({', '.join(filter(None, with_))})" if any(with_) else ""


def driver_owner(cloud: Cloud, family: Family) -> DriverOwner:
    """Who installs the family's driver; NONE where the table knows of nobody."""
    owners = {row["owner"] for row in _rows() if (row["cloud"], row["family"]) == (cloud, family)}
    assert len(owners) < 2, f"{family} on {cloud} has several owners of its driver: {owners}"
    return DriverOwner(owners.pop()) if owners else DriverOwner.NONE
