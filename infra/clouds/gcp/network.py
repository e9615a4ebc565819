"""The GCP network of one cluster: a VPC with one subnetwork, ranges for pods and services, and the way out.

Owns address arithmetic. Makes no firewall rule: GKE writes those it needs, and nothing else is let in.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
import pulumi_gcp as gcp

from fleet.spec import Nat
from infra import naming
from infra.clouds.base import NetworkArgs

PODS, SERVICES = "pods", "services"


@dataclass(frozen=True)
class Ranges:
    """How a cluster's range is cut: half for pods (a /24 a node by GKE's default), an eighth each for nodes and services."""

    nodes: IPv4Network
    pods: IPv4Network
    services: IPv4Network


def ranges(cidr: str) -> Ranges:
    """Cut a range in three that do not overlap; a quarter stays free for what comes later.

    Raises:
        ValueError: it is smaller than /20, where pods would get less than eight nodes' worth.
    """
    whole = IPv4Network(cidr)
    if whole.prefixlen > 20:
        raise ValueError(f"{cidr} is too small for a cluster: use /16 to /20")
    first, second = whole.subnets(1)
    eighths = list(second.subnets(2))
    return Ranges(nodes=eighths[0], pods=first, services=eighths[1])


class GcpNetwork(pulumi.ComponentResource):
    """A VPC-native network whose nodes have no public address and reach Google's APIs privately.

    Private Google Access is always on, so that weights and images from GCS and Artifact Registry never pass the NAT
    (pain 14). Cloud NAT is regional: `single` and `per-zone` are the same gateway here.
    Follows "VPC-native clusters" and "Private Google Access".
    """

    network_id: pulumi.Output[str]
    subnetwork_id: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:gcp:GcpNetwork", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        cut = ranges(args.cidr)
        vpc = gcp.compute.Network(
            f"{name}-network",
            name=args.name,
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            opts=child,
        )
        subnetwork = gcp.compute.Subnetwork(
            f"{name}-nodes",
            name=naming.physical(args.name, "nodes"),
            region=args.region,
            network=vpc.id,
            ip_cidr_range=str(cut.nodes),
            secondary_ip_ranges=[
                gcp.compute.SubnetworkSecondaryIpRangeArgs(range_name=PODS, ip_cidr_range=str(cut.pods)),
                gcp.compute.SubnetworkSecondaryIpRangeArgs(range_name=SERVICES, ip_cidr_range=str(cut.services)),
            ],
            private_ip_google_access=True,
            opts=child,
        )
        self.zones = args.zones
        self.network_id = vpc.id
        self.subnetwork_id = subnetwork.id
        if args.nat is not Nat.NONE:
            _nat(self, name, args, vpc)
        self.register_outputs({"networkId": self.network_id, "subnetworkId": self.subnetwork_id})


def _nat(parent: pulumi.Resource, name: str, args: NetworkArgs, vpc: gcp.compute.Network) -> None:
    child = pulumi.ResourceOptions(parent=parent)
    router = gcp.compute.Router(
        f"{name}-router", name=naming.physical(args.name, "router"), region=args.region, network=vpc.id, opts=child
    )
    gcp.compute.RouterNat(
        f"{name}-nat",
        name=naming.physical(args.name, "nat"),
        router=router.name,
        region=args.region,
        nat_ip_allocate_option="AUTO_ONLY",
        source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
        log_config=gcp.compute.RouterNatLogConfigArgs(enable=True, filter="ERRORS_ONLY"),
        opts=child,
    )
