"""One cluster's resource group, virtual network, node subnets and ways out.

Owns the resource group too: it lives and dies with the cluster. Refuses peerings and firewalls; a network
that is there already is taken as it is, and the group alone is made.
Azure's subnets span a region's zones; its NAT gateways stand in one zone and a subnet takes only one of them. So
`single` is one subnet and one gateway, `per-zone` a subnet and a gateway a zone. A pool of one zone is put into its
zone's subnet; a pool of several zones can have but one subnet and takes the first, with that zone's way out.
https://learn.microsoft.com/azure/nat-gateway/nat-availability-zones
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network

import pulumi
from pulumi_azure_native import network, resources

from fleet.naming import physical
from fleet.spec_network import ExistingNetworkSpec, Nat, WayOut
from infra.clouds.base import NetworkArgs

# Pods and services have addresses of their own (CNI overlay), out of RFC 6598's range so that no VNet is in the way.
# AKS's own defaults, 10.244.0.0/16 and 10.0.0.0/16, collide with our default network. A /24 a node: 4096 nodes.
POD_CIDR = "100.64.0.0/12"
SERVICE_CIDR = "100.80.0.0/16"
DNS_SERVICE_IP = "100.80.0.10"


def node_ranges(cidr: str, zones: Sequence[str], nat: Nat) -> dict[str, str]:
    """Zone -> its node subnet's range, a quarter of the network each; a single entry unless NAT is per zone.

    Quarters do not depend on `nat`, so going from `single` to `per-zone` adds subnets and moves none.

    Raises:
        ValueError: the network meets the pods' or services' range, or there are no zones.
    """
    whole = IPv4Network(cidr)
    for taken in (POD_CIDR, SERVICE_CIDR):
        if whole.overlaps(IPv4Network(taken)):
            raise ValueError(f"network {cidr} overlaps {taken}, which the cluster's pods and services use: take another range")
    if not zones:
        raise ValueError(f"network {cidr} names no zone: give it one at least, such as '1'")
    quarters = [str(quarter) for quarter in whole.subnets(prefixlen_diff=2)]
    used = zones if nat is Nat.PER_ZONE else zones[:1]
    return dict(zip(used, quarters, strict=False))


@dataclass(frozen=True)
class GivenSubnet:
    """A subnet of a network that is there already."""

    id: pulumi.Output[str]


# https://learn.microsoft.com/azure/aks/egress-outboundtype
_OUTBOUND = {WayOut.NAT: "userAssignedNATGateway", WayOut.ROUTES: "userDefinedRouting", WayOut.NONE: "none"}


class AzureNetwork(pulumi.ComponentResource):
    """Resource group, VNet and private node subnets with the Storage service endpoint; or a VNet that is there already.

    Attributes:
        resource_group_name: where everything of the cluster goes.
        node_subnet_ids: in the zones' order; one unless NAT is per zone.
        egress_ips: public addresses that the nodes' traffic leaves from; none without NAT of ours.
        outbound_type: what AKS is told of the way out.

    Raises:
        ValueError: the network's range cannot be used (see `node_ranges`).
    """

    resource_group_name: pulumi.Output[str]
    network_id: pulumi.Output[str]
    node_subnet_ids: pulumi.Output[list[str]]
    egress_ips: pulumi.Output[list[str]]
    outbound_type: str
    functions_subnet: network.Subnet | GivenSubnet | None
    _subnets: dict[str, network.Subnet | GivenSubnet]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:azure:AzureNetwork", name, None, opts)
        self.args = args
        group = resources.ResourceGroup(
            name,
            resource_group_name=physical(args.name, limit=90),
            location=args.region,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.resource_group_name = group.name
        if args.existing is None:
            self._make(name, args)
        else:
            self._take(args.existing, args.zones)
        self.node_subnet_ids = pulumi.Output.all(*(subnet.id for subnet in self._subnets.values()))
        self.register_outputs(
            {
                "resource_group_name": self.resource_group_name,
                "network_id": self.network_id,
                "node_subnet_ids": self.node_subnet_ids,
                "egress_ips": self.egress_ips,
            }
        )

    def _take(self, existing: ExistingNetworkSpec, zones: Sequence[str]) -> None:
        """Its subnets have the Storage service endpoint already; their security group is its owner's."""
        keys = [zone for zone in zones if zone in existing.subnets] or list(existing.subnets)
        self._subnets = {key: GivenSubnet(pulumi.Output.from_input(existing.subnets[key])) for key in keys}
        self.functions_subnet = GivenSubnet(pulumi.Output.from_input(existing.functions)) if existing.functions else None
        self.network_id = pulumi.Output.from_input(existing.id)
        self.egress_ips = pulumi.Output.from_input([])
        self.outbound_type = _OUTBOUND[existing.way_out]

    def _make(self, name: str, args: NetworkArgs) -> None:
        ranges = node_ranges(args.cidr, args.zones, args.nat)
        group_name = self.resource_group_name
        vnet = network.VirtualNetwork(
            name,
            virtual_network_name=physical(args.name, "vnet"),
            resource_group_name=group_name,
            location=args.region,
            address_space=network.AddressSpaceArgs(address_prefixes=[args.cidr]),
            tags=args.tags,
            # Azure lists our separate subnets here; without this every update would set out to remove them.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["subnets"]),
        )
        firewall = self._security_group(name)
        made: dict[str, network.Subnet] = {}
        addresses: list[network.PublicIPAddress] = []
        previous: list[pulumi.Resource] = []
        for zone, prefix in ranges.items():
            gateway = None
            if args.nat is not Nat.NONE:
                gateway, address = self._nat_gateway(name, zone)
                addresses.append(address)
            subnet = network.Subnet(
                f"{name}-nodes-{zone}",
                subnet_name=f"nodes-{zone}",
                resource_group_name=group_name,
                virtual_network_name=vnet.name,
                address_prefix=prefix,
                network_security_group=network.NetworkSecurityGroupArgs(id=firewall.id),
                nat_gateway=network.SubResourceArgs(id=gateway.id) if gateway else None,
                default_outbound_access=False,
                # Weights come over the service endpoint, never through NAT, where each GB costs (pain 14).
                service_endpoints=[network.ServiceEndpointPropertiesFormatArgs(service="Microsoft.Storage")],
                # A VNet takes one change at a time: parallel subnets fail with AnotherOperationInProgress.
                opts=pulumi.ResourceOptions(parent=self, depends_on=previous),
            )
            made[zone] = subnet
            previous = [subnet]
        self._subnets = dict(made)
        first = next(iter(made.values()))
        self.functions_subnet = self._functions(f"{name}-functions", vnet, first, previous) if args.functions else None
        self.network_id = vnet.id
        self.egress_ips = pulumi.Output.all(*(address.ip_address for address in addresses))
        self.outbound_type = _OUTBOUND[WayOut.NONE if args.nat is Nat.NONE else WayOut.NAT]

    def _functions(
        self, name: str, vnet: network.VirtualNetwork, first: network.Subnet, after: list[pulumi.Resource]
    ) -> network.Subnet:
        """Where containers on demand run, out of the quarter that no zone has; the first zone's way out is theirs.

        https://learn.microsoft.com/azure/container-apps/custom-virtual-networks
        """
        last = list(IPv4Network(self.args.cidr).subnets(prefixlen_diff=2))[-1]
        return network.Subnet(
            name,
            subnet_name="functions",
            resource_group_name=self.resource_group_name,
            virtual_network_name=vnet.name,
            address_prefix=str(next(last.subnets(new_prefix=24))),
            nat_gateway=first.nat_gateway.apply(lambda gateway: network.SubResourceArgs(id=gateway.id) if gateway else None),
            default_outbound_access=False,
            service_endpoints=[network.ServiceEndpointPropertiesFormatArgs(service="Microsoft.Storage")],
            delegations=[network.DelegationArgs(name="functions", service_name="Microsoft.App/environments")],
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )

    @property
    def subnets(self) -> dict[str, network.Subnet | GivenSubnet]:
        """Node subnets by zone, in the zones' order; by the region, where an existing one is for all zones."""
        return dict(self._subnets)

    def subnet_for(self, zones: Sequence[str]) -> network.Subnet | GivenSubnet:
        """The subnet of a pool in these zones: its own zone's if it has just one, else the first."""
        if len(zones) == 1 and zones[0] in self._subnets:
            return self._subnets[zones[0]]
        return next(iter(self._subnets.values()))

    def _nat_gateway(self, name: str, zone: str) -> tuple[network.NatGateway, network.PublicIPAddress]:
        common = {
            "resource_group_name": self.resource_group_name,
            "location": self.args.region,
            "zones": [zone],
            "tags": self.args.tags,
        }
        address = network.PublicIPAddress(
            f"{name}-nat-{zone}",
            public_ip_address_name=physical(self.args.name, "nat", zone),
            sku=network.PublicIPAddressSkuArgs(name="Standard"),
            public_ip_allocation_method="Static",
            opts=pulumi.ResourceOptions(parent=self),
            **common,
        )
        gateway = network.NatGateway(
            f"{name}-nat-{zone}",
            nat_gateway_name=physical(self.args.name, "nat", zone),
            sku=network.NatGatewaySkuArgs(name="Standard"),
            public_ip_addresses=[network.SubResourceArgs(id=address.id)],
            opts=pulumi.ResourceOptions(parent=self),
            **common,
        )
        return gateway, address

    def _security_group(self, name: str) -> network.NetworkSecurityGroup:
        """Azure's default rules refuse the internet; overlay pods lie outside the VNet's range and need this one rule."""
        inside = [self.args.cidr, POD_CIDR]
        return network.NetworkSecurityGroup(
            name,
            network_security_group_name=physical(self.args.name, "nodes"),
            resource_group_name=self.resource_group_name,
            location=self.args.region,
            security_rules=[
                network.SecurityRuleArgs(
                    name="AllowNodesAndPods",
                    description="Nodes and pods among themselves",
                    priority=200,
                    direction="Inbound",
                    access="Allow",
                    protocol="*",
                    source_address_prefixes=inside,
                    source_port_range="*",
                    destination_address_prefixes=inside,
                    destination_port_range="*",
                )
            ],
            tags=self.args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
