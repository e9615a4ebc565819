"""The further networks of a GKE node pool: what GKE takes of them, and that no network goes from under one.

Follows "Maximize GPU network bandwidth in Standard mode clusters" and "RDMA network profiles", read 2026-11-23.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fleet.catalog.fabric import node_fabric
from fleet.catalog.machines import Machine
from sandbox.cloud.errors import CloudError
from sandbox.cloud.records import Record

if TYPE_CHECKING:
    from sandbox.cloud.world import World

_POOL = "gcp:container/nodePool:NodePool"
_PROFILE = "-vpc-roce"


def interfaces(inputs: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """VPC and subnet of each further interface that a node pool asks for."""
    asked = (inputs.get("networkConfig") or {}).get("additionalNodeNetworkConfigs") or []
    return tuple((_last(one.get("network")), _last(one.get("subnetwork"))) for one in asked)


def refuse(world: World, inputs: dict[str, Any], row: Machine | None) -> None:
    """What GKE refuses of a pool with further networks.

    Raises:
        CloudError: the cluster has no multi-networking, a network is not there, the machine has fewer NICs, or an RDMA
            network is of another zone or for a machine without such NICs.
    """
    asked = interfaces(inputs)
    if not asked:
        return
    clusters = world.records.all("gcp", "gcp:container/cluster:Cluster")
    cluster = next((c for c in clusters if _last(c.id) == _last(inputs["cluster"])), None)
    if cluster is None or not cluster.inputs.get("enableMultiNetworking"):
        raise CloudError("invalidArgument", "additional node networks need a cluster with multi-networking enabled")
    vpcs = _by_name(world, "gcp:compute/network:Network")
    subnets = _by_name(world, "gcp:compute/subnetwork:Subnetwork")
    for vpc, subnet in asked:
        if vpc not in vpcs or _last(subnets[subnet].inputs.get("network") if subnet in subnets else "") != vpc:
            raise CloudError("notFound", f"subnetwork {subnet} of network {vpc} does not exist", 404)
    found = node_fabric(row) if row else None
    most = len(found.networks) if found else 0
    if len(asked) > most:
        name = row.name if row else "the machine"
        raise CloudError("invalidArgument", f"{len(asked)} additional node networks, but {name} has {most} further NICs")
    for vpc in {vpc for vpc, _ in asked}:
        profile = _last(vpcs[vpc].inputs.get("networkProfile"))
        if not profile.endswith(_PROFILE):
            continue
        if found is None or found.protocol != "rdma":
            raise CloudError("invalidArgument", f"network {vpc} has profile {profile}, which takes MRDMA NICs alone")
        if list(inputs.get("nodeLocations") or []) != [profile.removesuffix(_PROFILE)]:
            raise CloudError("invalidArgument", f"network {vpc} has profile {profile}: its nodes are in that zone alone")


def check_unused(world: World, record: Record, place: int) -> None:
    """Refuse to delete a network (`place` 0) or subnet (1) that nodes have an interface in.

    Raises:
        CloudError: DependencyViolation, with the pool's name.
    """
    for pool in world.records.all("gcp", _POOL):
        if any(pair[place] == _last(record.id) for pair in interfaces(pool.inputs)):
            raise CloudError("DependencyViolation", f"{record.id} is in use by node pool {pool.name} ({pool.id})")


def _by_name(world: World, type_: str) -> dict[str, Record]:
    return {_last(record.id): record for record in world.records.all("gcp", type_)}


def _last(link: Any) -> str:
    return str(link or "").rsplit("/", 1)[-1]
