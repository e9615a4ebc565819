"""What people write in `stacks/<stack>.yaml`: its shape, its defaults and nothing else.

Only the shape is checked here (types, ranges, unknown keys). Facts that need the catalogue or another field are
`fleet.checks`'; reading the file, with line numbers, is `fleet.load`'s. Defaults live here and nowhere else.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StrictBool, StrictInt

from fleet.catalog.clouds import Cloud
from fleet.catalog.fabric import Fabric
from fleet.catalog.numa import Numa
from fleet.catalog.sharing import MOST_CLIENTS
from fleet.commitments import CommitmentSpec
from fleet.spec_admission import AdmissionMode, AdmissionSpec
from fleet.spec_base import Cidr, HostName, Instant, Name, Owner, PoolName, Spec, TaintText
from fleet.spec_carbon import CarbonSpec
from fleet.spec_network import NetworkSpec
from fleet.spec_policies import PoliciesSpec
from fleet.spec_scaling import ScalingSpec
from fleet.spec_services import ServicesSpec
from fleet.spec_serving import PodMonitorSpec, RouteSpec, WeightsSpec
from fleet.spec_terraform import SECRET, TerraformSpec
from fleet.spec_tpu import TpuVmSpec


class Purchase(StrEnum):
    """How a node is bought; the first three come from `capacity:` alone, as they need to say what was bought."""

    RESERVATION = "reservation"
    CAPACITY_BLOCK = "capacity-block"
    FLEX_START = "flex-start"
    SPOT = "spot"
    ON_DEMAND = "on-demand"


class Allocation(StrEnum):
    """How pods come to a pool's accelerators: by a number of an extended resource, or by a claim on devices (DRA)."""

    DEVICE_PLUGIN = "device-plugin"
    DRA = "dra"


class Environment(StrEnum):
    DEV = "dev"
    STAGING = "staging"
    PROD = "prod"


class ApiSpec(Spec):
    """Who reaches the Kubernetes API."""

    private: StrictBool = Field(default=False, description="Only from inside the network.")
    allowed_cidrs: list[Cidr] = Field(default_factory=list, description="Ranges that may reach a public API endpoint.")


class NodesSpec(Spec):
    """Bounds of a pool; in between, the autoscaler decides."""

    min: StrictInt = Field(default=0, ge=0, le=1000)
    max: StrictInt = Field(default=1, ge=1, le=1000)
    start: StrictInt | None = Field(
        default=None, ge=0, description="Nodes at creation; default: `min`, but 1 where a model needs the pool."
    )


class SystemPoolSpec(Spec):
    """CPU nodes for what keeps the cluster going; every cluster has exactly one such pool."""

    machine: str | None = Field(default=None, description="Machine type; default: the cloud's 4-vCPU general one.")
    nodes: NodesSpec = Field(default=NodesSpec(min=1, max=3))


class SharingSpec(Spec):
    """How each accelerator of a pool serves several pods: exactly one of these. A pod takes one part."""

    mig: str | None = Field(
        default=None, pattern=r"^\d+g\.\d+gb$", description="MIG profile, such as 1g.10gb: memory and faults are apart."
    )
    mps_clients: StrictInt | None = Field(
        default=None, ge=2, le=MOST_CLIENTS, description="Pods side by side by MPS: memory is limited, faults are shared."
    )
    time_slices: StrictInt | None = Field(
        default=None, ge=2, le=MOST_CLIENTS, description="Pods by turns: nothing is apart, for development."
    )
    cores: StrictBool = Field(default=False, description="A Neuron core a pod: memory and faults are apart.")


class RungSpec(Spec):
    """One rung of a capacity ladder: a way to buy the pool's machine."""

    purchase: Purchase
    reservation: str | None = Field(
        default=None,
        description="What was reserved: cr-… on AWS, a reservation's name on GCP, a capacity reservation group's id on Azure.",
    )
    zone: str | None = Field(default=None, description="Zone that the reservation is in; default: the pool's zones.")
    nodes: StrictInt | None = Field(default=None, ge=1, le=1000, description="Nodes at most; default: the pool's max.")
    ends: Instant | None = Field(
        default=None, description="When a capacity block ends; its nodes are drained three quarters of an hour before."
    )
    hours: StrictInt | None = Field(default=None, ge=1, description="Longest run of a flex-start node; default: 168.")
    wait_minutes: StrictInt | None = Field(
        default=None, ge=5, le=10_080, description="How long flex-start is queued for until the next rung; default: GKE's."
    )


class HostDriver(StrEnum):
    """Who keeps an accelerator's driver on hosts that were not made here, and so who runs its device plugin."""

    HOST = "host"
    OPERATOR = "operator"


class HostsSpec(Spec):
    """Nodes of an existing cluster that make a pool: what nobody can look up in a catalogue."""

    names: list[HostName] = Field(min_length=1, description="The nodes' names, as `kubectl get nodes` has them.")
    vcpus: StrictInt = Field(ge=1, description="CPUs of each, as the node counts them.")
    memory_gib: StrictInt = Field(ge=1, description="Memory of each.")
    taints: list[TaintText] = Field(
        default_factory=list, description="Taints that they carry, as key=value:Effect; the pool's pods tolerate them."
    )
    driver: HostDriver = Field(
        default=HostDriver.HOST,
        description="host: the driver is installed, and the device plugin is ours; operator: an operator there has both.",
    )
    runtime_class: Name | None = Field(
        default=None, description="RuntimeClass of pods with accelerators; k3s has `nvidia`. Default: the runtime's own."
    )
    usd_hour: float | None = Field(default=None, ge=0, description="What one costs you an hour; without it nobody knows.")


class PoolSpec(Spec):
    """A pool of nodes with accelerators."""

    accelerator: str = Field(description="Catalogue name, such as nvidia-l4, tpu-v5e, inferentia2.")
    per_node: StrictInt | None = Field(
        default=None, ge=1, le=16, description="Accelerators a node; default: the smallest machine on offer."
    )
    machine: str | None = Field(default=None, description="Machine type, where per_node leaves a choice.")
    topology: str | None = Field(
        default=None, pattern=r"^\d+x\d+(x\d+)?$", description="TPU slice shape, such as 2x4; TPU only."
    )
    nodes: NodesSpec = Field(default=NodesSpec())
    purchase: Purchase = Purchase.ON_DEMAND
    fallback: Purchase | None = Field(
        default=None, description="What to buy while there is none of `purchase`: on-demand, beside purchase: spot."
    )
    capacity: list[RungSpec] = Field(
        default_factory=list, description="Ways to buy, the first to try in front; instead of purchase, fallback."
    )
    climb: StrictBool = Field(
        default=False,
        description="Move running pods back to an earlier way to buy once it has machines again; each then loads anew.",
    )
    zones: list[str] = Field(default_factory=list, description="Zones to take nodes from; default: the network's.")
    disk_gib: StrictInt | None = Field(
        default=None, ge=50, le=16384, description="Boot disk; default: computed from images and weights."
    )
    sharing: SharingSpec | None = Field(default=None, description="Several pods a GPU, or a Neuron device.")
    allocation: Allocation = Field(
        default=Allocation.DEVICE_PLUGIN,
        description="How pods come to the accelerators: device-plugin, or dra, which claims them; dra is for NVIDIA only.",
    )
    fabric: Fabric | None = Field(
        default=None,
        description="For work over several nodes of a zone: efa (AWS), gpudirect (GCP), infiniband (Azure).",
    )
    numa: Numa | None = Field(
        default=None, description="Keep a pod's accelerators and CPUs by one socket; for parts of a node."
    )
    neuron_scheduler: StrictBool = Field(
        default=False, description="Neuron's own scheduler places the pods, which may then take some of a node's devices."
    )
    hosts: HostsSpec | None = Field(default=None, description="On cloud: existing, the nodes that are the pool.")
    labels: dict[str, str] = Field(default_factory=dict, description="Further node labels.")

    @property
    def ladder(self) -> tuple[RungSpec, ...]:
        """How nodes are bought, first to last, however it was written; one rung at least."""
        short = (self.purchase, *((self.fallback,) if self.fallback else ()))
        return tuple(self.capacity) or tuple(RungSpec(purchase=purchase) for purchase in short)


class StoreSpec(Spec):
    """An object store: private, encrypted, TLS only."""

    versioned: StrictBool = True
    expire_noncurrent_days: StrictInt = Field(default=30, ge=1, description="Days that replaced versions are kept.")
    protect: StrictBool | None = Field(default=None, description="Refuse deletion; default: only in prod.")


class Autoscaler(StrEnum):
    NONE = "none"
    HPA = "hpa"
    KEDA = "keda"


class ReplicasSpec(Spec):
    min: StrictInt = Field(default=1, ge=0, le=10_000)
    max: StrictInt = Field(default=1, ge=1, le=10_000)


class Tier(StrEnum):
    """Whether somebody waits for a model's answers, or its work can wait for a cleaner grid."""

    INTERACTIVE = "interactive"
    FLEXIBLE = "flexible"


class ModelSpec(Spec):
    """A model served on a pool of the same cluster."""

    pool: str = Field(description="A pool of the same cluster.")
    team: str | None = Field(default=None, description="The team whose share its replicas take; default: none, and no limit.")
    accelerators: StrictInt | None = Field(
        default=None, ge=1, le=16, description="Accelerators a replica; default: 1, on a TPU a whole host."
    )
    cpus: StrictInt | None = Field(default=None, ge=1, description="CPUs a replica; default and most: its share of the node.")
    memory_gib: StrictInt | None = Field(default=None, ge=1, description="Main memory a replica; as cpus.")
    image: str = Field(default="vllm/vllm-openai:v0.11.0", description="Image of the model server, with a tag or digest.")
    weights: WeightsSpec | None = None
    replicas: ReplicasSpec = Field(default=ReplicasSpec())
    autoscaler: Autoscaler = Autoscaler.NONE
    scaling: ScalingSpec = Field(default=ScalingSpec(), description="What KEDA goes by; default: requests that wait.")
    tier: Tier = Field(
        default=Tier.INTERACTIVE,
        description="flexible: fewer replicas while the grid is dirty, or its work put off; with keda.",
    )
    carbon: CarbonSpec | None = Field(default=None, description="Of a flexible model: what holds it back.")
    route: RouteSpec | None = Field(default=None, description="How it is reached from outside; default: not at all.")
    pod_monitor: PodMonitorSpec | None = Field(default=None, description="For a Prometheus operator of yours.")


class Priority(StrEnum):
    """Whose pods go first where a pool is full: a higher team's push out a lower one's."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


class Queueing(StrEnum):
    """What becomes of a pod that its team's share has no room for: `none` refuses it, `kueue` lets it wait."""

    NONE = "none"
    KUEUE = "kueue"


class Provisioning(StrEnum):
    """Who makes the nodes of accelerator pools: groups of the cloud that an autoscaler resizes, or for `auto` a provisioner
    that makes each node for the pods that wait (Karpenter on EKS and AKS, GKE's own)."""

    GROUPS = "groups"
    AUTO = "auto"


class Monitoring(StrEnum):
    """Who watches the cluster's models: nobody of ours, or Prometheus and Grafana with rules made from this file."""

    NONE = "none"
    PROMETHEUS = "prometheus"


class TeamSpec(Spec):
    """A team with a namespace of its own and a share of the cluster's accelerators."""

    accelerators: dict[str, Annotated[StrictInt, Field(ge=1)]] = Field(
        default_factory=dict,
        description="How many it may hold at once, by catalogue name; a part of a shared GPU counts as one.",
    )
    priority: Priority = Priority.NORMAL
    borrow: StrictBool = Field(
        default=False, description="Take what other teams leave idle, until they want it; with kueue only."
    )


class ClusterSpec(Spec):
    """One Kubernetes cluster with its own network; with cloud: existing, one that somebody else made."""

    cloud: Cloud
    region: str = Field(
        description="A region of that cloud that fleet/catalog/clouds.py knows; of an existing cluster, its grid zone."
    )
    kubeconfig: str | None = Field(
        default=None,
        pattern=SECRET,
        description="On cloud: existing, the secret that holds the cluster's kubeconfig, which stands under `secrets:`, too; "
        "or terraform:<state>.<output>.",
    )
    kubernetes: str | None = Field(default=None, pattern=r"^1\.\d+$", description="Minor version; default: infra/versions.py.")
    network: NetworkSpec = Field(default=NetworkSpec())
    api: ApiSpec = Field(default=ApiSpec())
    admins: list[str] = Field(
        default_factory=list, description="IAM role ARNs, Google groups or Entra group ids with admin rights."
    )
    system_pool: SystemPoolSpec = Field(default=SystemPoolSpec())
    provisioning: Provisioning = Field(
        default=Provisioning.GROUPS,
        description="Who makes the nodes of accelerator pools; auto: Karpenter on EKS and AKS, or GKE's own.",
    )
    pools: dict[PoolName, PoolSpec] = Field(default_factory=dict)
    stores: dict[Name, StoreSpec] = Field(default_factory=dict)
    models: dict[Name, ModelSpec] = Field(default_factory=dict)
    tpu_vms: dict[Name, TpuVmSpec] = Field(default_factory=dict, description="On GCP, TPU v2 and v3 beside the cluster.")
    teams: dict[Name, TeamSpec] = Field(default_factory=dict, description="Who shares the accelerators, and how.")
    services: ServicesSpec = Field(default=ServicesSpec(), description="Cloud services beside the cluster.")
    queueing: Queueing = Queueing.NONE
    monitoring: Monitoring = Monitoring.NONE
    admission: AdmissionSpec = Field(
        default=AdmissionSpec(), description="Whether the API server refuses pods that break the accelerator rules."
    )
    grid_token: str | None = Field(
        default=None,
        pattern=SECRET,
        description="The secret that holds an Electricity Maps token, for flexible models, which stands under `secrets:`, too; "
        "or terraform:<state>.<output>.",
    )

    @property
    def admission_mode(self) -> AdmissionMode:
        """What stands in a cluster that is not ours is warned, and not refused."""
        default = AdmissionMode.AUDIT if self.cloud is Cloud.EXISTING else AdmissionMode.ENFORCE
        return self.admission.mode or default


class StackSpec(Spec):
    """One stack file."""

    owner: Owner = Field(description="Team that answers for the stack; goes on every tag.")
    environment: Environment
    depends_on: list[str] = Field(default_factory=list, description="Stacks that come up before this one.")
    secrets: list[str] = Field(default_factory=list, description="Keys that `pulumi config set --secret` must have set.")
    terraform: dict[Name, TerraformSpec] = Field(
        default_factory=dict, description="Terraform states whose outputs stand in for values, as terraform:<name>.<output>."
    )
    clusters: dict[Name, ClusterSpec] = Field(min_length=1)
    commitments: dict[Name, CommitmentSpec] = Field(
        default_factory=dict,
        description="What is committed to a cloud for a lower price; for the report alone, nothing is bought.",
    )
    policies: PoliciesSpec = Field(default=PoliciesSpec(), description="What the policy pack enforces, and what is waived.")
