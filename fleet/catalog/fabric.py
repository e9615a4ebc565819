"""The fabric between machines, which NCCL needs to leave TCP behind: data/fabric.csv, read once.

Each cloud has one, and the machine type decides which kind of it: EFA on AWS, GPUDirect on GCP (TCPX, TCPXO or RDMA),
InfiniBand on Azure. Owns what a node has of it and what Kubernetes calls that; who makes it so is `infra`'s.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa.html
https://cloud.google.com/kubernetes-engine/docs/how-to/gpu-bandwidth-gpudirect-tcpx
https://azure.github.io/aks-rdma-infiniband/
"""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from ipaddress import IPv4Network
from pathlib import Path

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine

EFA_RESOURCE = "vpc.amazonaws.com/efa"
INFINIBAND_RESOURCE = "rdma/ib"
# GKE offers one of each Network object that a node is attached to: <prefix><its name>.
GKE_NETWORK_RESOURCES = "networking.gke.io.networks/"
# GPUDirect's subnets, of RFC 6598: sixteen of 4,092 nodes. Nothing else is routed to them, so every pool may have the same.
GPUDIRECT_RANGE = IPv4Network("100.127.0.0/16")
_FILE = Path(__file__).parent / "data" / "fabric.csv"
_RDMA, _TCPX, _TCPXO = "rdma", "tcpx", "tcpxo"
# Bytes, of every VPC on the way; GPUDirect's pages name one for TCPX and TCPXO, and one for RDMA.
_MTU = {_TCPX: 8244, _TCPXO: 8244, _RDMA: 8896}


class Fabric(StrEnum):
    """What joins the nodes of a pool beside their ordinary network."""

    EFA = "efa"
    GPUDIRECT = "gpudirect"
    INFINIBAND = "infiniband"


@dataclass(frozen=True)
class NodeNetwork:
    """An interface of a GKE node beside its first, with a subnet of its own.

    Attributes:
        name: of the subnet and of the Network object, without the pool's. vpc: the VPC it is in, which several may share.
        rdma: a ConnectX NIC, whose VPC has the RDMA network profile; else a gVNIC.
        gpu: whether GPUs talk over it, so that a pod wants it.
    """

    name: str
    vpc: str
    rdma: bool = False
    gpu: bool = True


@dataclass(frozen=True, kw_only=True)
class NodeFabric:
    """What one machine type has of its cloud's fabric.

    Attributes:
        protocol: tcpx, tcpxo or rdma for GPUDirect, else the kind's own name.
        interfaces: NICs that the accelerators talk over.
        zones: zones that have the machine, where its list tells; empty where it does not.
    """

    kind: Fabric
    protocol: str
    interfaces: int
    zones: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """What tells its nodes apart: `efa`, `gpudirect-rdma`, `infiniband`."""
        return f"{self.kind}-{self.protocol}" if self.kind is Fabric.GPUDIRECT else str(self.kind)

    @property
    def resource(self) -> str | None:
        """The extended resource that counts its interfaces; None for GPUDirect, which has one for each network."""
        return {Fabric.EFA: EFA_RESOURCE, Fabric.INFINIBAND: INFINIBAND_RESOURCE}.get(self.kind)

    @property
    def networks(self) -> tuple[NodeNetwork, ...]:
        """GPUDirect's further interfaces, in the order in which a node has them; none elsewhere.

        TCPX and TCPXO: a VPC for each. RDMA: a gVNIC for the host, then one VPC with a subnet for each GPU's NIC.
        """
        if self.kind is not Fabric.GPUDIRECT:
            return ()
        if self.protocol == _RDMA:
            nics = (NodeNetwork(f"rdma-{i}", "rdma", rdma=True) for i in range(self.interfaces))
            return NodeNetwork("gvnic-1", "gvnic-1", gpu=False), *nics
        return tuple(NodeNetwork(f"vpc-{i}", f"vpc-{i}") for i in range(1, self.interfaces + 1))

    @property
    def mtu(self) -> int:
        """Of GPUDirect's VPCs, in bytes."""
        return _MTU[self.protocol]

    def share(self, pool: str, count: int, per_node: int) -> dict[str, int]:
        """Resources that a pod of `count` accelerators asks for: in proportion, and less than one interface is none.

        GPUDirect's are all of a node's or none: GKE hands each network out once, and a pod is to use all GPUs and all NICs.
        """
        if self.resource is None:
            whole = self.networks if count == per_node else ()
            return {f"{GKE_NETWORK_RESOURCES}{network_object(pool, network)}": 1 for network in whole if network.gpu}
        interfaces = self.interfaces * count // per_node
        return {self.resource: interfaces} if interfaces else {}

    def attached(self, pool: str, count: int, per_node: int) -> dict[str, str]:
        """GKE's annotations for a pod with such a share; the ordinary interface stays its first."""
        networks = [network for network in self.networks if network.gpu]
        if not networks or count < per_node:
            return {}
        more = [{"interfaceName": f"eth{i}", "network": network_object(pool, n)} for i, n in enumerate(networks, 1)]
        interfaces = [{"interfaceName": "eth0", "network": "default"}, *more]
        return {"networking.gke.io/default-interface": "eth0", "networking.gke.io/interfaces": json.dumps(interfaces)}


def network_object(pool: str, network: NodeNetwork) -> str:
    """Name of the Network object by which pods take a network of that pool."""
    return f"{pool}-{network.name}"


@cache
def _rows() -> dict[tuple[Cloud, str], NodeFabric]:
    with _FILE.open(newline="") as file:
        return {
            (Cloud(row["cloud"]), row["machine"]): NodeFabric(
                kind=Fabric(row["fabric"]),
                protocol=row["protocol"],
                interfaces=int(row["interfaces"]),
                zones=tuple(row["zones"].split()),
            )
            for row in csv.DictReader(file)
        }


def node_fabric(machine: Machine) -> NodeFabric | None:
    """What the machine has; None where it has none, or nobody we read says so."""
    return _rows().get((machine.cloud, machine.name))


def of_cloud(cloud: Cloud) -> Fabric | None:
    """The one kind of fabric that a cloud's machines have; None at a site of one's own."""
    return next((row.kind for (where, _), row in _rows().items() if where is cloud), None)


def efa_interfaces(machine: Machine) -> int:
    """Elastic Fabric Adapters of the machine, one a network card."""
    found = node_fabric(machine)
    return found.interfaces if found and found.kind is Fabric.EFA else 0
