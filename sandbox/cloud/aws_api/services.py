"""What Karpenter asks besides EC2: where its cluster is, which image, which profile, what machines cost, what is announced."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from sandbox.cloud import events
from sandbox.cloud.aws_api import machines
from sandbox.cloud.aws_api.wire import Call, Handler
from sandbox.cloud.behaviour import serial
from sandbox.cloud.errors import CloudError
from sandbox.cloud.world import World

Answer = dict[str, Any]
# https://docs.aws.amazon.com/eks/latest/userguide/retrieve-ami-id.html
_IMAGE = re.compile(
    r"/aws/service/eks/optimized-ami/(?P<minor>1\.\d+)/amazon-linux-2023/(?P<arch>x86_64)/(?P<variant>\w+)/(?P<release>[^/]+)/image_id"
)
_NEWEST = "v20261115"
_PROFILE = "aws:iam/instanceProfile:InstanceProfile"


def _cluster(world: World, call: Call) -> Answer:
    record = world.records.get("aws", "aws:eks/cluster:Cluster", call.asked["name"])
    if record is None:
        raise CloudError("ResourceNotFoundException", f"No cluster found for name: {call.asked['name']}.", 404)
    return {
        "cluster": {
            "name": record.id,
            "arn": record.outputs["arn"],
            "version": record.inputs["version"],
            "endpoint": record.outputs["endpoint"],
            "status": "ACTIVE",
            "certificateAuthority": record.outputs["certificateAuthority"],
            "kubernetesNetworkConfig": {"serviceIpv4Cidr": "10.96.0.0/16", "ipFamily": "ipv4"},
        }
    }


def _parameter(world: World, call: Call) -> Answer:
    """The id of EKS's image for a driver; it is noted, since the id alone says nothing."""
    name = call.asked["Name"]
    found = _IMAGE.fullmatch(name)
    if found is None or found["variant"] not in ("standard", "nvidia", "neuron"):
        raise CloudError("ParameterNotFound", f"Parameter {name} not found.")
    release = found["release"].rpartition("-")[2] if found["release"] != "recommended" else _NEWEST
    full = f"amazon-eks-node-al2023-{found['arch']}-{found['variant']}-{found['minor']}-{release}"
    id_ = f"ami-{serial(call.region, full)}"
    world.records.set(f"image/{id_}", full)
    return {"Parameter": {"Name": name, "Value": id_, "Type": "String", "Version": 1}}


def _profile(world: World, call: Call) -> Answer:
    record = world.records.get("aws", _PROFILE, call.asked["InstanceProfileName"])
    if record is None:
        message = f"Instance Profile {call.asked['InstanceProfileName']} cannot be found."
        raise CloudError("NoSuchEntity", message, 404)
    return {"InstanceProfile": _shape(record.id, record.outputs["arn"], record.inputs.get("role") or "")}


def _shape(name: str, arn: str, role: str) -> Answer:
    made = {"Path": "/", "CreateDate": "2026-01-01T00:00:00Z"}
    holder = {**made, "RoleName": role, "RoleId": "AROASANDBOX", "Arn": f"arn:aws:iam::123456789012:role/{role}"}
    return {**made, "InstanceProfileName": name, "InstanceProfileId": "AIPASANDBOX", "Arn": arn, "Roles": [holder]}


def _products(world: World, call: Call) -> Answer:
    """The same rows whatever the tenancy: Karpenter takes no prices at all where there is none for bare metal."""
    wanted = {f["Field"]: f["Value"] for f in call.asked.get("Filters") or []}
    return {"PriceList": machines.on_demand_prices(wanted.get("regionCode", call.region))}


def _queue_url(world: World, call: Call) -> Answer:
    return {"QueueUrl": events.queue_url(world, call.region, call.asked["QueueName"])}


def _receive(world: World, call: Call) -> Answer:
    asked = call.asked
    most, wait_s = int(asked.get("MaxNumberOfMessages") or 1), float(asked.get("WaitTimeSeconds") or 0)
    found = world.queues.receive(asked["QueueUrl"], most, wait_s)
    return {
        "Messages": [
            # The SDKs compare the digest.
            {"MessageId": id_, "ReceiptHandle": id_, "Body": body, "MD5OfBody": hashlib.md5(body.encode()).hexdigest()}  # noqa: S324
            for id_, body in found
        ]
    }


def _delete_message(world: World, call: Call) -> Answer:
    world.queues.delete(call.asked["QueueUrl"], call.asked["ReceiptHandle"])
    return {}


OPERATIONS: dict[str, dict[str, Handler]] = {
    "eks": {"DescribeCluster": _cluster},
    "ssm": {"GetParameter": _parameter},
    "iam": {
        "GetInstanceProfile": _profile,
        # Karpenter looks for profiles of its own to tidy up, and is given one instead.
        "ListInstanceProfiles": lambda _w, _c: {"InstanceProfiles": [], "IsTruncated": False},
    },
    "pricing": {"GetProducts": _products},
    "sqs": {"GetQueueUrl": _queue_url, "ReceiveMessage": _receive, "DeleteMessage": _delete_message},
}
