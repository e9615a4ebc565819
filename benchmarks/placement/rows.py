"""A price list of 10,800 rows in SkyPilot's format, and requests of it: made from a seed, the same for both sides.

Names of regions and accelerators are real; sizes, prices and what is where are not. On demand a machine costs the same in
all zones of a region, as SkyPilot requires; spot does so here, too.
"""

from __future__ import annotations

import csv
import random
from dataclasses import dataclass
from pathlib import Path

# SkyPilot's name -> ours, and what one costs about, USD an hour.
ACCELERATORS = {
    "T4": ("nvidia-t4", 0.5),
    "L4": ("nvidia-l4", 0.8),
    "A10G": ("nvidia-a10g", 1.0),
    "L40S": ("nvidia-l40s", 1.9),
    "A100": ("nvidia-a100-40gb", 4.1),
    "A100-80GB": ("nvidia-a100-80gb", 5.1),
    "H100": ("nvidia-h100-80gb", 6.9),
    "H200": ("nvidia-h200-141gb", 7.9),
    "B200": ("nvidia-b200", 14.2),
    "Trainium": ("trainium1", 1.3),
    "Inferentia": ("inferentia1", 0.2),
    "Inferentia2": ("inferentia2", 0.8),
}
_REGIONS = tuple(
    f"{area}-{number}"
    for area, most in {
        "af-south": 1, "ap-east": 1, "ap-northeast": 3, "ap-south": 2, "ap-southeast": 4, "ca-central": 1, "ca-west": 1,
        "eu-central": 2, "eu-north": 1, "eu-south": 2, "eu-west": 3, "il-central": 1, "me-central": 1, "me-south": 1,
        "mx-central": 1, "sa-east": 1, "us-east": 2, "us-west": 2,
    }.items()
    for number in range(1, most + 1)
)  # fmt: skip
_ZONES = 3
# Accelerators of each of an accelerator's ten machines.
_COUNTS = (1, 1, 1, 2, 2, 4, 4, 4, 8, 8)
_HEAD = (
    "InstanceType", "AcceleratorName", "AcceleratorCount", "vCPUs", "MemoryGiB", "GpuInfo", "Price", "SpotPrice", "Region",
    "AvailabilityZone",
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """So many nodes with so many accelerators each; anywhere, or in a region."""

    accelerator: str
    nodes: int
    count: int
    spot: bool
    region: str | None

    @property
    def words(self) -> tuple[str, ...]:
        """For `fleet place`."""
        ours, _ = ACCELERATORS[self.accelerator]
        region = ("--region", self.region) if self.region else ()
        return f"{ours}:{self.nodes}x{self.count}", *region, *(("--spot",) if self.spot else ())


def write(file: Path, seed: int = 2026) -> int:
    """The list; returns the number of its rows."""
    draw, rows = random.Random(seed), 0
    dearer = {region: draw.uniform(1.0, 1.6) for region in _REGIONS}
    with file.open("w", newline="", encoding="utf-8") as out:
        made = csv.writer(out)
        made.writerow(_HEAD)
        for name, (_, one) in ACCELERATORS.items():
            for number, count in enumerate(_COUNTS):
                machine, cpus = f"{name.lower().replace('-', '')}{number}.{count}x", 4 * count * draw.choice((1, 2, 4))
                for region in _REGIONS:
                    price = round((one * count + 0.04 * cpus) * dearer[region] * draw.uniform(0.97, 1.03), 4)
                    spot = round(price * draw.uniform(0.25, 0.75), 4)
                    for zone in range(_ZONES):
                        sizes = (float(count), float(cpus), 4.0 * cpus)
                        made.writerow((machine, name, *sizes, "", price, spot, region, f"{region}-az{zone + 1}"))
                        rows += 1
    return rows


def requests(count: int, seed: int = 7) -> list[Request]:
    """Random ones, each of which some machine can answer."""
    draw = random.Random(seed)
    return [
        Request(
            draw.choice(list(ACCELERATORS)),
            draw.randint(1, 4),
            draw.choice((1, 2, 4, 8)),
            draw.random() < 0.5,
            draw.choice(_REGIONS) if draw.random() < 1 / 3 else None,
        )
        for _ in range(count)
    ]
