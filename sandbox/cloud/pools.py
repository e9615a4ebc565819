"""From what a program asked of a node pool to the pool the cluster simulation runs; the same steps on every cloud.

Reads machine facts from the catalogue: a node gets what the machine has, whatever the program hoped.
"""

from __future__ import annotations

from typing import Any

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, machine, offer, regions_with
from fleet.catalog.sharing import Sharing, mig, mig_profiles_on
from sandbox.cloud.errors import CloudError


def hardware(cloud: Cloud, name: str, accelerator: str | None = None) -> Machine | None:
    """The catalogue's row of a machine type; None for a machine the catalogue does not know (it has no accelerators)."""
    return machine(cloud, name, accelerator)


def refuse_absent(found: Machine | None, region: str) -> None:
    """Refuse a machine that the region does not have; unknown machines and unpriced ones pass.

    Raises:
        CloudError: InsufficientInstanceCapacity, naming the regions that have it.
    """
    if found is None or found.accelerator is None or not regions_with(found):
        return
    if offer(found, region) is None:
        raise CloudError(
            "UnsupportedMachine", f"{found.name} is not offered in {region}; it is in {', '.join(regions_with(found))}"
        )


def cut(cloud: Cloud, row: Machine | None, profile: str | None) -> Sharing | None:
    """The MIG profile that a pool asks its cloud for.

    Raises:
        CloudError: the machine's GPU, or the cloud, has no such profile.
    """
    if not profile:
        return None
    accelerator = row.accelerator.name if row and row.accelerator else "a machine without GPU"
    offered = mig_profiles_on(cloud, accelerator)
    if profile not in offered:
        raise CloudError(
            "InvalidParameter", f"{accelerator} cannot be cut into {profile}; there are {', '.join(offered) or 'none'}"
        )
    return mig(accelerator, profile)


def size_after(old: tuple[int, int, int], new: tuple[int, int, int], current: int) -> int:
    """The size of a pool whose (min, max, desired) changed: a new desired wins, else the current size, within bounds."""
    low, high, desired = new
    wanted = desired if desired != old[2] else current
    return max(low, min(high, wanted))


def integer(value: Any, default: int = 0) -> int:
    """Pulumi sends every number as a float."""
    return int(value) if value is not None else default
