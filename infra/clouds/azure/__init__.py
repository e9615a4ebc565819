"""Azure: AKS and what it stands on. One resource group holds everything of one cluster."""

from fleet import naming
from fleet.catalog.clouds import SYSTEM_MACHINE, Cloud
from infra.clouds.azure.cluster import AksCluster
from infra.clouds.azure.identity import AksWorkloadIdentity
from infra.clouds.azure.network import AzureNetwork
from infra.clouds.azure.node_pool import AksNodePool
from infra.clouds.azure.object_store import BlobStore
from infra.clouds.azure.provider import provider
from infra.clouds.azure.queue_reader import AksQueueReader
from infra.clouds.base import Kit

KIT = Kit(
    config_namespace="azure-native",
    account_key="subscriptionId",
    default_machine=SYSTEM_MACHINE[Cloud.AZURE],
    provider=provider,
    network=AzureNetwork,
    cluster=AksCluster,
    system_pool=None,
    node_pool=AksNodePool,
    object_store=BlobStore,
    workload_identity=AksWorkloadIdentity,
    queue_reader=AksQueueReader,
    store_name=naming.storage_account,
    pool_name=naming.aks_pool,
)
