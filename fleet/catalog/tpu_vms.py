"""Cloud TPU VMs: the types and zones in which a TPU is had without Kubernetes, from data/tpu_vms.csv.

TPU v2 and v3 alone: v2 is in no node pool, and of v3 GKE has no more than one region; v4 and later are pools. Google's page
counts v2 and v3 by cores, two a chip and eight a machine. A price that nobody published for a zone's region is None.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path

_DATA = Path(__file__).parent / "data" / "tpu_vms.csv"
_CHIPS_A_HOST = 4
# With PyTorch and JAX put on it by oneself: cloud.google.com/tpu/docs/runtimes, v4 and older; read 2026-11-29.
DEFAULT_RUNTIME = "tpu-ubuntu2204-base"


@dataclass(frozen=True, kw_only=True)
class TpuVmType:
    """A type in one zone, as `v2-8`; its price is that of all of its machines together.

    Attributes:
        chips: of all of them. on_demand, spot: USD an hour.
        source, as_of: of the zone; price_source, price_as_of: of the price, empty where there is none.
    """

    type: str
    accelerator: str
    chips: int
    zone: str
    on_demand: Decimal | None
    spot: Decimal | None
    price_source: str
    price_as_of: str
    source: str
    as_of: str

    @property
    def hosts(self) -> int:
        """Machines that come and go together."""
        return self.chips // _CHIPS_A_HOST

    @property
    def region(self) -> str:
        return self.zone.rpartition("-")[0]

    def usd_hour(self, *, spot: bool) -> Decimal | None:
        return self.spot if spot else self.on_demand


@cache
def tpu_vm_types() -> tuple[TpuVmType, ...]:
    """Every row, the smallest of a version first."""
    with _DATA.open(newline="") as file:
        return tuple(
            TpuVmType(
                type=row["type"],
                accelerator=row["accelerator"],
                chips=int(row["chips"]),
                zone=row["zone"],
                on_demand=_usd(row["on_demand_usd_hour"]),
                spot=_usd(row["spot_usd_hour"]),
                price_source=row["price_source"],
                price_as_of=row["price_as_of"],
                source=row["source"],
                as_of=row["as_of"],
            )
            for row in csv.DictReader(file)
        )


def with_tensorflow(runtime: str, hosts: int) -> str:
    """The runtime, its name right for so many machines: TensorFlow's say `-pod` where there are several, others never do.

    After cloud.google.com/tpu/docs/runtimes, read 2026-11-29.

    >>> with_tensorflow("tpu-vm-tf-2.16.1-pjrt", 4)
    'tpu-vm-tf-2.16.1-pod-pjrt'
    """
    named = re.fullmatch(r"(tpu-vm-tf-\d+\.\d+\.\d+)(?:-pod)?(-[a-z]+)?", runtime)
    return f"{named[1]}{'-pod' if hosts > 1 else ''}{named[2] or ''}" if named else runtime


def of_type(name: str) -> tuple[TpuVmType, ...]:
    """That type in all zones that have it; none where there is no such type."""
    return tuple(row for row in tpu_vm_types() if row.type == name)


def tpu_vm_type(name: str, region: str, zone: str | None) -> TpuVmType:
    """The type in that zone, or in the region's first that has it.

    Raises:
        LookupError: it is not there; `fleet.checks.tpu_vms` says so first.
    """
    for row in of_type(name):
        if row.region == region and zone in (None, row.zone):
            return row
    raise LookupError(f"no TPU VM {name} in {zone or region}")


def nearest(name: str) -> str | None:
    """The type of the same version whose number of cores is nearest, the larger of two; None for another version.

    >>> nearest("v2-16"), nearest("v3-4096"), nearest("v5e-8")
    ('v2-8', 'v3-2048', None)
    """
    version, _, cores = name.partition("-")
    known = {row.type: int(row.type.partition("-")[2]) for row in tpu_vm_types() if row.type.startswith(f"{version}-")}
    if not known or not cores.isdigit():
        return None
    return min(known, key=lambda kind: (abs(known[kind] - int(cores)), -known[kind]))


def _usd(text: str) -> Decimal | None:
    return Decimal(text) if text else None
