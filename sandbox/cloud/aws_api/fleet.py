"""Machines of EC2: what a fleet request gets, or why it gets none, and how they end.

A machine is a record like any other; the kubelet on it is `sandbox.cluster.instances`'. What a pool may not have (`exhaust`,
`quota`, a reservation that is used up) is refused as EC2 refuses it, so that Karpenter goes on to what may be had.
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFleet.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.cloud.aws_api.ec2 import INSTANCE, Answer, matches, refuse_dry_run, reserved_and_free, tags, template_named
from sandbox.cloud.aws_api.machines import zone_id
from sandbox.cloud.aws_api.wire import Call, Handler
from sandbox.cloud.errors import CloudError
from sandbox.cloud.quotas import affordable
from sandbox.cloud.records import Record
from sandbox.cloud.world import World
from sandbox.cluster.instances import CLUSTER_TAG, POOL_TAG, Instance

# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
_NO_MACHINES = "We currently do not have sufficient capacity in the Availability Zone you requested."


def _create_fleet(world: World, call: Call) -> Answer:
    """As many machines as were asked for, each of the first override that may be had; the rest comes back as errors."""
    refuse_dry_run(call)
    target = call.asked["TargetCapacitySpecification"]
    kind = str(target.get("DefaultTargetCapacityType") or "on-demand")
    given = _given(call.asked.get("TagSpecifications") or [], "instance")
    made: dict[int, Answer] = {}
    errors: list[Answer] = []
    configs = [(c["LaunchTemplateSpecification"], o) for c in call.asked["LaunchTemplateConfigs"] for o in c["Overrides"]]
    for _ in range(int(target["TotalTargetCapacity"])):
        errors = []
        for i, (template, override) in enumerate(configs):
            try:
                record = _launch(world, call.region, kind, template["LaunchTemplateName"], override, given)
            except CloudError as refused:
                errors.append(_error(template, override, kind, refused))
                continue
            entry = made.setdefault(i, {**_about(template, override, kind), "InstanceIds": []})
            entry["InstanceType"] = override["InstanceType"]
            entry["InstanceIds"].append(record.id)
            break
    return {"FleetId": f"fleet-{world.next_serial('fleet')}", "Instances": list(made.values()), "Errors": errors}


def _given(specifications: list[Answer], resource: str) -> dict[str, str]:
    return {t["Key"]: t["Value"] for s in specifications if s.get("ResourceType") == resource for t in s.get("Tags") or []}


def _about(template: Answer, override: Answer, kind: str) -> Answer:
    return {
        "LaunchTemplateAndOverrides": {"LaunchTemplateSpecification": template, "Overrides": override},
        "Lifecycle": "spot" if kind == "spot" else "on-demand",
    }


def _error(template: Answer, override: Answer, kind: str, refused: CloudError) -> Answer:
    return {**_about(template, override, kind), "ErrorCode": refused.code, "ErrorMessage": refused.message}


def _launch(world: World, region: str, kind: str, template_name: str, override: Answer, given: Mapping[str, str]) -> Record:
    template = template_named(world, template_name)
    data = template.inputs["launchTemplateData"]
    target = (data.get("CapacityReservationSpecification") or {}).get("CapacityReservationTarget") or {}
    reservation = target.get("CapacityReservationId")
    inputs = {
        "instanceType": override["InstanceType"],
        "ami": override.get("ImageId") or data.get("ImageId"),
        "subnetId": override.get("SubnetId") or _subnet(data),
        "availabilityZone": override["AvailabilityZone"],
        "tags": {**_given(data.get("TagSpecifications") or [], "instance"), **given},
        "spot": kind == "spot",
        "reservation": reservation,
        "launchTemplateData": data,
    }
    sim = world.clusters.sim("aws", given.get(CLUSTER_TAG, ""))
    pool = given[POOL_TAG]
    if sim.is_exhausted(pool):
        raise sim.instances.refuse(pool, CloudError("InsufficientInstanceCapacity", _NO_MACHINES))
    if reservation and not reserved_and_free(world, reservation):
        message = f"The requested reservation {reservation} does not have sufficient compatible and available capacity."
        raise sim.instances.refuse(pool, CloudError("ReservationCapacityExceeded", message))
    instance = Instance.of("", region, inputs, _image(world, inputs))
    wanted = instance.pool().at(sim.instances.count(pool) + 1)
    _, over = affordable(world, given[CLUSTER_TAG], wanted)
    if over is not None and not reservation:
        code = "MaxSpotInstanceCountExceeded" if inputs["spot"] else "VcpuLimitExceeded"
        raise sim.instances.refuse(pool, CloudError(code, over.message))
    record = world.create("aws", INSTANCE, "", {"region": region}, inputs, {})
    sim.instances.launch(Instance.of(record.id, region, inputs, _image(world, inputs)))
    return record


def _image(world: World, inputs: Answer) -> str:
    return str(world.records.setting(f"image/{inputs['ami']}") or "")


def _subnet(data: Answer) -> str | None:
    """Of a template with interfaces of its own, which name it themselves."""
    interfaces = data.get("NetworkInterfaces") or []
    return interfaces[0].get("SubnetId") if interfaces else None


def adopt(world: World) -> None:
    """Tell clusters of the machines that stood when the daemon last stopped."""
    for record in world.records.all("aws", INSTANCE):
        cluster = record.tags.get(CLUSTER_TAG)
        if cluster is not None:
            instance = Instance.of(record.id, record.config["region"], record.inputs, _image(world, record.inputs))
            world.clusters.sim("aws", cluster).instances.adopt(instance)


def terminate(world: World, id_: str) -> None:
    """End a machine, whoever wants it: it is gone for EC2 at once, and its node a moment later."""
    record = world.records.get("aws", INSTANCE, id_)
    if record is None:
        raise CloudError("InvalidInstanceID.NotFound", f"The instance ID '{id_}' does not exist")
    world.delete("aws", INSTANCE, id_)
    if (cluster := record.tags.get(CLUSTER_TAG)) is not None:
        world.clusters.sim("aws", cluster).instances.end(id_)


def _terminate_instances(world: World, call: Call) -> Answer:
    ended = []
    for id_ in call.asked["InstanceIds"]:
        terminate(world, id_)
        was = {"Code": 16, "Name": "running"}
        ended.append({"InstanceId": id_, "PreviousState": was, "CurrentState": {"Code": 32, "Name": "shutting-down"}})
    return {"TerminatingInstances": ended}


def _describe_instances(world: World, call: Call) -> Answer:
    ids = call.asked.get("InstanceIds")
    found = [r for r in world.records.all("aws", INSTANCE) if ids is None or r.id in ids]
    if ids and len(found) < len(ids):
        missing = sorted(set(ids) - {r.id for r in found})
        raise CloudError("InvalidInstanceID.NotFound", f"The instance IDs '{', '.join(missing)}' do not exist")
    chosen = [r for r in found if matches(call, {"instance-state-name": "running"}, r.tags)]
    return {"Reservations": [{"ReservationId": f"r-{r.id[2:]}", "Instances": [_instance(r)]} for r in chosen]}


def _instance(record: Record) -> Answer:
    asked = record.inputs
    interfaces = (asked.get("launchTemplateData") or {}).get("NetworkInterfaces") or []
    reserved = {
        "CapacityReservationId": asked.get("reservation"),
        "CapacityReservationSpecification": {"CapacityReservationPreference": "capacity-reservations-only"},
    }
    return {
        "InstanceId": record.id,
        "InstanceType": asked["instanceType"],
        "ImageId": asked.get("ami"),
        "State": {"Code": 16, "Name": "running"},
        "LaunchTime": record.outputs.get("launchTime") or "2026-01-01T00:00:00.000Z",
        "SubnetId": asked.get("subnetId"),
        "PrivateDnsName": record.outputs.get("privateDns"),
        "Placement": {
            "AvailabilityZone": asked["availabilityZone"],
            "AvailabilityZoneId": zone_id(asked["availabilityZone"]),
            "Tenancy": "default",
        },
        "SecurityGroups": [{"GroupId": g} for g in _groups(asked.get("launchTemplateData") or {})],
        "NetworkInterfaces": [{"InterfaceType": i.get("InterfaceType") or "interface"} for i in interfaces],
        "Tags": tags(record),
        **({"SpotInstanceRequestId": f"sir-{record.id[2:]}", "InstanceLifecycle": "spot"} if asked.get("spot") else {}),
        **(reserved if asked.get("reservation") else {}),
    }


def _groups(data: Answer) -> list[str]:
    interfaces = data.get("NetworkInterfaces") or [{}]
    return list(data.get("SecurityGroupIds") or interfaces[0].get("Groups") or [])


def _run_instances(world: World, call: Call) -> Answer:
    refuse_dry_run(call)
    raise CloudError("UnsupportedOperation", "the sandbox starts machines by CreateFleet alone")


def _statuses(world: World, call: Call) -> Answer:
    """Nothing is wrong with any of them."""
    ids: list[Any] = call.asked.get("InstanceIds") or [r.id for r in world.records.all("aws", INSTANCE)]
    fine = {"Status": "ok"}
    return {"InstanceStatuses": [{"InstanceId": id_, "SystemStatus": fine, "InstanceStatus": fine} for id_ in ids]}


OPERATIONS: dict[str, Handler] = {
    "CreateFleet": _create_fleet,
    "RunInstances": _run_instances,
    "TerminateInstances": _terminate_instances,
    "DescribeInstances": _describe_instances,
    "DescribeInstanceStatus": _statuses,
}
