"""Teams that share a cluster's accelerators: what the pools hold, what a team may hold, and the names of its things.

One unit throughout: what a pod asks for, which is an accelerator, or a part of one where the pool is shared. A
ResourceQuota and a Kueue queue count the same. Makes no resource; whether the numbers agree is `fleet.checks.tenancy`'s.
"""

from __future__ import annotations

from collections.abc import Iterable

from fleet.contract import AcceleratorPool
from fleet.spec import ClusterSpec

# Namespace of models without a team.
NO_TEAM = "models"
# On a team's namespace; Kueue goes by it.
TEAM_LABEL = "accelfleet.io/team"


def namespace(team: str) -> str:
    """The team's namespace, which is never one of Kubernetes' own or of an add-on's."""
    return f"team-{team}"


def capacity(pools: Iterable[AcceleratorPool]) -> dict[str, int]:
    """What the pools hold at their largest, by accelerator. Rungs stand in for each other and add nothing."""
    held: dict[str, int] = {}
    for pool in pools:
        held[pool.accelerator.name] = held.get(pool.accelerator.name, 0) + pool.most_nodes * pool.slots
    return held


def shares(cluster: ClusterSpec) -> dict[str, int]:
    """What the teams hold together, by accelerator."""
    held: dict[str, int] = {}
    for team in cluster.teams.values():
        for accelerator, count in team.accelerators.items():
            held[accelerator] = held.get(accelerator, 0) + count
    return held


def most(cluster: ClusterSpec, team: str) -> dict[str, int]:
    """What a team may hold at most, by accelerator: its share, and with `borrow` all that the others may leave idle."""
    return shares(cluster) if cluster.teams[team].borrow else dict(cluster.teams[team].accelerators)
