"""What resources of pulumi-aws are paid for. Names of properties are those of the SDK; defaults are those of AWS's API."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from fleet.catalog.clouds import Cloud
from fleet.inventory.resource import Index, Resource, at, each, number, text
from fleet.inventory.thing import Count, Reader, Thing, bounds

_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
_CONFIGURATION = "aws:ec2/launchConfiguration:LaunchConfiguration"
# https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html
_EKS_MACHINE, _EKS_DISK_GIB = "t3.medium", 20
_ARN = re.compile(r"^arn:aws[\w-]*:[\w-]*:([a-z]{2}-[a-z-]+-\d):")
_ZONE = re.compile(r"^([a-z]{2}-[a-z-]+-\d)[a-z]$")


def region(resource: Resource) -> str | None:
    """By its own word, its zone, its name, or its provider."""
    props = resource.props
    zone = _ZONE.match(text(props, "availabilityZone") or next(iter(each(props, "availabilityZones")), "") or "")
    arn = _ARN.match(text(props, "arn") or "")
    return text(props, "region") or (zone and zone[1]) or (arn and arn[1]) or resource.region


def _machines(resource: Resource, machine: str | None, count: Count | None, *, spot: bool = False, unknown: str = "") -> Thing:
    return Thing(
        kind="machines",
        resource=resource,
        cloud=Cloud.AWS,
        region=region(resource),
        what=machine or "machines",
        count=count,
        machine=machine,
        purchase="spot" if spot else "on-demand",
        unknown=unknown or ("" if machine else "its machine type is not in the file"),
    )


def _disk(resource: Resource, kind: str, gib: int, count: Count | None = (1, 1, 1)) -> Thing:
    return Thing(
        kind="disk",
        resource=resource,
        cloud=Cloud.AWS,
        region=region(resource),
        what=f"{gib} GiB {kind}",
        count=count,
        disk=(kind, gib),
    )


def _disks(resource: Resource, props: Any, count: Count | None, *paths: str) -> Iterator[Thing]:
    for path in paths:
        for disk in each(props, path):
            # A launch template has the disk in a block of its own.
            ebs = next(iter(each(disk, "ebs")), disk)
            if size := number(ebs, "volumeSize"):
                yield _disk(resource, text(ebs, "volumeType") or "gp2", size, count)


def _instance(resource: Resource, index: Index) -> Iterator[Thing]:
    props = resource.props
    template = index.behind(resource, "launchTemplate.id", _TEMPLATE)
    behind: Mapping[str, Any] = template.props if template else {}
    machine = text(props, "instanceType") or text(behind, "instanceType")
    market = text(props, "instanceMarketOptions.marketType") or text(behind, "instanceMarketOptions.marketType")
    asked = "spotInstanceRequest" in resource.type
    yield _machines(resource, machine, (1, 1, 1), spot=asked or market == "spot")
    yield from _disks(resource, props, (1, 1, 1), "rootBlockDevice", "ebsBlockDevices", "ebsBlockDevice")


def _group(resource: Resource, index: Index) -> Iterator[Thing]:
    props = resource.props
    count = bounds(number(props, "minSize"), number(props, "desiredCapacity"), number(props, "maxSize"))
    mixed = next(iter(each(props, "mixedInstancesPolicy")), None)
    path = "mixedInstancesPolicy.launchTemplate.launchTemplateSpecification.launchTemplateId" if mixed else "launchTemplate.id"
    template = index.behind(resource, path, _TEMPLATE) or index.behind(resource, "launchConfiguration", _CONFIGURATION)
    behind: Mapping[str, Any] = template.props if template else {}
    machine, unknown = text(behind, "instanceType"), ""
    spot = text(behind, "instanceMarketOptions.marketType") == "spot"
    if mixed:
        others = [text(one, "instanceType") for one in each(mixed, "launchTemplate.overrides", "launchTemplate.override")]
        machine = next(iter(others), machine)
        shares = at(mixed, "instancesDistribution") or {}
        above, base = number(shares, "onDemandPercentageAboveBaseCapacity"), number(shares, "onDemandBaseCapacity")
        spot = above == 0 and not base
        if len(set(others)) > 1 or (above not in (None, 0, 100)) or (above == 0 and base):
            unknown = "several machine types or ways to buy, and the cloud chooses"
    yield _machines(resource, machine, count, spot=spot, unknown=unknown)
    yield from _disks(resource, behind, count, "blockDeviceMappings", "rootBlockDevice", "ebsBlockDevices")


def _node_group(resource: Resource, index: Index) -> Iterator[Thing]:
    props = resource.props
    sizes = at(props, "scalingConfig")
    count = bounds(number(sizes, "minSize"), number(sizes, "desiredSize"), number(sizes, "maxSize"))
    template = index.behind(resource, "launchTemplate.id", _TEMPLATE)
    behind: Mapping[str, Any] = template.props if template else {}
    given: list[str | None] = [one for one in each(props, "instanceTypes") if isinstance(one, str)]
    types = given or [text(behind, "instanceType")]
    named = bool(each(props, "launchTemplate"))
    machine = types[0] or (None if named else _EKS_MACHINE)
    several = "several machine types, and the cloud chooses" if len(set(types)) > 1 else ""
    yield _machines(resource, machine, count, spot=text(props, "capacityType") == "SPOT", unknown=several)
    if template:
        yield from _disks(resource, behind, count, "blockDeviceMappings")
    elif named:
        unknown = "its launch template is not in the file"
        yield replace(_disk(resource, "boot disk", 0, count), what="boot disks", disk=None, unknown=unknown)
    else:
        size = number(props, "diskSize") or _EKS_DISK_GIB
        yield replace(_disk(resource, "boot disk", size, count), disk=None, unknown="EKS chooses the kind of its boot disks")


def _cluster(resource: Resource, index: Index) -> Iterator[Thing]:
    yield _service(resource, "control-plane", "control-plane", "EKS control plane")


def _nat(resource: Resource, index: Index) -> Iterator[Thing]:
    yield _service(resource, "nat", "nat-gateway", "NAT gateway")


def _balancer(resource: Resource, index: Index) -> Iterator[Thing]:
    kind = text(resource.props, "loadBalancerType") or "application"
    if kind == "gateway":
        yield _service(resource, "load-balancer", None, "gateway load balancer")
    else:
        yield _service(resource, "load-balancer", "load-balancer", f"{kind} load balancer")


def _volume(resource: Resource, index: Index) -> Iterator[Thing]:
    size = number(resource.props, "size")
    if size:
        yield _disk(resource, text(resource.props, "type") or "gp2", size)
    else:
        yield _service(resource, "service", None, "a volume whose size is that of its snapshot")


def _endpoint(resource: Resource, index: Index) -> Iterator[Thing]:
    if (text(resource.props, "vpcEndpointType") or "Gateway") != "Gateway":
        yield _service(resource, "service", None, "interface endpoint, by the hour, zone and GB")


def _service(resource: Resource, kind: Any, service: str | None, what: str) -> Thing:
    unknown = "" if service else "the catalogue has no price of it"
    return Thing(
        kind=kind, resource=resource, cloud=Cloud.AWS, region=region(resource), what=what, service=service, unknown=unknown
    )


READERS: dict[str, Reader] = {
    "aws:ec2/instance:Instance": _instance,
    "aws:ec2/spotInstanceRequest:SpotInstanceRequest": _instance,
    "aws:autoscaling/group:Group": _group,
    "aws:eks/nodeGroup:NodeGroup": _node_group,
    "aws:eks/cluster:Cluster": _cluster,
    "aws:ec2/natGateway:NatGateway": _nat,
    "aws:lb/loadBalancer:LoadBalancer": _balancer,
    "aws:alb/loadBalancer:LoadBalancer": _balancer,
    "aws:ebs/volume:Volume": _volume,
    "aws:ec2/vpcEndpoint:VpcEndpoint": _endpoint,
}
