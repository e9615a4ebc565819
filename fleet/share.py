"""What a replica takes of its node beside accelerators: CPU, memory and disk in their proportion.

So that the replicas which fill a node's accelerators fit: one that took more would leave accelerators that nobody can
use (it strands them). A model may ask for less, and `fleet.checks` refuses more, with the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet.contract import AcceleratorPool

# Percent of a node that its pods may ask for. The rest is the kubelet's and of the cloud's own DaemonSets: GKE keeps
# 2.7 of 15 GiB memory and half of a 100 GiB disk.
_NODE_PERCENT = 70
_DISK_PERCENT = 40


@dataclass(frozen=True)
class NodeShare:
    """CPU in thousandths of one, memory and disk in GiB."""

    cpu_m: int
    memory_gib: int
    disk_gib: int


def share_of_node(pool: AcceleratorPool, count: int) -> NodeShare:
    """The share of `count` accelerators; with whole CPUs, where the kubelet gives a pod those for its own."""

    def share(whole: int, percent: int) -> int:
        return whole * count * percent // (pool.slots * 100)

    cpu_m = share(pool.machine.vcpus * 1000, _NODE_PERCENT)
    return NodeShare(
        cpu_m=max(1000, cpu_m // 1000 * 1000) if pool.numa else cpu_m,
        memory_gib=max(1, share(pool.machine.memory_gib, _NODE_PERCENT)),
        disk_gib=max(1, share(pool.disk_gib, _DISK_PERCENT)),
    )
