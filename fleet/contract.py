"""The scheduling contract: one object that both makes an accelerator pool and places a pod on it.

A workload takes an `AcceleratorPool`, never label or taint strings, so a selector that no node carries or a
toleration that a taint lacks cannot be written down (pain 2: ai-on-eks#112, kubeflow#5275, aks#1449, karpenter#5527).
Owns what *we* put on a pool; what the cloud adds is `fleet.catalog.nodes`. Makes no resource.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from fleet.catalog import dra, neuron
from fleet.catalog.accelerators import Accelerator, Family
from fleet.catalog.clouds import Cloud
from fleet.catalog.fabric import EFA_RESOURCE, Fabric, NodeFabric
from fleet.catalog.machines import Machine
from fleet.catalog.nodes import Taint, brings_device_plugin, cloud_labels, cloud_taints, family_taint, spot_grace_s
from fleet.catalog.numa import Numa
from fleet.catalog.sharing import Sharing, SharingMode
from fleet.catalog.tpu import TpuSlice
from fleet.placement import Hosts, Placement, Terms

POOL_LABEL = "accelfleet.io/pool"
ACCELERATOR_LABEL = "accelfleet.io/accelerator"
PURCHASE_LABEL = "accelfleet.io/purchase"
SHARING_LABEL = "accelfleet.io/sharing"
FABRIC_LABEL = "accelfleet.io/fabric"
ALLOCATION_LABEL = "accelfleet.io/allocation"
# GKE's own, label and taint of the pools of a ComputeClass.
# https://cloud.google.com/kubernetes-engine/docs/concepts/about-custom-compute-classes
COMPUTE_CLASS = "cloud.google.com/compute-class"
# A long answer of a language model may take that long; a replica finishes what it has begun.
_GRACE_S = 120


@dataclass(frozen=True, kw_only=True)
class AcceleratorPool:
    """Nodes of one machine type with accelerators, in one cluster.

    Attributes:
        name: the pool's name in the stack file. physical_name: its name in the cloud.
        min_nodes, max_nodes: the autoscaler's bounds; a multi-host TPU slice has min = max = its hosts.
        start_nodes: size at creation; afterwards the autoscaler owns it and the engine ignores it.
        disk_gib: boot disk, sized for images and weights (pain 17).
        tpu: the slice for a TPU pool, else None.
        sharing: how each GPU is cut for several pods, None for whole ones.
        dra: whether pods claim its accelerators from a DRA driver, and no device plugin counts them.
        terms: how it is bought where that is neither spot nor on-demand.
        fallback: the same machines bought otherwise, taken while there is none of these (pain 6); None without.
        fabric: what joins its nodes beside their ordinary network, None for a pool without.
        numa: how its kubelets keep a pod's devices and CPUs by one socket; None for the kubelet's default.
        neuron_scheduler: whether Neuron's own scheduler places its pods, and knows which devices are neighbours.
        climb: whether what runs on a later rung is moved back to an earlier one that has machines again.
        bound: nodes of all its rungs together, as the stack file says; None where that is max_nodes.
        hosts: its nodes where they stand already; None where its cloud makes them.
        auto: whether a provisioner makes its nodes for the pods that wait, and no group of the cloud stands behind them.
        compute_class: on GKE, the ComputeClass whose rungs it belongs to; None for a group that is the only rung.
    """

    name: str
    physical_name: str
    cloud: Cloud
    region: str
    machine: Machine
    spot: bool
    min_nodes: int
    max_nodes: int
    start_nodes: int
    zones: tuple[str, ...]
    disk_gib: int
    tpu: TpuSlice | None = None
    sharing: Sharing | None = None
    dra: bool = False
    terms: Terms | None = None
    fallback: AcceleratorPool | None = None
    fabric: NodeFabric | None = None
    numa: Numa | None = None
    neuron_scheduler: bool = False
    climb: bool = False
    bound: int | None = None
    auto: bool = False
    compute_class: str | None = None
    hosts: Hosts | None = None
    extra_labels: dict[str, str] = field(default_factory=dict)

    @property
    def accelerator(self) -> Accelerator:
        assert self.machine.accelerator is not None, f"{self.machine.name} carries no accelerator"
        return self.machine.accelerator

    @property
    def family(self) -> Family:
        return self.accelerator.family

    @property
    def resource(self) -> str:
        cut = self.sharing is not None and self.sharing.mode is SharingMode.CORES
        return neuron.CORE_RESOURCE if cut else self.family.resource

    @property
    def device_class(self) -> str | None:
        """The DeviceClass that its accelerators are claimed by; None where a device plugin counts them."""
        return dra.device_class(self.family) if self.dra else None

    @property
    def rungs(self) -> tuple[AcceleratorPool, ...]:
        """The pools in the cloud that this is, in the order in which they are bought."""
        return (self, *(self.fallback.rungs if self.fallback else ()))

    @property
    def most_nodes(self) -> int:
        """Nodes that models may count on."""
        return min(sum(rung.max_nodes for rung in self.rungs), self.bound or self.max_nodes)

    @property
    def grace_s(self) -> int:
        """Seconds a pod may take to end: two minutes, and on spot no longer than its cloud leaves it (pain 16)."""
        return min([_GRACE_S, *(spot_grace_s(rung.cloud) for rung in self.rungs if rung.spot)])

    @property
    def purchase(self) -> str:
        if self.hosts:
            return "owned"
        if self.terms:
            return self.terms.purchase
        return "spot" if self.spot else "on-demand"

    @property
    def capacity_type(self) -> str:
        """How a provisioner calls the way its nodes are bought. https://karpenter.sh/docs/concepts/nodepools/#capacity-type"""
        return "reserved" if self.terms and self.terms.reservation else self.purchase

    @property
    def per_node(self) -> int:
        """Accelerators (TPU: chips) one node offers."""
        return self.machine.accelerators

    @property
    def slots(self) -> int:
        """What one node offers of its resource: its accelerators, each as often as it is shared."""
        return self.per_node * (self.sharing.slots if self.sharing else 1)

    @property
    def counts(self) -> tuple[int, ...]:
        """Accelerators that one pod may take.

        Neuron devices that work together must be neighbours: `fleet.catalog.neuron` says which numbers of them can be.
        """
        if self.family is Family.NEURON:
            return neuron.counts(self.machine, scheduled=self.neuron_scheduler)
        return tuple(range(1, self.per_node + 1))

    @property
    def needs_device_plugin(self) -> bool:
        ours = not brings_device_plugin(self.cloud, self.family) and not (self.hosts and self.hosts.operated)
        return ours and not self.dra

    @cached_property
    def node_labels(self) -> dict[str, str]:
        """Labels we put on the pool; the cloud's own come on top."""
        shared = {SHARING_LABEL: str(self.sharing)} if self.sharing else {}
        ours = {POOL_LABEL: self.name, ACCELERATOR_LABEL: self.accelerator.name, PURCHASE_LABEL: self.purchase}
        fabric = {FABRIC_LABEL: self.fabric.label} if self.fabric else {}
        ranked = {COMPUTE_CLASS: self.compute_class} if self.compute_class else {}
        claimed = {ALLOCATION_LABEL: "dra", **dra.pool_labels(self.cloud)} if self.dra else {}
        return {**ours, **shared, **fabric, **ranked, **self.extra_labels, **claimed}

    @cached_property
    def node_taints(self) -> tuple[Taint, ...]:
        """Taints we put on the pool: the family's where the cloud adds none, and spot's where the cloud adds none.

        None on hosts: a node's taints are one list, which belongs to whoever set it up.
        """
        if self.hosts:
            return ()
        added_by_cloud = set(self.cloud_taints)
        wanted = [family_taint(self.family)]
        if self.spot:
            wanted.append(_SPOT_TAINT[self.cloud])
        if self.compute_class:
            wanted.append(Taint(COMPUTE_CLASS, self.compute_class))
        return tuple(taint for taint in wanted if taint not in added_by_cloud)

    @cached_property
    def cloud_labels(self) -> dict[str, str]:
        return cloud_labels(
            self.cloud,
            pool=self.physical_name,
            machine=self.machine.name,
            spot=self.spot,
            hardware=self.machine,
            topology=self.tpu.topology if self.tpu else None,
            sharing=self.sharing,
            provisioned=self.capacity_type if self.auto else None,
        )

    @cached_property
    def cloud_taints(self) -> tuple[Taint, ...]:
        """Taints the cloud adds; our clusters always make a CPU pool first, so GKE's GPU taint is certain.

        Hosts have those that the stack file says.
        """
        if self.hosts:
            return self.hosts.taints
        return cloud_taints(self.cloud, spot=self.spot, hardware=self.machine)

    @cached_property
    def all_taints(self) -> tuple[Taint, ...]:
        return tuple(sorted({*self.node_taints, *self.cloud_taints}))

    @property
    def efa(self) -> int:
        """Elastic Fabric Adapters of a node."""
        return self.fabric.interfaces if self.fabric and self.fabric.kind is Fabric.EFA else 0

    def placement(self, count: int) -> Placement:
        """What a pod that wants `count` accelerators of this pool carries.

        Raises:
            ValueError: more than one node offers, a part of a TPU host (a TPU pod takes all chips of its VM), some Neuron
                devices of a node and not all, or more than one part of shared GPUs (two parts may be of one GPU or of
                two, and CUDA sees one MIG device only).
        """
        if self.sharing and count != 1:
            raise ValueError(
                f"pool {self.name}: its accelerators are shared ({self.sharing}), so a pod takes one part, not {count}: "
                "ask for 1, or take `sharing` away"
            )
        if not 1 <= count <= self.per_node:
            raise ValueError(
                f"pool {self.name}: a pod asks for {count} {self.accelerator.name}, "
                f"but a {self.machine.name} has {self.per_node}: ask for 1 to {self.per_node}"
            )
        if count not in self.counts:
            why = "other numbers never do" if self.neuron_scheduler else "only Neuron's own scheduler sees to"
            raise ValueError(
                f"pool {self.name}: a pod takes {' or '.join(map(str, self.counts))} Neuron devices of a {self.machine.name}, "
                f"not {count}: they must lie side by side, which {why}"
            )
        if self.tpu and count != self.per_node:
            raise ValueError(
                f"pool {self.name}: a TPU pod takes all {self.per_node} chips of its {self.machine.name}, not {count}"
            )
        selector = {POOL_LABEL: self.name}
        if self.tpu:  # GKE's admission asks for both labels on every TPU pod
            selector |= {k: v for k, v in self.cloud_labels.items() if k.startswith("cloud.google.com/gke-tpu-")}
        if self.compute_class:  # GKE looks here for whose order it is to grow pools in
            selector[COMPUTE_CLASS] = self.compute_class
        taints = sorted({taint for rung in self.rungs for taint in rung.all_taints})
        return Placement(
            node_selector=selector,
            tolerations=[{"key": t.key, "operator": "Equal", "value": t.value, "effect": t.effect} for t in taints],
            resource=None if self.dra else self.resource,
            count=count,
            claim=dra.claim(self.accelerator, count, self.machine.device_gib) if self.dra else None,
            extra=self.fabric.share(self.name, count, self.per_node) if self.fabric else {},
            annotations=self.fabric.attached(self.name, count, self.per_node) if self.fabric else {},
            scheduler=neuron.SCHEDULER if self.neuron_scheduler else None,
            runtime_class=self.hosts.runtime_class if self.hosts else None,
            prefer=tuple({PURCHASE_LABEL: how} for how in dict.fromkeys(rung.purchase for rung in self.rungs[:-1])),
        )

    def autoscaler_tags(self, cluster: str) -> dict[str, str]:
        """ASG tags from which cluster-autoscaler makes its template when an EKS pool stands at zero (autoscaler#5278)."""
        if self.cloud is not Cloud.AWS:
            return {}
        prefix = "k8s.io/cluster-autoscaler"
        return {
            f"{prefix}/enabled": "true",
            f"{prefix}/{cluster}": "owned",
            **{f"{prefix}/node-template/label/{k}": v for k, v in self.node_labels.items()},
            **{f"{prefix}/node-template/taint/{t.key}": f"{t.value}:{t.effect}" for t in self.all_taints},
            **({} if self.dra else {f"{prefix}/node-template/resources/{self.resource}": str(self.slots)}),
            **({f"{prefix}/node-template/resources/{EFA_RESOURCE}": str(self.efa)} if self.efa else {}),
        }


_SPOT_TAINT = {
    # EKS refuses taints under kubernetes.io/, k8s.io/ and its own eks.amazonaws.com/ (containers-roadmap#1451).
    Cloud.AWS: Taint("accelfleet.io/spot", "true"),
    Cloud.GCP: Taint("cloud.google.com/gke-spot", "true"),
    Cloud.AZURE: Taint("kubernetes.azure.com/scalesetpriority", "spot"),
}

__all__ = [
    "ACCELERATOR_LABEL",
    "COMPUTE_CLASS",
    "FABRIC_LABEL",
    "POOL_LABEL",
    "PURCHASE_LABEL",
    "SHARING_LABEL",
    "AcceleratorPool",
    "Hosts",
    "Placement",
    "Terms",
]
