"""The limits of the vendors' pages that their API models leave out: names, ranges, orders between properties.

Data alone. Each line follows the vendor's page named beside it, and holds for the named type and property and no other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sandbox.providers.validation.rule_kinds import Cidr, OneOf, Range, Rule, Text

# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_S3_BUCKET = Text(
    r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]",
    "3 to 63 lower-case letters, digits, dots and hyphens, beginning and ending with a letter or digit, no address",
    never=r"\.\.|^\d+\.\d+\.\d+\.\d+$|^xn--|^sthree-|-s3alias$|--ol-s3$",
)
# https://cloud.google.com/storage/docs/buckets#naming
_GCS_BUCKET = Text(
    r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]",
    "3 to 63 lower-case letters, digits, hyphens, underscores and dots, beginning and ending with a letter or digit, no 'goog'",
    never=r"^goog|google|\.\.|^\d+\.\d+\.\d+\.\d+$|^[^.]{64,}$",
)
_GKE_NAME = Text(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?", "1 to 40 lower-case letters, digits and hyphens, beginning with a letter")
# https://learn.microsoft.com/azure/aks/create-node-pools
_AKS_POOL = Text(r"[a-z][a-z0-9]{0,11}", "1 to 12 lower-case letters and digits, beginning with a letter (6 on Windows)")
# https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules
_RESOURCE_GROUP = Text(r"[\w.()-]{0,89}[\w()-]", "1 to 90 letters, digits, ._-(), not ending with a dot")
_VNET = Text(r"[A-Za-z0-9](?:[\w.-]{0,62}\w)?", "1 to 64 letters, digits, ._-, beginning with a letter or digit")
_SUBNET = Text(r"[A-Za-z0-9](?:[\w.-]{0,78}\w)?", "1 to 80 letters, digits, ._-, beginning with a letter or digit")
_STORAGE_CLASSES = OneOf(
    ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE", "MULTI_REGIONAL", "REGIONAL", "DURABLE_REDUCED_AVAILABILITY")
)
# https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html; 0 is for ever
_RETENTION = OneOf((0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653))
_IAM_MEMBER = Text(
    r"allUsers|allAuthenticatedUsers|(user|serviceAccount|group|domain|principal|principalSet|deleted|projectOwner|"
    r"projectEditor|projectViewer):.+",
    "a member is allUsers or begins with user:, serviceAccount:, group:, domain:, principal: or principalSet:",
)
_IAM_ROLE = Text(
    r"(projects/[^/]+/|organizations/[^/]+/)?roles/[\w.]+",
    "roles/NAME, projects/PROJECT/roles/NAME or organizations/ID/roles/NAME",
)
_GCP_REGION = Text(r"[a-z]+-[a-z]+\d+", "a region is like us-central1")
_GCP_PLACE = Text(r"[a-z]+-[a-z]+\d+(-[a-z])?", "a location is a region like us-central1 or a zone like us-central1-a")
_GCP_ZONE = Text(r"[a-z]+-[a-z]+\d+-(ai\d+)?[a-z]", "a zone is like us-central1-a")

RULES: Final[Mapping[str, Mapping[str, Rule]]] = {
    "aws:ec2/vpc:Vpc": {"cidrBlock": Cidr(16, 28)},
    "aws:ec2/subnet:Subnet": {"cidrBlock": Cidr(16, 28)},
    "aws:ec2/route:Route": {"destinationCidrBlock": Cidr(host_bits=True)},
    "aws:ec2/securityGroup:SecurityGroup": {
        "ingress[].cidrBlocks[]": Cidr(),
        "egress[].cidrBlocks[]": Cidr(),
        "ingress[].fromPort": Range(-1, 65535),
        "ingress[].toPort": Range(-1, 65535),
        "egress[].fromPort": Range(-1, 65535),
        "egress[].toPort": Range(-1, 65535),
    },
    "aws:ec2/securityGroupRule:SecurityGroupRule": {"type": OneOf(("ingress", "egress")), "cidrBlocks[]": Cidr()},
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": {"cidrIpv4": Cidr()},
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": {"cidrIpv4": Cidr()},
    # https://docs.aws.amazon.com/eks/latest/APIReference/API_KubernetesNetworkConfigRequest.html
    "aws:eks/cluster:Cluster": {
        "vpcConfig.publicAccessCidrs[]": Cidr(),
        "kubernetesNetworkConfig.serviceIpv4Cidr": Cidr(12, 24),
    },
    "aws:s3/bucket:Bucket": {"bucket": _S3_BUCKET},
    "aws:cloudwatch/logGroup:LogGroup": {"retentionInDays": _RETENTION},
    # https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html
    "aws:kms/key:Key": {"deletionWindowInDays": Range(7, 30), "rotationPeriodInDays": Range(90, 2560)},
    "aws:kms/alias:Alias": {"name": Text(r"alias/[a-zA-Z0-9/_-]+", "alias/NAME, NAME of letters, digits, /_-")},
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
    "aws:sqs/queue:Queue": {
        "delaySeconds": Range(0, 900),
        "maxMessageSize": Range(1024, 1048576),
        "messageRetentionSeconds": Range(60, 1209600),
        "receiveWaitTimeSeconds": Range(0, 20),
        "visibilityTimeoutSeconds": Range(0, 43200),
        "name": Text(r"[\w-]{1,80}|[\w-]{1,75}\.fifo", "1 to 80 letters, digits, _-; a FIFO queue ends with .fifo"),
    },
    # https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
    "aws:iam/role:Role": {
        "name": Text(r"[\w+=,.@-]{1,64}", "1 to 64 letters, digits, +=,.@_-"),
        "maxSessionDuration": Range(3600, 43200),
    },
    # GCP takes a block with host bits set and makes it canonical.
    "gcp:container/cluster:Cluster": {
        "name": _GKE_NAME,
        "location": _GCP_PLACE,
        "clusterIpv4Cidr": Cidr(bare=True, host_bits=True),
        "privateClusterConfig.masterIpv4CidrBlock": Cidr(28, 28, host_bits=True),
        "ipAllocationPolicy.clusterIpv4CidrBlock": Cidr(bare=True, host_bits=True),
        "ipAllocationPolicy.servicesIpv4CidrBlock": Cidr(bare=True, host_bits=True),
        "masterAuthorizedNetworksConfig.cidrBlocks[].cidrBlock": Cidr(host_bits=True),
    },
    "gcp:container/nodePool:NodePool": {
        "name": _GKE_NAME,
        "location": _GCP_PLACE,
        "nodeConfig.diskSizeGb": Range(10, 65536),
        "maxPodsPerNode": Range(8, 256),
    },
    "gcp:compute/subnetwork:Subnetwork": {
        "ipCidrRange": Cidr(4, 29, host_bits=True),
        "secondaryIpRanges[].ipCidrRange": Cidr(4, 29, host_bits=True),
        "region": _GCP_REGION,
    },
    "gcp:compute/network:Network": {"mtu": Range(1300, 8896)},
    "gcp:compute/router:Router": {"region": _GCP_REGION},
    "gcp:compute/routerNat:RouterNat": {"region": _GCP_REGION, "minPortsPerVm": Range(2, 65536)},
    "gcp:compute/firewall:Firewall": {
        "sourceRanges[]": Cidr(host_bits=True),
        "destinationRanges[]": Cidr(host_bits=True),
        "priority": Range(0, 65535),
    },
    "gcp:compute/instance:Instance": {"zone": _GCP_ZONE},
    "gcp:compute/disk:Disk": {"zone": _GCP_ZONE},
    "gcp:storage/bucket:Bucket": {
        "name": _GCS_BUCKET,
        "storageClass": _STORAGE_CLASSES,
        "publicAccessPrevention": OneOf(("inherited", "enforced")),
        "lifecycleRules[].action.type": OneOf(("Delete", "SetStorageClass", "AbortIncompleteMultipartUpload")),
        "lifecycleRules[].action.storageClass": _STORAGE_CLASSES,
        "softDeletePolicy.retentionDurationSeconds": Range(0, 7776000),
    },
    # https://cloud.google.com/iam/docs/service-accounts-create
    "gcp:serviceaccount/account:Account": {
        "accountId": Text(
            r"[a-z][a-z0-9-]{4,28}[a-z0-9]", "6 to 30 lower-case letters, digits and hyphens, beginning with a letter"
        )
    },
    "gcp:projects/iAMMember:IAMMember": {"member": _IAM_MEMBER, "role": _IAM_ROLE},
    "gcp:serviceaccount/iAMMember:IAMMember": {"member": _IAM_MEMBER, "role": _IAM_ROLE},
    "gcp:storage/bucketIAMMember:BucketIAMMember": {"member": _IAM_MEMBER, "role": _IAM_ROLE},
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": {"member": _IAM_MEMBER, "role": _IAM_ROLE},
    # https://cloud.google.com/pubsub/docs/reference/rest/v1/projects.subscriptions
    "gcp:pubsub/subscription:Subscription": {"ackDeadlineSeconds": Range(10, 600)},
    "gcp:kms/cryptoKey:CryptoKey": {"rotationPeriod": Text(r"\d+(\.\d{1,9})?s", "seconds with an s: 7776000s")},
    "azure-native:containerservice:ManagedCluster": {
        "resourceName": Text(r"[A-Za-z0-9]([\w-]{0,61}[A-Za-z0-9])?", "1 to 63 letters, digits, _-, none of these at the ends"),
        "agentPoolProfiles[].name": _AKS_POOL,
        "agentPoolProfiles[].count": Range(0, 1000),
        "agentPoolProfiles[].maxPods": Range(10, 250),
        "networkProfile.podCidr": Cidr(),
        "networkProfile.serviceCidr": Cidr(12, 32),
    },
    "azure-native:containerservice:AgentPool": {
        "agentPoolName": _AKS_POOL,
        "count": Range(0, 1000),
        "minCount": Range(0, 1000),
        "maxCount": Range(1, 1000),
        "maxPods": Range(10, 250),
        "spotMaxPrice": Range(-1, None),
    },
    "azure-native:storage:StorageAccount": {"accountName": Text(r"[a-z0-9]{3,24}", "3 to 24 lower-case letters and digits")},
    "azure-native:storage:BlobContainer": {
        "containerName": Text(
            r"\$root|\$web|\$logs|[a-z0-9]([a-z0-9-]{1,61}[a-z0-9])",
            "3 to 63 lower-case letters, digits and single hyphens",
            never="--",
        )
    },
    "azure-native:resources:ResourceGroup": {"resourceGroupName": _RESOURCE_GROUP},
    "azure-native:network:VirtualNetwork": {
        "virtualNetworkName": _VNET,
        "addressSpace.addressPrefixes[]": Cidr(2, 29),
        "subnets[].addressPrefix": Cidr(2, 29),
    },
    "azure-native:network:Subnet": {"subnetName": _SUBNET, "addressPrefix": Cidr(2, 29), "addressPrefixes[]": Cidr(2, 29)},
    "azure-native:network:SecurityRule": {"priority": Range(100, 4096)},
    "azure-native:network:NetworkSecurityGroup": {"securityRules[].priority": Range(100, 4096)},
    "azure-native:keyvault:Vault": {
        "vaultName": Text(
            r"[A-Za-z](?!.*--)[A-Za-z0-9-]{1,22}[A-Za-z0-9]",
            "3 to 24 letters, digits and single hyphens, beginning with a letter",
        ),
        "properties.softDeleteRetentionInDays": Range(7, 90),
    },
    "azure-native:containerregistry:Registry": {"registryName": Text(r"[A-Za-z0-9]{5,50}", "5 to 50 letters and digits")},
    "azure-native:operationalinsights:Workspace": {
        "workspaceName": Text(r"[A-Za-z0-9][A-Za-z0-9-]{2,61}[A-Za-z0-9]", "4 to 63 letters, digits and hyphens"),
        "retentionInDays": Range(7, 730),
    },
}

# Properties that must not fall along the list: each at most the next one given.
ORDERS: Final[Mapping[str, Sequence[tuple[str, ...]]]] = {
    "aws:eks/nodeGroup:NodeGroup": [
        ("scalingConfig.minSize", "scalingConfig.desiredSize", "scalingConfig.maxSize"),
    ],
    "aws:autoscaling/group:Group": [("minSize", "desiredCapacity", "maxSize")],
    "aws:ec2/securityGroup:SecurityGroup": [
        ("ingress[].fromPort", "ingress[].toPort"),
        ("egress[].fromPort", "egress[].toPort"),
    ],
    "gcp:container/nodePool:NodePool": [
        ("autoscaling.minNodeCount", "autoscaling.maxNodeCount"),
        ("autoscaling.totalMinNodeCount", "autoscaling.totalMaxNodeCount"),
    ],
    "gcp:container/cluster:Cluster": [
        ("nodePools[].autoscaling.minNodeCount", "nodePools[].autoscaling.maxNodeCount"),
        ("clusterAutoscaling.resourceLimits[].minimum", "clusterAutoscaling.resourceLimits[].maximum"),
    ],
    "gcp:cloudrunv2/service:Service": [("template.scaling.minInstanceCount", "template.scaling.maxInstanceCount")],
    "azure-native:containerservice:AgentPool": [("minCount", "count", "maxCount")],
    "azure-native:containerservice:ManagedCluster": [
        ("agentPoolProfiles[].minCount", "agentPoolProfiles[].count", "agentPoolProfiles[].maxCount"),
    ],
}
