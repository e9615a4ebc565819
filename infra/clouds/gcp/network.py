"""The GCP network of one cluster: a VPC with one subnetwork, ranges for pods and services, and the way out.

Owns address arithmetic. Makes no firewall rule: GKE writes those it needs, and nothing else is let in. Leaves the
default route alone, for Private Google Access takes it even where there is no NAT.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
import pulumi_gcp as gcp

from fleet import naming
from fleet.spec_network import ExistingNetworkSpec, Nat
from infra.clouds.base import NetworkArgs

PODS, SERVICES = "pods", "services"
# Half of GKE's default of 110, so that half the addresses do: GKE gives a node twice as many as it may have pods,
# rounded up to a power of two. A serving node runs some twenty of GKE's own and a replica for each accelerator.
# https://cloud.google.com/kubernetes-engine/docs/how-to/flexible-pod-cidr
PODS_PER_NODE = 64
_SMALLEST = 20  # prefix length


@dataclass(frozen=True)
class Ranges:
    """How a cluster's range is cut: half for pods, an eighth each for nodes and services; a quarter stays free.

    | network | pods             | nodes             | services        |
    |---------|------------------|-------------------|-----------------|
    | /16     | /17 (256 nodes)  | /19 (8188 nodes)  | /19 (8192)      |
    | /18     | /19 (64 nodes)   | /21 (2044 nodes)  | /21 (2048)      |
    | /20     | /21 (16 nodes)   | /23 (508 nodes)   | /23 (512)       |

    Pods decide how large a cluster can grow: each node takes a /25 of theirs (`PODS_PER_NODE`).
    """

    nodes: IPv4Network
    pods: IPv4Network
    services: IPv4Network

    @property
    def most_nodes(self) -> int:
        """Nodes, of all pools together, that the pods' range has room for."""
        return self.pods.num_addresses // (2 * PODS_PER_NODE)


def ranges(cidr: str) -> Ranges:
    """Cut a range in three that do not overlap.

    >>> cut = ranges("10.0.0.0/16")
    >>> str(cut.pods), str(cut.nodes), str(cut.services)
    ('10.0.0.0/17', '10.0.128.0/19', '10.0.160.0/19')

    Raises:
        ValueError: it is smaller than /20, where pods would get less than sixteen nodes' worth.
    """
    whole = IPv4Network(cidr)
    if whole.prefixlen > _SMALLEST:
        raise ValueError(f"network {cidr} is too small for a cluster: use /16 to /20")
    first, second = whole.subnets(1)
    eighths = list(second.subnets(2))
    return Ranges(nodes=eighths[0], pods=first, services=eighths[1])


class GcpNetwork(pulumi.ComponentResource):
    """A VPC-native network whose nodes have no public address and reach Google's APIs privately; or one that is there already.

    Private Google Access is always on, so that weights and images from GCS and Artifact Registry never pass the NAT
    (pain 14). Cloud NAT is regional and outlives a zone: `single` and `per-zone` are the same gateway here. Without
    NAT, images must be in Artifact Registry (a remote repository for those of others).
    Follows "VPC-native clusters" and "Private Google Access".

    Attributes:
        number: what Google calls the network by itself, another one each time a network of that name is made; None of one
            that is there already.
        pods, services: names of the subnetwork's secondary ranges. project: whose firewall rules are the network's; None for
            the provider's own.

    Raises:
        ValueError: the network's range is too small (see `ranges`).
    """

    network_id: pulumi.Output[str]
    subnetwork_id: pulumi.Output[str]
    number: pulumi.Output[str] | None = None
    pods, services = PODS, SERVICES
    project: str | None = None

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:gcp:GcpNetwork", name, {}, opts)
        self.zones = args.zones
        if args.existing is None:
            self._make(name, args)
        else:
            self._take(args.existing, args.region)
        self.register_outputs({"networkId": self.network_id, "subnetworkId": self.subnetwork_id})

    def _take(self, existing: ExistingNetworkSpec, region: str) -> None:
        """It may be another project's: whoever shares it lets GKE's and Google APIs' accounts use the subnetwork."""
        self.network_id = pulumi.Output.from_input(existing.id)
        self.subnetwork_id = pulumi.Output.from_input(existing.subnets[region])
        self.pods, self.services = existing.pods, existing.services
        self.project = existing.id.split("/")[1]

    def _make(self, name: str, args: NetworkArgs) -> None:
        cut, child = ranges(args.cidr), pulumi.ResourceOptions(parent=self)
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
        self.network_id = vpc.id
        self.number = vpc.network_id
        self.subnetwork_id = subnetwork.id
        if args.nat is not Nat.NONE:
            _nat(self, name, args, vpc)


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
