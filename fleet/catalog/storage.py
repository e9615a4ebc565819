"""What disks cost a month, from data/storage.csv.

AWS and Google ask by the GiB (`gib` 1), Azure by sizes of its own: a disk is paid as the smallest that holds it.
What a disk is asked to do beyond its kind's base (IOPS, throughput) is not in it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

from fleet.catalog.clouds import Cloud

_DATA = Path(__file__).parent / "data" / "storage.csv"


@dataclass(frozen=True)
class DiskPrice:
    """A list price: `usd_month` for a disk of `gib`, or for each GiB where that is 1."""

    cloud: Cloud
    region: str
    kind: str
    gib: int
    usd_month: Decimal
    source: str
    as_of: str

    def of(self, gib: int) -> Decimal:
        """USD a month of a disk of so many GiB."""
        return self.usd_month * gib if self.gib == 1 else self.usd_month


@cache
def disk_prices() -> tuple[DiskPrice, ...]:
    """Every row."""
    with _DATA.open(newline="") as file:
        return tuple(
            DiskPrice(
                cloud=Cloud(row["cloud"]),
                region=row["region"],
                kind=row["kind"],
                gib=int(row["gib"]),
                usd_month=Decimal(row["usd_month"]),
                source=row["source"],
                as_of=row["as_of"],
            )
            for row in csv.DictReader(file)
        )


@cache
def disk_price(cloud: Cloud, region: str, kind: str, gib: int) -> DiskPrice | None:
    """The price of such a disk there; None where the catalogue has not seen it.

    A size that lies above one the catalogue misses could be the wrong one, so Azure's rows are taken only where they
    are the next of Azure's own sizes.
    """
    rows = [row for row in disk_prices() if (row.cloud, row.region, row.kind) == (cloud, region, kind)]
    wanted = 1 if cloud is not Cloud.AZURE else next((size for size in _AZURE_SIZES if size >= gib), None)
    return next((row for row in rows if row.gib == wanted), None)


# https://learn.microsoft.com/azure/virtual-machines/disks-types#premium-ssd-size
_AZURE_SIZES = (4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32767)
