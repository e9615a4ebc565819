"""What an account may have of each kind of machine in a region, once a limit was set; without one there is none.

Counted in the cloud's own unit: vCPUs on AWS and Azure, accelerators on GCP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fleet.catalog.clouds import Cloud
from sandbox.cloud.errors import CloudError
from sandbox.cluster import NodePool

if TYPE_CHECKING:
    from sandbox.cloud.world import World


def refuse_over_quota(world: World, cluster: str, pool: NodePool) -> None:
    """Refuse a pool whose machines, beside those that run, exceed the account's quota in the region.

    Raises:
        CloudError: in the cloud's own words, with the quota and its limit.
    """
    _, refused = affordable(world, cluster, pool)
    if refused:
        raise refused


def affordable(world: World, cluster: str, pool: NodePool) -> tuple[int, CloudError | None]:
    """Nodes that the quota leaves a pool of this size, and what the cloud says where these are fewer."""
    name, each = _quota(pool), _units(pool.at(1))
    limit = world.records.setting(f"quota/{pool.cloud}/{pool.region}/{name}") if name else None
    if limit is None or not each:
        return pool.size, None
    used = sum(
        _units(other)
        for where in (about["cluster"].partition("/") for about in world.clusters.status())
        if where[0] == pool.cloud
        for other in world.clusters.sim(pool.cloud, where[2]).standing()
        if other.region == pool.region and _quota(other) == name and (where[2], other.name) != (cluster, pool.name)
    )
    if used + _units(pool) <= limit:
        return pool.size, None
    return max(0, limit - used) // each, over_quota(pool, name, limit, used)


def _quota(pool: NodePool) -> str:
    row = pool.hardware
    return (row.spot_quota if pool.spot else row.quota) if row else ""


def _units(pool: NodePool) -> int:
    row = pool.hardware
    if row is None:
        return 0
    # A GCP machine without accelerators counts its CPUs, against CPUS.
    return pool.size * (row.accelerators or row.vcpus if pool.cloud is Cloud.GCP else row.vcpus)


def over_quota(pool: NodePool, name: str, limit: int, used: int) -> CloudError:
    """The cloud's own refusal of a pool that wants more than is left of a quota."""
    wanted = _units(pool)
    if pool.cloud is Cloud.GCP:
        free = max(0, limit - used)
        return CloudError(
            "forbidden",
            f"Insufficient regional quota to satisfy request: resource \"{name}\": request requires '{wanted}.0' and is short "
            f"'{wanted - free}.0'. project has a quota of '{limit}.0' with '{free}.0' available. "
            "View and manage quotas at https://console.cloud.google.com/iam-admin/quotas?usage=USED",
            403,
        )
    if pool.cloud is Cloud.AZURE:
        return CloudError(
            "QuotaExceeded",
            f"Operation could not be completed as it results in exceeding approved {name} Cores quota. Additional details - "
            f"Deployment Model: Resource Manager, Location: {pool.region}, Current Limit: {limit}, Current Usage: {used}, "
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
    numbers = f"quota {name} in {pool.region}: {wanted} vCPUs wanted, {used} in use, the limit is {limit}"
    return CloudError("AsgInstanceLaunchFailures", f"{why} Launching EC2 instance failed. ({numbers})")
