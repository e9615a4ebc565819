"""Whether a cluster's network has addresses for every node that its pools may grow to.

How a range is cut is `infra/clouds/*/network.py`'s; the same arithmetic stands here, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fleet.catalog.clouds import Cloud, regions
from fleet.checks.finding import Finding, Path, fields
from fleet.plan import network_zones
from fleet.spec import ClusterSpec
from fleet.spec_network import Nat

# GKE: half the range is the pods', a /25 of it each node's.
_GKE_PODS, _GKE_NODE = 1, 128
# EKS: an eighth of the range each zone's; five addresses of a subnet are AWS's, six EKS's. A node with a pod on it holds
# one network interface and one in reserve (WARM_ENI_TARGET), ten addresses each on the smallest of our machines.
# https://docs.aws.amazon.com/eks/latest/userguide/network-reqs.html,
# https://github.com/aws/amazon-vpc-cni-k8s/blob/master/docs/eni-and-ip-target.md
_EKS_ZONE, _EKS_KEPT, _EKS_NODE = 3, 5 + 6, 20
# AKS: a quarter of the range each subnet's, five addresses of it Azure's; pods are in a /12 of their own, a /24 a node.
# https://learn.microsoft.com/azure/aks/concepts-network-azure-cni-overlay
_AKS_SUBNET, _AKS_KEPT, _AKS_PODS = 2, 5, 4096


@dataclass(frozen=True)
class Room:
    """Nodes that some of the pools share.

    Attributes:
        pools: names in the stack file, `system` for the system pool.
        nodes: how many have room.
        where: what has room for them, in words.
    """

    pools: tuple[str, ...]
    nodes: int
    where: str


def rooms(cluster: ClusterSpec, prefix: int) -> list[Room]:
    """What a network of that prefix length has room for, the smallest part first; the region is known."""
    every = network_zones(cluster)
    places = {"system": every, **{name: tuple(pool.zones) or every for name, pool in cluster.pools.items()}}
    if cluster.cloud is Cloud.GCP:
        return [Room(tuple(places), _addresses(prefix + _GKE_PODS) // _GKE_NODE, "the pods' half of the network")]
    if cluster.cloud is Cloud.AWS:
        each = (_addresses(prefix + _EKS_ZONE) - _EKS_KEPT) // _EKS_NODE
        sets = sorted({frozenset(zones) for zones in places.values()}, key=lambda zones: (len(zones), sorted(zones)))
        return [
            Room(
                tuple(name for name, inside in places.items() if zones >= set(inside)),
                each * len(zones),
                f"the subnets of {', '.join(sorted(zones))}",
            )
            for zones in sets
        ]
    subnets = every if cluster.network.nat is Nat.PER_ZONE else every[:1]
    homes = {name: z[0] if len(z) == 1 and z[0] in subnets else subnets[0] for name, z in places.items()}
    each = _addresses(prefix + _AKS_SUBNET) - _AKS_KEPT
    return [
        *(Room(tuple(n for n, home in homes.items() if home == zone), each, f"the subnet nodes-{zone}") for zone in subnets),
        Room(tuple(places), _AKS_PODS, "the pods' own range"),
    ]


def _addresses(prefix: int) -> int:
    return int(2 ** (32 - prefix))


def _written(cluster: ClusterSpec, pool: str) -> int:
    return (cluster.system_pool if pool == "system" else cluster.pools[pool]).nodes.max


def _rungs(cluster: ClusterSpec, pool: str) -> int:
    """Pools in the cloud: for a while all may be full, as a lower rung's nodes are idle only once a higher one took over."""
    return 1 if pool == "system" else len(cluster.pools[pool].ladder)


def _most(cluster: ClusterSpec, pool: str) -> int:
    return _written(cluster, pool) * _rungs(cluster, pool)


def _crowded(cluster: ClusterSpec, prefix: int) -> Room | None:
    """The first room with more nodes than fit."""
    return next((r for r in rooms(cluster, prefix) if sum(_most(cluster, p) for p in r.pools) > r.nodes), None)


def check(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """One fault at most: at the largest of the pools that do not fit together."""
    prefix = cluster.network.cidr.prefixlen
    if cluster.cloud is Cloud.EXISTING or cluster.network.existing:
        return
    if cluster.region not in regions(cluster.cloud) or not 16 <= prefix <= 20:
        return
    room = _crowded(cluster, prefix)
    if room is None:
        return
    total = sum(_most(cluster, pool) for pool in room.pools)
    largest = max(room.pools, key=lambda pool: _most(cluster, pool))
    at = {pool: (*path, *(("system_pool",) if pool == "system" else ("pools", pool))) for pool in room.pools}
    where = (*at[largest], "nodes", "max")
    wider = next((p for p in range(prefix - 1, 15, -1) if _crowded(cluster, p) is None), None)
    remedy = f"widen network.cidr to a /{wider}, or lower max" if wider else "lower max, or make two clusters of it"
    message = f"the pools grow to {total} nodes together, and there is room for {room.nodes} in {room.where}"
    read = [field for pool in at.values() for field in fields(pool, "nodes.max", "zones", "fallback", "capacity")]
    needs = (*fields(path, "cloud", "region", "network"), *read)
    left = max(0, room.nodes - total + _most(cluster, largest)) // _rungs(cluster, largest)
    allowed = f"up to {left} here, {room.nodes} in all"
    yield Finding(where, message, str(_written(cluster, largest)), allowed, remedy, needs=needs)
