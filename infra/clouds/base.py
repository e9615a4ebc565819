"""The shapes that all clouds share: what a component takes, and the Kit that a cloud package must offer.

Only Args hold `pulumi.Input`; plain facts come first. No provider SDK is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import pulumi

from fleet import naming
from fleet.contract import AcceleratorPool
from fleet.spec import ApiSpec
from fleet.spec_network import ExistingNetworkSpec, Nat
from fleet.weights import WeightsFile

# A cloud's own Network, Cluster and ObjectStore components.
N = TypeVar("N")
C = TypeVar("C")
S = TypeVar("S")


@dataclass(frozen=True, kw_only=True)
class ProviderArgs:
    """Where a cluster lives. `account` is GCP's project or Azure's subscription; AWS takes it from credentials."""

    region: str
    account: str | None
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class NetworkArgs:
    """`cidr` is the whole network's range, `zones` the zones with subnets."""

    name: str
    region: str
    cidr: str
    zones: tuple[str, ...]
    nat: Nat
    tags: dict[str, str]
    # Whether functions run here: on Azure they have a subnet of their own.
    functions: bool = False
    # Whether a provisioner makes nodes here: on AWS it finds subnets by their tags, and calls services that nobody else does.
    auto: bool = False
    # A network that is there already: then nothing is made, and `cidr` is nobody's.
    existing: ExistingNetworkSpec | None = None


@dataclass(frozen=True, kw_only=True)
class ClusterArgs(Generic[N]):
    """`name` is the cluster's physical name; `network` is the cloud's own Network component."""

    name: str
    region: str
    kubernetes: str
    api: ApiSpec
    admins: tuple[str, ...]
    protect: bool
    tags: dict[str, str]
    network: N
    # AKS takes its first pool inside the cluster (only there is it required); GKE counts it among what it makes itself.
    system_machine: str
    system_nodes: tuple[int, int]
    # Whether some pool has a fallback: AKS's autoscaler is told here to go by priorities.
    by_priority: bool = False
    # Whether some pool's nodes have a fabric of their own: EKS lets it through its security group.
    fabric: bool = False
    # Whether some model has a route: GKE brings the Gateway API's kinds and its controller where it is told to.
    routes: bool = False
    # The pools that a provisioner makes nodes of, where it does: GKE is told of their bounds here. None for groups.
    provisioned: tuple[AcceleratorPool, ...] | None = None
    # An existing cluster's, a secret; None where the cluster is made here.
    kubeconfig: pulumi.Output[str] | None = None


@dataclass(frozen=True, kw_only=True)
class SystemPoolArgs(Generic[C]):
    """CPU nodes of one cluster; `min_nodes` and `max_nodes` bound the autoscaler."""

    cluster: C
    machine: str
    min_nodes: int
    max_nodes: int
    zones: tuple[str, ...]
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class NodePoolArgs(Generic[C]):
    """An accelerator pool: everything about its nodes comes from the contract object."""

    cluster: C
    pool: AcceleratorPool
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ObjectStoreArgs(Generic[N]):
    """`name` is the store's world-wide physical name; `network` reaches it by its own private path, and nobody without TLS."""

    name: str
    region: str
    network: N
    versioned: bool
    expire_noncurrent_days: int
    protect: bool
    tags: dict[str, str]
    # Whether SQL or big-data jobs read it from outside of the network: Azure's firewall is told of them.
    analysed: bool = False


@dataclass(frozen=True, kw_only=True)
class WorkloadIdentityArgs(Generic[C, S]):
    """Lets one Kubernetes service account read one store, at `prefix` and below where the cloud can say so."""

    cluster: C
    namespace: str
    service_account: str
    store: S
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class QueueReaderArgs(Generic[C]):
    """Lets one Kubernetes service account, KEDA's, count the messages of queues (`fleet.queues`), and no more."""

    cluster: C
    namespace: str
    service_account: str
    addresses: tuple[pulumi.Input[str], ...]
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class TpuVmArgs(Generic[N, S]):
    """A TPU beside the cluster. `name` is its physical name, `type` Google's word for version and cores (v2-8), `runtime` its
    software version; `reads` and `writes` are stores that it may read, and those that it may read and write.
    """

    name: str
    zone: str
    type: str
    runtime: str
    spot: bool
    network: N
    reads: Sequence[S]
    writes: Sequence[S]
    protect: bool
    tags: dict[str, str]


class Cluster(Protocol):
    """What the platform reads of any cluster component.

    `kubeconfig` holds no long-lived credential: it names an exec plugin that fetches a token.
    """

    cluster_name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]


class ObjectStore(Protocol):
    """`url` is what an fsspec reader opens: s3://…, gs://… or abfss://…."""

    url: pulumi.Output[str]

    def put(self, path: str, files: Sequence[WeightsFile]) -> list[pulumi.Resource]:
        """Files of the repository below `path` in the store; readers wait for what comes back."""


class WorkloadIdentity(Protocol):
    """What the Kubernetes service account and the pod carry so that the identity takes hold."""

    service_account_annotations: pulumi.Output[dict[str, str]]
    pod_labels: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Kit:
    """A cloud, as the platform sees it. Every cloud package exports one named KIT; `infra.clouds.CLOUDS` lists them.

    Attributes:
        cluster, node_pool: all that an existing cluster has; the rest is of clouds where clusters are made.
        config_namespace: Pulumi's config namespace of the provider (`aws`, `gcp`, `azure-native`).
        account_key: key in that namespace that names the account; None where credentials do.
        default_machine: machine type of a system pool when the stack names none.
        system_pool: None where the cluster brings it (AKS).
    """

    cluster: Callable[..., Any]
    node_pool: Callable[..., Any]
    config_namespace: str = ""
    account_key: str | None = None
    default_machine: str = ""
    provider: Callable[[str, ProviderArgs, pulumi.ResourceOptions], pulumi.ProviderResource] | None = None
    network: Callable[..., Any] | None = None
    system_pool: Callable[..., Any] | None = None
    object_store: Callable[..., Any] | None = None
    workload_identity: Callable[..., Any] | None = None
    # Rights of KEDA over the queues that models go by.
    queue_reader: Callable[..., Any] | None = None
    # Rights of the autoscaler that the cluster must run itself; None where the cloud runs one.
    autoscaler: Callable[..., Any] | None = None
    # What a provisioner of ours needs of the cloud for `provisioning: auto`; None where the cloud runs its own, or none is.
    provisioner: Callable[..., Any] | None = None
    # A TPU beside the cluster, where the cloud has any.
    tpu_vm: Callable[..., Any] | None = None
    # World-wide name of a store, from the parts that tell it apart.
    store_name: Callable[..., str] = field(default=naming.global_name)
    # Physical name of a pool, by this cloud's rules.
    pool_name: Callable[[str], str] = field(default=lambda name: name)


def object_key(path: str, file: WeightsFile) -> str:
    """Where a file goes in its store."""
    return f"{path.strip('/')}/{file.key}".lstrip("/")
