"""GCP: a network, a GKE cluster and its pools, GCS stores, workload identity. The only package that imports pulumi_gcp."""

from fleet.catalog.clouds import SYSTEM_MACHINE, Cloud
from infra.clouds.base import Kit
from infra.clouds.gcp.cluster import GkeCluster
from infra.clouds.gcp.identity import GkeWorkloadIdentity
from infra.clouds.gcp.network import GcpNetwork
from infra.clouds.gcp.node_pool import GkeNodePool, GkeSystemPool
from infra.clouds.gcp.object_store import GcsStore
from infra.clouds.gcp.provider import provider
from infra.clouds.gcp.queue_reader import GkeQueueReader
from infra.clouds.gcp.tpu_vm import TpuVm

KIT = Kit(
    config_namespace="gcp",
    account_key="project",
    default_machine=SYSTEM_MACHINE[Cloud.GCP],
    provider=provider,
    network=GcpNetwork,
    cluster=GkeCluster,
    system_pool=GkeSystemPool,
    node_pool=GkeNodePool,
    object_store=GcsStore,
    workload_identity=GkeWorkloadIdentity,
    queue_reader=GkeQueueReader,
    tpu_vm=TpuVm,
)

__all__ = ["KIT", "GcpNetwork", "GcsStore", "GkeCluster", "GkeNodePool", "GkeSystemPool", "GkeWorkloadIdentity"]
