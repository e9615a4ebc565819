"""The quotas that managed services and TPU VMs count by, from data/service_quotas.csv; virtual machines have the clouds' own.

A managed service's machines count against quotas of its own, beside those of the cloud's machines. A name that nobody has read
is None, never guessed from another's.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Literal

from fleet.catalog.clouds import Cloud

_DATA = Path(__file__).parent / "data" / "service_quotas.csv"
Unit = Literal["machines", "accelerators", "vCPUs", "cores"]


@dataclass(frozen=True, kw_only=True)
class ServiceQuota:
    """How a cloud counts the machines of a section of `services:`, or of `tpu_vms:`.

    Attributes:
        of: the accelerator it is for, or the machine or TPU types, as a pattern; the first row that fits counts.
        quota, spot_quota: the cloud's own name, `{machine}` open; empty where the catalogue has not seen it.
        unit: what it counts. extra_percent: machines on top that the cloud asks quota for.
    """

    cloud: Cloud
    section: str
    of: str
    quota: str
    spot_quota: str
    unit: Unit
    extra_percent: int
    source: str
    as_of: str

    def name(self, machine: str, *, spot: bool) -> str | None:
        return (self.spot_quota if spot else self.quota).format(machine=machine) or None


@cache
def service_quotas() -> tuple[ServiceQuota, ...]:
    """Every row."""
    with _DATA.open(newline="") as file:
        return tuple(
            ServiceQuota(**{**row, "cloud": Cloud(row["cloud"]), "extra_percent": int(row["extra_percent"] or 0)})  # type: ignore[arg-type]
            for row in csv.DictReader(file)
        )


def service_quota(cloud: Cloud, section: str, machine: str, accelerator: str | None = None) -> ServiceQuota | None:
    """The row for such machines; None where the catalogue has seen none."""
    rows = (row for row in service_quotas() if (row.cloud, row.section) == (cloud, section))
    return next((row for row in rows if row.of == accelerator or fnmatchcase(machine, row.of)), None)
