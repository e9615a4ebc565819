"""Lets one Kubernetes service account read one Blob store: a managed identity, federated with that account.

Owns the identity, its federation and its one grant. Refuses the nodes' identity as a way to the weights: a pod that
lacks its own is told so instead of quietly using everybody's (pain 15). One federated credential an identity, so
Azure's limit on changing several at a time is never met.
https://learn.microsoft.com/azure/aks/workload-identity-overview
"""

from __future__ import annotations

import pulumi
from pulumi_azure_native import managedidentity

from fleet.naming import physical
from infra.clouds.azure.cluster import AksCluster
from infra.clouds.azure.object_store import BlobStore
from infra.clouds.azure.roles import Role, grant
from infra.clouds.base import WorkloadIdentityArgs


class AksWorkloadIdentity(pulumi.ComponentResource):
    """A service account's identity with Storage Blob Data Reader on the store's container.

    Attributes:
        service_account_annotations: name the identity. pod_labels: make the webhook put its token into the pod.
    """

    service_account_annotations: pulumi.Output[dict[str, str]]
    pod_labels: dict[str, str]

    def __init__(
        self, name: str, args: WorkloadIdentityArgs[AksCluster, BlobStore], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:azure:AksWorkloadIdentity", name, None, opts)
        cluster = args.cluster
        identity = managedidentity.UserAssignedIdentity(
            name,
            resource_name_=physical(cluster.name, args.namespace, args.service_account, limit=128),
            resource_group_name=cluster.resource_group_name,
            location=cluster.region,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        managedidentity.FederatedIdentityCredential(
            name,
            federated_identity_credential_resource_name=physical(args.namespace, args.service_account, limit=120),
            resource_group_name=cluster.resource_group_name,
            resource_name_=identity.name,
            issuer=cluster.oidc_issuer_url,
            subject=f"system:serviceaccount:{args.namespace}:{args.service_account}",
            audiences=["api://AzureADTokenExchange"],
            opts=pulumi.ResourceOptions(parent=self),
        )
        grant(
            f"{name}-read",
            scope=args.store.container_id,
            principal_id=identity.principal_id,
            role=Role.BLOB_READER,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.service_account_annotations = identity.client_id.apply(
            lambda client: {"azure.workload.identity/client-id": client}
        )
        self.pod_labels = {"azure.workload.identity/use": "true"}
        self.register_outputs({"service_account_annotations": self.service_account_annotations, "pod_labels": self.pod_labels})
