"""The id that a resource gets, where its inputs say it: what `pulumi import` takes, from the Import section of each
type's page in the Pulumi Registry. A type that is not here gets an id that only its cloud knows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_GCP_ACCOUNT = "projects/{project}/serviceAccounts/{accountId}@{project}.iam.gserviceaccount.com"
_GROUP = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}"
_NETWORK = f"{_GROUP}/providers/Microsoft.Network"
_STORAGE = f"{_GROUP}/providers/Microsoft.Storage/storageAccounts/{{accountName}}"
_IDENTITY = f"{_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{{resourceName}}"
_AKS = f"{_GROUP}/providers/Microsoft.ContainerService/managedClusters"

# What a preview shows for a value that is not known yet (sdk/go/common/resource/plugin/rpc.go of Pulumi).
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# `{a.b}` is a property inside an object; names are inputs first, then the provider's.
IDENTITIES: dict[str, str] = {
    "aws:autoscaling/schedule:Schedule": "{autoscalingGroupName}/{scheduledActionName}",
    "aws:autoscaling/tag:Tag": "{autoscalingGroupName},{tag.key}",
    "aws:cloudwatch/logGroup:LogGroup": "{name}",
    "aws:ec2/placementGroup:PlacementGroup": "{name}",
    "aws:ec2/route:Route": "{routeTableId}_{destinationCidrBlock}",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "{subnetId}/{routeTableId}",
    "aws:eks/accessEntry:AccessEntry": "{clusterName}:{principalArn}",
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": "{clusterName}#{principalArn}#{policyArn}",
    "aws:eks/addon:Addon": "{clusterName}:{addonName}",
    "aws:eks/cluster:Cluster": "{name}",
    "aws:eks/nodeGroup:NodeGroup": "{clusterName}:{nodeGroupName}",
    "aws:iam/role:Role": "{name}",
    "aws:iam/rolePolicy:RolePolicy": "{role}:{name}",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "{role}/{policyArn}",
    "aws:kms/alias:Alias": "{name}",
    "aws:s3/bucket:Bucket": "{bucket}",
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": "{bucket}",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": "{bucket}",
    "aws:s3/bucketPolicy:BucketPolicy": "{bucket}",
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": "{bucket}",
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": "{bucket}",
    "aws:s3/bucketVersioning:BucketVersioning": "{bucket}",
    "gcp:compute/network:Network": "projects/{project}/global/networks/{name}",
    "gcp:compute/router:Router": "projects/{project}/regions/{region}/routers/{name}",
    "gcp:compute/routerNat:RouterNat": "{project}/{region}/{router}/{name}",
    "gcp:compute/subnetwork:Subnetwork": "projects/{project}/regions/{region}/subnetworks/{name}",
    "gcp:container/cluster:Cluster": "projects/{project}/locations/{location}/clusters/{name}",
    "gcp:container/nodePool:NodePool": "{project}/{location}/{cluster}/{name}",
    "gcp:kms/cryptoKey:CryptoKey": "{keyRing}/cryptoKeys/{name}",
    "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember": "{cryptoKeyId} {role} {member}",
    "gcp:kms/keyRing:KeyRing": "projects/{project}/locations/{location}/keyRings/{name}",
    "gcp:projects/iAMMember:IAMMember": "{project} {role} {member}",
    "gcp:serviceaccount/account:Account": _GCP_ACCOUNT,
    "gcp:serviceaccount/iAMMember:IAMMember": "{serviceAccountId} {role} {member}",
    "gcp:storage/bucket:Bucket": "{name}",
    "gcp:storage/bucketIAMMember:BucketIAMMember": "b/{bucket} {role} {member}",
    "azure-native:authorization:RoleAssignment": (
        "{scope}/providers/Microsoft.Authorization/roleAssignments/{roleAssignmentName}"
    ),
    "azure-native:containerservice:AgentPool": f"{_AKS}/{{resourceName}}/agentPools/{{agentPoolName}}",
    "azure-native:containerservice:ManagedCluster": f"{_AKS}/{{resourceName}}",
    "azure-native:keyvault:Key": f"{_GROUP}/providers/Microsoft.KeyVault/vaults/{{vaultName}}/keys/{{keyName}}",
    "azure-native:keyvault:Vault": f"{_GROUP}/providers/Microsoft.KeyVault/vaults/{{vaultName}}",
    "azure-native:managedidentity:FederatedIdentityCredential": (
        f"{_IDENTITY}/federatedIdentityCredentials/{{federatedIdentityCredentialResourceName}}"
    ),
    "azure-native:managedidentity:UserAssignedIdentity": _IDENTITY,
    "azure-native:monitor:DiagnosticSetting": "{resourceUri}/providers/Microsoft.Insights/diagnosticSettings/{name}",
    "azure-native:network:NatGateway": f"{_NETWORK}/natGateways/{{natGatewayName}}",
    "azure-native:network:NetworkSecurityGroup": f"{_NETWORK}/networkSecurityGroups/{{networkSecurityGroupName}}",
    "azure-native:network:PublicIPAddress": f"{_NETWORK}/publicIPAddresses/{{publicIpAddressName}}",
    "azure-native:network:Subnet": f"{_NETWORK}/virtualNetworks/{{virtualNetworkName}}/subnets/{{subnetName}}",
    "azure-native:network:VirtualNetwork": f"{_NETWORK}/virtualNetworks/{{virtualNetworkName}}",
    "azure-native:operationalinsights:Workspace": (
        f"{_GROUP}/providers/Microsoft.OperationalInsights/workspaces/{{workspaceName}}"
    ),
    "azure-native:resources:ResourceGroup": _GROUP,
    "azure-native:storage:BlobContainer": f"{_STORAGE}/blobServices/default/containers/{{containerName}}",
    "azure-native:storage:BlobServiceProperties": f"{_STORAGE}/blobServices/{{blobServicesName}}",
    "azure-native:storage:ManagementPolicy": f"{_STORAGE}/managementPolicies/{{managementPolicyName}}",
    "azure-native:storage:StorageAccount": _STORAGE,
}


def identity(type_: str, inputs: Mapping[str, Any], provider: Mapping[str, Any]) -> str | None:
    """The resource's id; None where its type has no row, or an input that the id needs is not known yet."""
    template = IDENTITIES.get(_unversioned(type_))
    if template is None:
        return None
    parts = {name: _at(inputs, name) or _at(provider, name) for name in re.findall(r"{([\w.]+)}", template)}
    if not all(isinstance(part, str) and part and UNKNOWN not in part for part in parts.values()):
        return None
    return re.sub(r"{([\w.]+)}", lambda found: str(parts[found[1]]), template)


def _at(properties: Mapping[str, Any], path: str) -> Any:
    value: Any = properties
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _unversioned(type_: str) -> str:
    """`azure-native:network/v20240501:Subnet` -> `azure-native:network:Subnet`."""
    return re.sub(r"^(azure-native:\w+)/v\w+:", r"\1:", type_)
