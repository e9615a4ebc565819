"""AWS: one VPC, one EKS cluster and its pools, S3 stores and EKS Pod Identity. The only package that imports pulumi_aws."""

from fleet.catalog.clouds import SYSTEM_MACHINE, Cloud
from infra.clouds.aws.autoscaler import EksAutoscalerRole
from infra.clouds.aws.cluster import EksCluster
from infra.clouds.aws.identity import EksPodIdentity
from infra.clouds.aws.karpenter import EksKarpenter
from infra.clouds.aws.network import AwsNetwork
from infra.clouds.aws.node_pool import EksNodePool, EksSystemPool
from infra.clouds.aws.object_store import S3Store
from infra.clouds.aws.provider import provider
from infra.clouds.aws.queue_reader import EksQueueReader
from infra.clouds.base import Kit

KIT = Kit(
    config_namespace="aws",
    account_key=None,
    default_machine=SYSTEM_MACHINE[Cloud.AWS],
    provider=provider,
    network=AwsNetwork,
    cluster=EksCluster,
    system_pool=EksSystemPool,
    node_pool=EksNodePool,
    object_store=S3Store,
    workload_identity=EksPodIdentity,
    queue_reader=EksQueueReader,
    autoscaler=EksAutoscalerRole,
    provisioner=EksKarpenter,
)

__all__ = ["KIT", "AwsNetwork", "EksCluster", "EksNodePool", "EksPodIdentity", "EksSystemPool", "S3Store"]
