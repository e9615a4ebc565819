"""Spot machines of EC2 that are wanted back: first the warning, which whoever listens may heed, then the end.

Of pools without machines of EC2's own (`sandbox.cluster.instances`) the cluster simulation takes nodes itself.
"""

from __future__ import annotations

import contextlib
import time

from sandbox.cloud.aws_api.fleet import terminate
from sandbox.cloud.errors import CloudError
from sandbox.cloud.events import SPOT_WARNING, announce
from sandbox.cloud.world import World
from sandbox.cluster import ClusterSim


def reclaim(world: World, sim: ClusterSim, pool: str, count: int, notice_s: float) -> list[str]:
    """Take a pool's oldest spot machines; returns the names of their nodes.

    Args:
        notice_s: how long before its end a machine is warned of (AWS: 120); without, it just ends.

    Raises:
        CloudError: its machines were not bought as spot.
    """
    taken = sim.instances.of(pool)[:count]
    if not all(instance.spot for instance in taken):
        raise CloudError("InvalidParameter", f"{sim.control_plane.name} has no spot pool {pool}")
    if notice_s:
        for instance in taken:
            announce(world, instance.region, SPOT_WARNING, instance.id, {"instance-action": "terminate"})
        deadline = time.monotonic() + notice_s
        while time.monotonic() < deadline and {i.id for i in taken} & {i.id for i in sim.instances.of(pool)}:
            time.sleep(0.2)
    for instance in taken:
        with contextlib.suppress(CloudError):  # it was given back in time
            terminate(world, instance.id)
    return [instance.node_name for instance in taken]
