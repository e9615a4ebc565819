"""A node pool as its cloud runs it, and the Node objects it becomes: what that cloud gives, never what was hoped."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from fleet.catalog.accelerators import ACCELERATORS, Family
from fleet.catalog.clouds import Cloud, zone_label
from fleet.catalog.fabric import EFA_RESOURCE, GKE_NETWORK_RESOURCES, INFINIBAND_RESOURCE, Fabric, node_fabric
from fleet.catalog.machines import Machine, host, machine
from fleet.catalog.neuron import CORE_RESOURCE, CORES
from fleet.catalog.nodes import Taint, brings_device_plugin, cloud_labels, cloud_taints
from fleet.catalog.sharing import Sharing, SharingMode

# Which pool a node belongs to: the simulation's own note, on the node itself.
POOL = "sandbox.accelfleet.io/pool"
# Tags of Auto Scaling groups: by the first cluster-autoscaler finds a group, by the others it knows an empty group's nodes.
# https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md
FOUND_BY = "k8s.io/cluster-autoscaler/enabled"
_RESOURCES = "k8s.io/cluster-autoscaler/node-template/resources/"


@dataclass(frozen=True)
class NodePool:
    """A pool.

    Attributes:
        machine_name, hardware: the machine type asked for, and the catalogue's row of it if it has one.
        labels, taints: what the program asked for; the cloud's own come on top.
        size: nodes now; autoscaled pools move between min_nodes and max_nodes.
        topology: of a TPU slice.
        has_cpu_pool: whether the cluster had a pool without GPUs before this one (GKE's taint depends on it).
        plugin_builtin: whether the cloud's own device plugin is left on, where it has one.
        driver_ok: whether the image carries the driver of the hardware.
        disk_gib: boot disk, GiB; pods' scratch space comes out of it.
        group_tags: of its Auto Scaling group, on AWS.
        hosts: names of its nodes where they stand already; empty where the cloud names them.
        efa: fabric adapters of a node, as its launch template says.
        networks: VPC and subnet of each further interface of a GKE node. attached: the Network objects that name these.
        sharing: how the cloud, or the node's own boot script, cut its GPUs; what a device plugin does comes on top.
        provisioned: how Karpenter calls the way its nodes are bought, where AKS's makes them; None for a pool of the cloud.
    """

    name: str
    cloud: Cloud
    region: str
    zones: tuple[str, ...]
    machine_name: str
    hardware: Machine | None
    spot: bool
    labels: dict[str, str]
    taints: tuple[Taint, ...]
    min_nodes: int
    max_nodes: int
    size: int
    topology: str | None
    autoscaled: bool
    has_cpu_pool: bool
    plugin_builtin: bool
    driver_ok: bool
    disk_gib: int
    sharing: Sharing | None = None
    efa: int = 0
    group_tags: dict[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    networks: tuple[tuple[str, str], ...] = ()
    attached: tuple[str, ...] = ()
    provisioned: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A form that survives the daemon."""
        row = self.hardware
        accelerator = row.accelerator.name if row and row.accelerator else None
        return {
            **asdict(self),
            "cloud": str(self.cloud),
            "hardware": None,
            "known": bool(row),
            "accelerator": accelerator,
            # No catalogue has a host.
            "host": [row.accelerators, row.vcpus, row.memory_gib] if row and self.hosts else None,
        }

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> NodePool:
        raw = dict(raw)
        cloud, known, accelerator = Cloud(raw.pop("cloud")), raw.pop("known"), raw.pop("accelerator")
        taints = tuple(Taint(**t) for t in raw.pop("taints"))
        cut = raw.pop("sharing", None)
        raw["sharing"] = Sharing(**{**cut, "mode": SharingMode(cut["mode"])}) if cut else None
        raw |= {"zones": tuple(raw["zones"]), "hosts": tuple(raw.get("hosts") or ()), "attached": ()}
        raw["networks"] = tuple((vpc, subnet) for vpc, subnet in raw.get("networks") or ())
        if about := raw.pop("host", None):
            raw["hardware"] = host(ACCELERATORS[accelerator], *about)
        else:
            raw["hardware"] = machine(cloud, raw["machine_name"], accelerator) if known else None
        return cls(cloud=cloud, taints=taints, **raw)

    def at(self, size: int) -> NodePool:
        return replace(self, size=max(0, size))

    @property
    def resource(self) -> str | None:
        """The extended resource its hardware can offer."""
        return self.hardware.accelerator.family.resource if self.hardware and self.hardware.accelerator else None

    @property
    def offered_at_once(self) -> bool:
        """Whether the cloud's built-in plugin offers the accelerators as soon as the node is there."""
        family = self.hardware.accelerator.family if self.hardware and self.hardware.accelerator else None
        if family is None or not self.driver_ok:
            return False
        if self.hosts:  # an operator there, or nobody
            return self.plugin_builtin
        return brings_device_plugin(self.cloud, family) and (self.plugin_builtin or family is Family.TPU)

    def all_labels(self, zone: str, name: str) -> dict[str, str]:
        given = cloud_labels(
            self.cloud,
            pool=self.name,
            machine=self.machine_name,
            spot=self.spot,
            hardware=self.hardware,
            topology=self.topology,
            sharing=self.sharing,
            provisioned=self.provisioned,
        )
        if self.hosts:
            return {**self.labels, **given, "kubernetes.io/hostname": name}
        where = zone_label(self.cloud, self.region, zone)
        place = {"topology.kubernetes.io/region": self.region, "topology.kubernetes.io/zone": where}
        return {**self.labels, **given, **place, "kubernetes.io/hostname": name}

    def told(self) -> dict[str, str]:
        """Accelerators of a node of an EKS pool at zero: NVIDIA's as EC2 counts them, whatever else as the group's tags say.

        Labels and taints it reads from the node group itself; extended resources are not in there (autoscaler#5278).
        """
        nvidia = Family.NVIDIA.resource
        counted = {nvidia: str(self.hardware.accelerators)} if self.hardware and self.resource == nvidia else {}
        tagged = {k.removeprefix(_RESOURCES): v for k, v in self.group_tags.items() if k.startswith(_RESOURCES)}
        return {**counted, **tagged}

    def zone_of(self, node: dict[str, Any]) -> str:
        """The zone that one of its nodes stands in, as the pool names it."""
        where = str(node["metadata"]["labels"].get("topology.kubernetes.io/zone", self.zones[0]))
        return where.removeprefix(f"{self.region}-") if self.cloud is Cloud.AZURE else where

    def all_taints(self) -> list[dict[str, str]]:
        given = cloud_taints(self.cloud, spot=self.spot, hardware=self.hardware, has_cpu_pool=self.has_cpu_pool)
        merged = {(t.key, t.effect): t for t in (*self.taints, *given)}
        return [{"key": t.key, "value": t.value, "effect": t.effect} for t in sorted(merged.values())]

    def capacity(self) -> dict[str, str]:
        """CPU, memory and what else every node has; the accelerators come with their plugin."""
        vcpus = self.hardware.vcpus if self.hardware else 2
        memory = self.hardware.memory_gib if self.hardware else 8
        return {"cpu": str(vcpus), "memory": f"{memory}Gi", "pods": "110", "ephemeral-storage": f"{self.disk_gib}Gi"}

    @property
    def make(self) -> tuple[object, ...]:
        """What of a node only another machine has otherwise."""
        return self.machine_name, self.disk_gib, self.efa, self.sharing

    @property
    def parts(self) -> int:
        """Accelerators of one node as they were cut, before any device plugin multiplies them."""
        return self.hardware.accelerators * (self.sharing.slots if self.sharing else 1) if self.hardware else 0

    def accelerators(self) -> dict[str, str]:
        if self.resource is None:
            return {}
        cores = {CORE_RESOURCE: str(self.parts * self.neuron_cores)} if self.neuron_cores else {}
        return {self.resource: str(self.parts), **cores, **{key: str(n) for key, n in self.fabric().items()}}

    @property
    def neuron_cores(self) -> int:
        """Cores of each device, which Neuron's plugin counts beside the devices; 0 for other hardware."""
        accelerator = self.hardware.accelerator if self.hardware else None
        return CORES.get(accelerator.name, 0) if accelerator else 0

    def fabric(self) -> dict[str, int]:
        """Interfaces of a node's fabric by resource, once all that offers them runs."""
        found = node_fabric(self.hardware) if self.hardware else None
        infiniband = {INFINIBAND_RESOURCE: found.interfaces} if found and found.kind is Fabric.INFINIBAND else {}
        networks = dict.fromkeys((GKE_NETWORK_RESOURCES + name for name in self.attached), 1)
        return {**({EFA_RESOURCE: self.efa} if self.efa else {}), **infiniband, **networks}

    def node(self, zone: str, name: str | None = None) -> dict[str, Any]:
        """The Node object of a new machine in the zone, as its cloud would register it: no name or id comes twice.

        Args:
            name: of a host, which has one already.
        """
        serial = secrets.token_hex(10)
        name = name or self._node_name(serial)
        resources = self.capacity() | (self.accelerators() if self.offered_at_once else {})
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": name,
                "labels": self.all_labels(zone, name),
                "annotations": {
                    "kwok.x-k8s.io/node": "fake",
                    POOL: self.name,
                },
            },
            "spec": {"providerID": "" if self.hosts else self._provider_id(zone, name, serial), "taints": self.all_taints()},
            "status": {
                "capacity": resources,
                "allocatable": resources,
                "nodeInfo": {"operatingSystem": "linux", "architecture": "amd64", "kubeletVersion": "v1.37.2"},
            },
        }

    def _node_name(self, serial: str) -> str:
        if self.cloud is Cloud.AWS:
            return f"ip-10-0-{int(serial[:2], 16)}-{int(serial[2:4], 16)}-{serial[4:8]}.{self.region}.compute.internal"
        if self.cloud is Cloud.GCP:
            return f"gke-{self.name}-{serial[:8]}"[-63:].strip("-")
        if self.provisioned:
            return f"aks-{self.name}-{serial[:8]}"
        # A scale set counts its machines in base 36.
        return f"aks-{self.name}-{serial[:8]}-vmss{serial[8:14]}"

    def _provider_id(self, zone: str, name: str, serial: str) -> str:
        if self.cloud is Cloud.AWS:
            return f"aws:///{zone}/i-{serial[:17]}"
        if self.cloud is Cloud.GCP:
            return f"gce://accelfleet-sandbox/{zone}/{name}"
        if self.provisioned:
            return f"azure:///subscriptions/0/resourceGroups/mc/providers/Microsoft.Compute/virtualMachines/{name}"
        machines = f"virtualMachineScaleSets/{name[:-6]}/virtualMachines/{int(serial[8:14], 36)}"
        return f"azure:///subscriptions/0/resourceGroups/mc/providers/Microsoft.Compute/{machines}"
