"""The VPC of one cluster: a private and a public subnet a zone, the way out, and the endpoints that need none.

Owns routes, NAT gateways, the S3 gateway endpoint and, without NAT, the interface endpoints nodes cannot live without.
Refuses VPC peering and flow logs: whoever forks this adds them beside it.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from itertools import islice

import pulumi
import pulumi_aws as aws

from fleet import naming
from fleet.spec_network import ExistingNetworkSpec, Nat
from infra.clouds.base import NetworkArgs

_MAX_ZONES = 4
_ANYWHERE = "0.0.0.0/0"
# What nodes call when there is no NAT: images, the CNI's address calls, tokens, Pod Identity and the autoscaler.
# https://docs.aws.amazon.com/eks/latest/userguide/private-clusters.html#vpc-endpoints-private-clusters
_PRIVATE_SERVICES = ("ecr.api", "ecr.dkr", "ec2", "sts", "eks", "eks-auth", "autoscaling")
# https://karpenter.sh/docs/getting-started/getting-started-with-karpenter/#private-clusters
_KARPENTER_SERVICES = ("ssm", "sqs")
# By this tag, with the cluster's name as its value, Karpenter finds subnets and security groups.
DISCOVERY_TAG = "karpenter.sh/discovery"


def subnet_ranges(cidr: str) -> tuple[list[str], list[str]]:
    """Ranges of the private and the public subnets, for up to four zones.

    Private subnet i is the i-th eighth of the network (a /19 of a /16: 8187 addresses, one for each pod); the last
    eighth holds the public ones, a quarter each. A zone's ranges never depend on how many zones there are, so a
    further zone re-cuts nothing.

    >>> subnet_ranges("10.0.0.0/16")[0][:2]
    ['10.0.0.0/19', '10.0.32.0/19']
    """
    eighths = list(IPv4Network(cidr).subnets(prefixlen_diff=3))
    private = [str(net) for net in eighths[:_MAX_ZONES]]
    public = [str(net) for net in eighths[-1].subnets(prefixlen_diff=2)]
    return private, public


class AwsNetwork(pulumi.ComponentResource):
    """VPC for an EKS cluster, after "Amazon EKS VPC and subnet considerations"; or one that is there already.

    `Nat.NONE` leaves private nodes with AWS's own services only: images must be in ECR (a pull-through cache for those
    of others). It is for isolation, not for saving: its interface endpoints in two zones cost more than one NAT.

    Raises:
        ValueError: fewer than two zones (EKS's minimum) or more than four.
    """

    vpc_id: pulumi.Output[str]
    private_subnet_ids: dict[str, pulumi.Output[str]]
    public_subnet_ids: dict[str, pulumi.Output[str]]
    private_route_table_ids: dict[str, pulumi.Output[str]]
    s3_endpoint_id: pulumi.Output[str]

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        if not 2 <= len(args.zones) <= _MAX_ZONES:
            raise ValueError(
                f"network {args.name}: EKS wants subnets in 2 to {_MAX_ZONES} zones, not {len(args.zones)}: set network.zones"
            )
        super().__init__("accelfleet:aws:AwsNetwork", name, {}, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        if args.existing is None:
            self._make(name, args)
        else:
            self._take(args.existing)

    def _take(self, existing: ExistingNetworkSpec) -> None:
        """Its routes, tags and endpoints are its owner's."""
        self.vpc_id = pulumi.Output.from_input(existing.id)
        self.private_subnet_ids = {zone: pulumi.Output.from_input(existing.subnets[zone]) for zone in self._args.zones}
        self.register_outputs({"vpcId": self.vpc_id, "privateSubnetIds": self.private_subnet_ids})

    def _make(self, name: str, args: NetworkArgs) -> None:
        private, public = subnet_ranges(args.cidr)
        self._vpc = aws.ec2.Vpc(
            f"{name}-vpc",
            cidr_block=args.cidr,
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=self._tag("vpc"),
            opts=self._child,
        )
        self.vpc_id = self._vpc.id
        # No rules: what nobody gave a security group of its own reaches nothing.
        aws.ec2.DefaultSecurityGroup(f"{name}-default", vpc_id=self.vpc_id, tags=self._tag("default"), opts=self._child)
        self.public_subnet_ids = self._subnets("public", public, role="elb")
        self.private_subnet_ids = self._subnets("private", private, role="internal-elb")
        public_routes = self._public_routes()
        self.private_route_table_ids = self._private_routes()
        self.s3_endpoint_id = self._s3_endpoint([public_routes, *self.private_route_table_ids.values()])
        if args.nat is Nat.NONE:
            self._interface_endpoints()
        self.register_outputs(
            {
                "vpcId": self.vpc_id,
                "privateSubnetIds": self.private_subnet_ids,
                "publicSubnetIds": self.public_subnet_ids,
                "privateRouteTableIds": self.private_route_table_ids,
                "s3EndpointId": self.s3_endpoint_id,
            }
        )

    def _tag(self, *parts: str) -> dict[str, str]:
        """VPC parts have no name of their own; this tag is how one is found again."""
        return {"Name": naming.physical(self._args.name, *parts)}

    def _subnets(self, kind: str, ranges: list[str], *, role: str) -> dict[str, pulumi.Output[str]]:
        """One subnet a zone, tagged so that load balancers find it (`role` is the load balancer controller's word)."""
        found = {DISCOVERY_TAG: self._args.name} if self._args.auto and kind == "private" else {}
        return {
            zone: aws.ec2.Subnet(
                f"{self._name}-{kind}-{zone}",
                vpc_id=self.vpc_id,
                availability_zone=zone,
                cidr_block=block,
                map_public_ip_on_launch=False,
                tags={
                    **self._tag(kind, zone),
                    f"kubernetes.io/role/{role}": "1",
                    f"kubernetes.io/cluster/{self._args.name}": "shared",
                    **found,
                },
                opts=self._child,
            ).id
            for zone, block in zip(self._args.zones, ranges, strict=False)
        }

    def _route_table(self, kind: str, subnet: pulumi.Output[str], zone: str) -> pulumi.Output[str]:
        table = aws.ec2.RouteTable(
            f"{self._name}-{kind}-{zone}", vpc_id=self.vpc_id, tags=self._tag(kind, zone), opts=self._child
        )
        self._associate(f"{kind}-{zone}", subnet, table.id)
        table_id: pulumi.Output[str] = table.id
        return table_id

    def _associate(self, key: str, subnet: pulumi.Output[str], table: pulumi.Output[str]) -> None:
        aws.ec2.RouteTableAssociation(f"{self._name}-{key}", subnet_id=subnet, route_table_id=table, opts=self._child)

    def _public_routes(self) -> pulumi.Output[str]:
        gateway = aws.ec2.InternetGateway(f"{self._name}-igw", vpc_id=self.vpc_id, tags=self._tag("igw"), opts=self._child)
        table = aws.ec2.RouteTable(f"{self._name}-public", vpc_id=self.vpc_id, tags=self._tag("public"), opts=self._child)
        self._way_out = aws.ec2.Route(
            f"{self._name}-public",
            route_table_id=table.id,
            destination_cidr_block=_ANYWHERE,
            gateway_id=gateway.id,
            opts=self._child,
        )
        for zone, subnet in self.public_subnet_ids.items():
            self._associate(f"public-{zone}", subnet, table.id)
        table_id: pulumi.Output[str] = table.id
        return table_id

    def _private_routes(self) -> dict[str, pulumi.Output[str]]:
        """A table a zone whatever the NAT, so that another NAT mode changes routes and never a subnet."""
        tables = {zone: self._route_table("private", subnet, zone) for zone, subnet in self.private_subnet_ids.items()}
        with_nat = {Nat.NONE: 0, Nat.SINGLE: 1, Nat.PER_ZONE: None}[self._args.nat]
        gateways = [self._nat(zone) for zone in islice(self._args.zones, with_nat)]
        if gateways:
            for index, (zone, table) in enumerate(tables.items()):
                aws.ec2.Route(
                    f"{self._name}-private-{zone}",
                    route_table_id=table,
                    destination_cidr_block=_ANYWHERE,
                    nat_gateway_id=gateways[index % len(gateways)],
                    opts=self._child,
                )
        return tables

    def _nat(self, zone: str) -> pulumi.Output[str]:
        address = aws.ec2.Eip(f"{self._name}-nat-{zone}", domain="vpc", tags=self._tag("nat", zone), opts=self._child)
        gateway = aws.ec2.NatGateway(
            f"{self._name}-nat-{zone}",
            subnet_id=self.public_subnet_ids[zone],
            allocation_id=address.id,
            tags=self._tag("nat", zone),
            # AWS asks for the internet gateway first, and a NAT that outlives it on destroy keeps its address mapped.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._way_out]),
        )
        gateway_id: pulumi.Output[str] = gateway.id
        return gateway_id

    def _s3_endpoint(self, tables: list[pulumi.Output[str]]) -> pulumi.Output[str]:
        """Always: weights through a NAT cost $0.045 a GB, through this nothing (pain 14); ECR's layers are in S3 too."""
        endpoint = aws.ec2.VpcEndpoint(
            f"{self._name}-s3",
            vpc_id=self.vpc_id,
            vpc_endpoint_type="Gateway",
            service_name=f"com.amazonaws.{self._args.region}.s3",
            route_table_ids=tables,
            tags=self._tag("s3"),
            opts=self._child,
        )
        endpoint_id: pulumi.Output[str] = endpoint.id
        return endpoint_id

    def _interface_endpoints(self) -> None:
        group = aws.ec2.SecurityGroup(
            f"{self._name}-endpoints",
            name=naming.physical(self._args.name, "endpoints"),
            description="TLS from the network to AWS services",
            vpc_id=self.vpc_id,
            ingress=[
                aws.ec2.SecurityGroupIngressArgs(
                    protocol="tcp",
                    from_port=443,
                    to_port=443,
                    cidr_blocks=[self._args.cidr],
                    description="TLS from the network",
                )
            ],
            tags=self._tag("endpoints"),
            opts=self._child,
        )
        for service in (*_PRIVATE_SERVICES, *(_KARPENTER_SERVICES if self._args.auto else ())):
            aws.ec2.VpcEndpoint(
                f"{self._name}-{service}",
                vpc_id=self.vpc_id,
                vpc_endpoint_type="Interface",
                service_name=f"com.amazonaws.{self._args.region}.{service}",
                subnet_ids=list(self.private_subnet_ids.values()),
                security_group_ids=[group.id],
                private_dns_enabled=True,
                tags=self._tag(service),
                opts=self._child,
            )
