"""EC2 as Karpenter looks at it: machine types, subnets, security groups, images, launch templates, reservations.

Answers from the records that the provider plugin made. Machines themselves are `sandbox.cloud.aws_api.fleet`'s.
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.cloud.aws import region as region_of
from sandbox.cloud.aws_api import machines
from sandbox.cloud.aws_api.wire import Call, Handler
from sandbox.cloud.behaviour import AWS_ACCOUNT, serial
from sandbox.cloud.errors import CloudError
from sandbox.cloud.records import Record
from sandbox.cloud.world import World

Answer = dict[str, Any]
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
INSTANCE = "aws:ec2/instance:Instance"
_SUBNET, _CLUSTER, _TAG = "aws:ec2/subnet:Subnet", "aws:eks/cluster:Cluster", "aws:ec2/tag:Tag"
_GROUP = "aws:ec2/securityGroup:SecurityGroup"
_READ = "2026-01-01T00:00:00.000Z"


def refuse_dry_run(call: Call) -> None:
    """Answer a dry run: it would have gone well.

    Raises:
        CloudError: it was one.
    """
    if call.asked.get("DryRun"):
        raise CloudError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


def tags(record: Record) -> list[Answer]:
    return [{"Key": key, "Value": value} for key, value in sorted(record.tags.items())]


def matches(call: Call, about: Mapping[str, str], tagged: Mapping[str, str]) -> bool:
    """Whether something passes the call's filters; one that is not in `about` is of no concern to it."""
    for name, values in call.filters().items():
        if name.startswith("tag:"):
            good = tagged.get(name[4:]) in values
        elif name == "tag-key":
            good = any(value in tagged for value in values)
        else:
            good = name not in about or about[name] in values
        if not good:
            return False
    return True


def _instance_types(world: World, call: Call) -> Answer:
    refuse_dry_run(call)
    return {"InstanceTypes": machines.instance_types(call.region)}


def _subnets(world: World, call: Call) -> Answer:
    found = [r for r in world.records.all("aws", _SUBNET) if region_of(r) == call.region]
    return {
        "Subnets": [
            {
                "SubnetId": r.id,
                "VpcId": r.inputs["vpcId"],
                "CidrBlock": r.inputs["cidrBlock"],
                "AvailabilityZone": r.inputs["availabilityZone"],
                "AvailabilityZoneId": machines.zone_id(r.inputs["availabilityZone"]),
                "AvailableIpAddressCount": 8000,
                "State": "available",
                "Tags": tags(r),
            }
            for r in found
            if matches(call, {"subnet-id": r.id}, r.tags)
        ]
    }


def _security_groups(world: World, call: Call) -> Answer:
    """Those that a program made, and the one that EKS makes with each cluster; tags of the latter are records of their own."""
    found = {r.id: r.tags for r in world.records.all("aws", _GROUP) if region_of(r) == call.region}
    for cluster in world.records.all("aws", _CLUSTER):
        if region_of(cluster) == call.region:
            found[cluster.outputs["vpcConfig"]["clusterSecurityGroupId"]] = {}
    for tag in world.records.all("aws", _TAG):
        if (tagged := found.get(tag.inputs["resourceId"])) is not None:
            found[tag.inputs["resourceId"]] = {**tagged, tag.inputs["key"]: tag.inputs["value"]}
    return {
        "SecurityGroups": [
            {"GroupId": id_, "GroupName": id_, "Tags": [{"Key": k, "Value": v} for k, v in tagged.items()]}
            for id_, tagged in found.items()
            if matches(call, {"group-id": id_, "group-name": id_}, tagged)
        ]
    }


def _images(world: World, call: Call) -> Answer:
    """Those that a parameter store named before; EKS's image ids cannot be had otherwise."""
    known = {id_: world.records.setting(f"image/{id_}") for id_ in call.filters().get("image-id", [])}
    return {
        "Images": [
            {
                "ImageId": id_,
                "Name": name,
                "Architecture": "x86_64",
                "CreationDate": _READ,
                "State": "available",
                "OwnerId": "amazon",
            }
            for id_, name in known.items()
            if name
        ]
    }


def _create_template(world: World, call: Call) -> Answer:
    refuse_dry_run(call)
    given = {t["Key"]: t["Value"] for spec in call.asked.get("TagSpecifications") or [] for t in spec.get("Tags") or []}
    data = call.asked.get("LaunchTemplateData") or {}
    inputs = {"name": call.asked["LaunchTemplateName"], "tags": given, "launchTemplateData": data}
    record = world.create("aws", TEMPLATE, "", {"region": call.region}, inputs, {})
    return {"LaunchTemplate": _template(record)}


def _template(record: Record) -> Answer:
    return {
        "LaunchTemplateId": record.id,
        "LaunchTemplateName": record.inputs["name"],
        "LatestVersionNumber": 1,
        "DefaultVersionNumber": 1,
        "Tags": tags(record),
    }


def template_named(world: World, name: str) -> Record:
    """A launch template by its name.

    Raises:
        CloudError: there is none.
    """
    for record in world.records.all("aws", TEMPLATE):
        if record.inputs.get("name") == name:
            return record
    message = f"At least one of the launch templates specified in the request does not exist: {name}"
    raise CloudError("InvalidLaunchTemplateName.NotFoundException", message)


def _templates(world: World, call: Call) -> Answer:
    if names := call.asked.get("LaunchTemplateNames"):
        return {"LaunchTemplates": [_template(template_named(world, name)) for name in names]}
    found = [r for r in world.records.all("aws", TEMPLATE) if region_of(r) == call.region]
    return {"LaunchTemplates": [_template(r) for r in found if matches(call, {}, r.tags)]}


def _delete_template(world: World, call: Call) -> Answer:
    name = call.asked.get("LaunchTemplateName")
    id_ = template_named(world, name).id if name else call.asked["LaunchTemplateId"]
    found = world.records.get("aws", TEMPLATE, id_)
    if found is None:
        raise CloudError("InvalidLaunchTemplateId.NotFound", f"The specified launch template, {id_}, does not exist")
    world.delete("aws", TEMPLATE, id_)
    return {"LaunchTemplate": _template(found)}


def _create_tags(world: World, call: Call) -> Answer:
    for id_ in call.asked["Resources"]:
        record = world.records.get("aws", INSTANCE, id_)
        if record is None:
            raise CloudError("InvalidInstanceID.NotFound", f"The instance ID '{id_}' does not exist")
        added = {t["Key"]: t["Value"] for t in call.asked["Tags"]}
        record.inputs["tags"] = {**(record.inputs.get("tags") or {}), **added}
        record.outputs["tagsAll"] = {**record.tags, **added}
        world.records.save(record)
    return {}


def _reservations(world: World, call: Call) -> Answer:
    """Capacity that the account bought ahead: what the daemon was told of (`reserve`)."""
    asked = call.asked.get("CapacityReservationIds") or []
    known = {id_: world.records.setting(f"reservation/{id_}") for id_ in asked}
    if missing := [id_ for id_, about in known.items() if about is None]:
        message = f"The capacity reservation {missing[0]} does not exist"
        raise CloudError("InvalidCapacityReservationId.NotFound", message)
    return {"CapacityReservations": [_reservation(world, id_, about) for id_, about in known.items()]}


def _reservation(world: World, id_: str, about: Answer) -> Answer:
    return {
        "CapacityReservationId": id_,
        "OwnerId": AWS_ACCOUNT,
        "AvailabilityZone": about["zone"],
        "InstanceType": about["machine"],
        "InstanceMatchCriteria": "targeted",
        "ReservationType": "capacity-block" if about.get("ends") else "default",
        "State": "active",
        "TotalInstanceCount": about["count"],
        "AvailableInstanceCount": reserved_and_free(world, id_),
        **({"EndDate": about["ends"]} if about.get("ends") else {}),
    }


def reserved_and_free(world: World, id_: str) -> int:
    """How many machines of a reservation nobody uses; none of one that nobody bought."""
    about = world.records.setting(f"reservation/{id_}")
    used = sum(r.inputs.get("reservation") == id_ for r in world.records.all("aws", INSTANCE))
    return max(0, about["count"] - used) if about else 0


def _placement_groups(world: World, call: Call) -> Answer:
    wanted = call.asked.get("GroupNames") or []
    found = [r for r in world.records.all("aws", "aws:ec2/placementGroup:PlacementGroup") if r.inputs.get("name") in wanted]
    return {
        "PlacementGroups": [
            {
                "GroupName": r.inputs["name"],
                "GroupId": f"pg-{serial(r.id)}",
                "Strategy": r.inputs.get("strategy", "cluster"),
                "State": "available",
            }
            for r in found
        ]
    }


OPERATIONS: dict[str, Handler] = {
    "DescribeInstanceTypes": _instance_types,
    "DescribeInstanceTypeOfferings": lambda _, call: {"InstanceTypeOfferings": machines.offerings(call.region)},
    "DescribeSpotPriceHistory": lambda _, call: {"SpotPriceHistory": machines.spot_prices(call.region)},
    "DescribeSubnets": _subnets,
    "DescribeSecurityGroups": _security_groups,
    "DescribeImages": _images,
    "DescribeLaunchTemplates": _templates,
    "CreateLaunchTemplate": _create_template,
    "DeleteLaunchTemplate": _delete_template,
    "CreateTags": _create_tags,
    "DescribeCapacityReservations": _reservations,
    "DescribePlacementGroups": _placement_groups,
}
