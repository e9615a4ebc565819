"""EKS managed node groups: from what a program asked of group and launch template to the nodes that it gets.

Follows the EKS API reference; what the autoscaler does with a group is `sandbox.cluster`'s.
"""

from __future__ import annotations

import base64
import re
import uuid
from typing import TYPE_CHECKING, Any

from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud
from fleet.catalog.fabric import efa_interfaces
from fleet.catalog.machines import Machine
from fleet.catalog.nodes import Taint
from sandbox.cloud.aws import Aws, region
from sandbox.cloud.behaviour import Behaviour
from sandbox.cloud.errors import CloudError
from sandbox.cloud.pools import cut, hardware, integer, refuse_absent, size_after
from sandbox.cloud.quotas import refuse_over_quota
from sandbox.cloud.records import Record
from sandbox.cluster import NodePool

if TYPE_CHECKING:
    from sandbox.cloud.world import World


_NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
_TAG = "aws:autoscaling/tag:Tag"


class NodeGroup(Aws):
    """EKS managed node group: an Auto Scaling group of real nodes."""

    def identify(self, world: World, record: Record) -> str:
        name = record.inputs.get("nodeGroupName") or f"nodegroup-{world.next_serial(record.urn)[:8]}"
        return f"{record.inputs['clusterName']}:{name}"

    def refuse(self, world: World, record: Record) -> None:
        world.clusters.sim("aws", record.inputs["clusterName"])
        for machine_name in _machines(world, record.inputs):
            refuse_absent(hardware(Cloud.AWS, machine_name), region(record))

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        name = record.id.partition(":")[2]
        return {
            "nodeGroupName": name,
            "status": "ACTIVE",
            "resources": [{"autoscalingGroups": [{"name": _group(record.id)}]}],
        }

    def created(self, world: World, record: Record) -> dict[str, Any]:
        pool = self._pool(world, record)
        refuse_over_quota(world, record.inputs["clusterName"], pool)
        world.clusters.set_pool("aws", record.inputs["clusterName"], pool)
        return {}

    def updated(self, world: World, record: Record, old: dict[str, Any]) -> dict[str, Any]:
        pool = self._pool(world, record)
        current = world.clusters.size("aws", record.inputs["clusterName"], pool.name)
        before = _scaling(old)
        pool = pool.at(size_after(before, _scaling(record.inputs), current if current is not None else before[2]))
        refuse_over_quota(world, record.inputs["clusterName"], pool)
        world.clusters.set_pool("aws", record.inputs["clusterName"], pool)
        return {}

    def observed(self, world: World, record: Record) -> dict[str, Any]:
        size = world.clusters.size("aws", record.inputs["clusterName"], record.id.partition(":")[2])
        if size is None:
            return {}
        return {"scalingConfig": {**(record.inputs.get("scalingConfig") or {}), "desiredSize": size}}

    def deleting(self, world: World, record: Record) -> None:
        try:
            world.clusters.remove_pool("aws", record.inputs["clusterName"], record.id.partition(":")[2])
        except CloudError as gone:
            if gone.status != 404:
                raise

    def _pool(self, world: World, record: Record) -> NodePool:
        asked = record.inputs
        machine_name = (_machines(world, asked) or ["t3.medium"])[0]
        row = hardware(Cloud.AWS, machine_name)
        low, high, desired = _scaling(asked)
        subnets = [world.records.get("aws", "aws:ec2/subnet:Subnet", s) for s in asked.get("subnetIds") or []]
        zones = sorted({s.inputs["availabilityZone"] for s in subnets if s and s.inputs.get("availabilityZone")})
        ami = asked.get("amiType") or "AL2023_x86_64_STANDARD"
        driver = (
            {Family.NVIDIA: "NVIDIA", Family.NEURON: "NEURON"}.get(row.accelerator.family) if row and row.accelerator else None
        )
        return NodePool(
            name=record.id.partition(":")[2],
            cloud=Cloud.AWS,
            region=region(record),
            zones=tuple(zones) or (region(record) + "a",),
            machine_name=machine_name,
            hardware=row,
            spot=asked.get("capacityType") == "SPOT",
            labels=dict(asked.get("labels") or {}),
            taints=tuple(
                Taint(t["key"], t.get("value") or "", _EFFECT.get(t["effect"], t["effect"])) for t in asked.get("taints") or []
            ),
            min_nodes=low,
            max_nodes=high,
            size=desired,
            topology=None,
            autoscaled=True,
            has_cpu_pool=True,
            plugin_builtin=False,
            driver_ok=driver is None or driver in ami,
            disk_gib=_disk_gib(world, asked),
            group_tags=_group_tags(world, _group(record.id)),
            efa=_adapters(_template(world, asked), row),
            sharing=cut(Cloud.AWS, row, _cut_at_boot(_template(world, asked))),
        )


class GroupTag(Aws):
    """A tag of an Auto Scaling group, which is how cluster-autoscaler comes to know of the group."""

    def identify(self, world: World, record: Record) -> str:
        return f"{record.inputs['autoscalingGroupName']},{record.inputs['tag']['key']}"

    def created(self, world: World, record: Record) -> dict[str, Any]:
        self._pass_on(world, record, {record.inputs["tag"]["key"]: record.inputs["tag"]["value"]})
        return {}

    def updated(self, world: World, record: Record, old: dict[str, Any]) -> dict[str, Any]:
        return self.created(world, record)

    def deleting(self, world: World, record: Record) -> None:
        self._pass_on(world, record, {})

    def _pass_on(self, world: World, record: Record, now: dict[str, str]) -> None:
        """Tell the cluster of the group's tags, of which this record's may not be written yet."""
        named = record.inputs["autoscalingGroupName"]
        others = {k: v for k, v in _group_tags(world, named).items() if k != record.inputs["tag"]["key"]}
        for group in world.records.all("aws", _NODE_GROUP):
            if _group(group.id) == named:
                world.clusters.set_tags("aws", group.inputs["clusterName"], group.id.partition(":")[2], {**others, **now})


def _group(id_: str) -> str:
    """The Auto Scaling group of a node group."""
    return f"eks-{id_.partition(':')[2]}-{uuid.uuid5(uuid.NAMESPACE_URL, id_)}"


def _group_tags(world: World, group: str) -> dict[str, str]:
    tags = [r.inputs for r in world.records.all("aws", _TAG)]
    return {t["tag"]["key"]: t["tag"]["value"] for t in tags if t["autoscalingGroupName"] == group}


def _template(world: World, asked: dict[str, Any]) -> Record | None:
    id_ = (asked.get("launchTemplate") or {}).get("id") or ""
    return world.records.get("aws", "aws:ec2/launchTemplate:LaunchTemplate", id_)


def _machines(world: World, asked: dict[str, Any]) -> list[str]:
    """The machine types of a node group, its own or, if it names none, its template's."""
    template = _template(world, asked)
    named = template.inputs.get("instanceType") if template else None
    return asked.get("instanceTypes") or ([named] if named else [])


def _cut_at_boot(template: Record | None) -> str | None:
    """The MIG profile into which the user data cuts every GPU, if it does."""
    script = base64.b64decode(template.inputs.get("userData") or "").decode(errors="replace") if template else ""
    found = re.search(r"nvidia-smi mig -cgi (\d+g\.\d+gb)", script)
    return found[1] if found else None


def _adapters(template: Record | None, row: Machine | None) -> int:
    """Fabric adapters that the template asks for.

    Raises:
        CloudError: the machine has fewer network cards, or none that carry the fabric.
    """
    asked = template.inputs.get("networkInterfaces") or [] if template else []
    adapters = sum(str(i.get("interfaceType") or "").startswith("efa") for i in asked)
    if adapters > (most := efa_interfaces(row) if row else 0):
        name = row.name if row else "the machine"
        raise CloudError("InvalidParameterValue", f"{adapters} EFA interfaces requested, {name} supports {most}")
    return adapters


def _disk_gib(world: World, asked: dict[str, Any]) -> int:
    """The boot disk: the launch template's first volume, else the group's own size, else EKS's default of 20."""
    template = _template(world, asked)
    for mapping in (template.inputs.get("blockDeviceMappings") or []) if template else []:
        return integer((mapping.get("ebs") or {}).get("volumeSize"), 20)
    return integer(asked.get("diskSize"), 20)


_EFFECT = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}


def _scaling(inputs: dict[str, Any]) -> tuple[int, int, int]:
    scaling = inputs.get("scalingConfig") or {}
    low = integer(scaling.get("minSize"), 1)
    return low, integer(scaling.get("maxSize"), max(low, 1)), integer(scaling.get("desiredSize"), low)


TYPES: dict[str, Behaviour] = {
    _TAG: GroupTag(immutable=("autoscalingGroupName", "tag.key")),
    _NODE_GROUP: NodeGroup(
        service="eks",
        arn="nodegroup/{id}",
        immutable=("nodeGroupName", "clusterName", "amiType", "capacityType", "instanceTypes", "subnetIds", "nodeRoleArn"),
    ),
}
