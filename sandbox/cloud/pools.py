"""From what a program asked of a node pool to the pool the cluster simulation runs; the same steps on every cloud.

Reads machine facts from the catalogue: a node gets what the machine has, whatever the program hoped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, machine, offer, regions_with
from fleet.catalog.sharing import Sharing, mig, mig_profiles_on
from sandbox.cloud.errors import CloudError
from sandbox.cluster import NodePool

if TYPE_CHECKING:
    from sandbox.cloud.world import World


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


def refuse_over_quota(world: World, cloud: Cloud, region: str, cluster: str, pool: NodePool) -> None:
    """Refuse a pool whose machines, beside those that run, exceed the account's quota in the region, where one was set.

    Quotas are counted in the cloud's own unit: vCPUs on AWS and Azure, accelerators on GCP.

    Raises:
        CloudError: in the cloud's own words, with the quota and its limit.
    """
    row, name = pool.hardware, _quota(pool)
    limit = world.records.setting(f"quota/{cloud}/{region}/{name}") if name else None
    if row is None or limit is None:
        return
    used = sum(
        _units(other)
        for where in (about["cluster"].partition("/") for about in world.clusters.status())
        if where[0] == cloud
        for other in world.clusters.sim(cloud, where[2]).pools()
        if other.region == region and _quota(other) == name and (where[2], other.name) != (cluster, pool.name)
    )
    wanted = _units(pool)
    if used + wanted > limit:
        raise _over_quota(cloud, region, pool, name, limit, used, wanted)


def _quota(pool: NodePool) -> str:
    row = pool.hardware
    return (row.spot_quota if pool.spot else row.quota) if row else ""


def _units(pool: NodePool) -> int:
    row = pool.hardware
    if row is None:
        return 0
    # A GCP machine without accelerators counts its CPUs, against CPUS.
    return pool.size * (row.accelerators or row.vcpus if pool.cloud is Cloud.GCP else row.vcpus)


def _over_quota(cloud: Cloud, region: str, pool: NodePool, name: str, limit: int, used: int, wanted: int) -> CloudError:
    if cloud is Cloud.GCP:
        free = max(0, limit - used)
        return CloudError(
            "forbidden",
            f"Insufficient regional quota to satisfy request: resource \"{name}\": request requires '{wanted}.0' and is short "
            f"'{wanted - free}.0'. project has a quota of '{limit}.0' with '{free}.0' available. "
            "View and manage quotas at https://console.cloud.google.com/iam-admin/quotas?usage=USED",
            403,
        )
    if cloud is Cloud.AZURE:
        return CloudError(
            "QuotaExceeded",
            f"Operation could not be completed as it results in exceeding approved {name} Cores quota. Additional details - "
            f"Deployment Model: Resource Manager, Location: {region}, Current Limit: {limit}, Current Usage: {used}, "
            f"Additional Required: {wanted}, (Minimum) New Limit Required: {used + wanted}.",
        )
    why = (
        "Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded."
        if pool.spot
        else "Could not launch On-Demand Instances. VcpuLimitExceeded - You have requested more vCPU capacity than your "
        f"current vCPU limit of {limit} allows for the instance bucket that the specified instance type belongs to. "
        "Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit."
    )
    # EC2 does not say which quota it was; `aws service-quotas` knows it by this code.
    numbers = f"quota {name} in {region}: {wanted} vCPUs wanted, {used} in use, the limit is {limit}"
    return CloudError("AsgInstanceLaunchFailures", f"{why} Launching EC2 instance failed. ({numbers})")


def size_after(old: tuple[int, int, int], new: tuple[int, int, int], current: int) -> int:
    """The size of a pool whose (min, max, desired) changed: a new desired wins, else the current size, within bounds."""
    low, high, desired = new
    wanted = desired if desired != old[2] else current
    return max(low, min(high, wanted))


def integer(value: Any, default: int = 0) -> int:
    """Pulumi sends every number as a float."""
    return int(value) if value is not None else default
