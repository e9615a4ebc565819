"""What people write under `network:` of a cluster: one of its own, or one that somebody else made, such as a landing zone's."""

from __future__ import annotations

from enum import StrEnum
from ipaddress import IPv4Network

from pydantic import Field, StrictInt

from fleet.spec_base import Cidr, Spec


class Nat(StrEnum):
    """NAT gateways: a zone each survives a zone's loss and costs one gateway an hour a zone; `none` has no way out."""

    NONE = "none"
    SINGLE = "single"
    PER_ZONE = "per-zone"


class WayOut(StrEnum):
    """How nodes leave a network that is not ours: by a NAT gateway, by routes to somebody's firewall, or not at all."""

    NAT = "nat"
    ROUTES = "routes"
    NONE = "none"


class ExistingNetworkSpec(Spec):
    """A VPC or VNet that is there already: nothing of it is made, changed or deleted here."""

    id: str = Field(description="vpc-… on AWS, projects/…/global/networks/… on GCP, the VNet's resource id on Azure.")
    subnets: dict[str, str] = Field(
        min_length=1,
        description="Private subnets for nodes: by zone on AWS, two at least; on GCP the region's one; on Azure either.",
    )
    way_out: WayOut = Field(default=WayOut.NAT, description="nat; routes, to a firewall; or none.")
    pods: str = Field(default="pods", description="On GCP, the subnet's secondary range for pods.")
    services: str = Field(default="services", description="On GCP, the subnet's secondary range for services.")
    functions: str | None = Field(
        default=None, description="On Azure, the subnet of functions, which is delegated to Microsoft.App/environments."
    )


class NetworkSpec(Spec):
    cidr: Cidr = Field(default=IPv4Network("10.0.0.0/16"), description="Address range of the VPC or VNet; /16 to /20.")
    nat: Nat = Field(default=Nat.SINGLE, description="Way out for private nodes. Object stores need none: they have endpoints.")
    zones: StrictInt = Field(default=2, ge=1, le=4, description="Zones with subnets; EKS needs two at least.")
    existing: ExistingNetworkSpec | None = Field(default=None, description="A network that is there already, instead of one.")

    @property
    def isolated(self) -> bool:
        """Whether nothing leaves it."""
        return self.existing.way_out is WayOut.NONE if self.existing else self.nat is Nat.NONE
