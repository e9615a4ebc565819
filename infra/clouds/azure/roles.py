"""Built-in Azure roles and grants of them. Refuses custom roles: a grant is a scope, a principal and a known role.

Ids are Azure's, the same in every tenant:
https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
"""

from __future__ import annotations

import uuid
from enum import Enum

import pulumi
from pulumi_azure_native import authorization


class Role(Enum):
    AKS_CLUSTER_ADMIN = "b1ff04bb-8a4e-4dc4-8eb5-8693973ce19b"  # Azure Kubernetes Service RBAC Cluster Admin
    AML_DATA_SCIENTIST = "f6c7c914-8db3-469d-8ca1-694a8f32e121"  # AzureML Data Scientist
    BLOB_CONTRIBUTOR = "ba92f5b4-2d11-453d-a403-e96b0029c9fe"  # Storage Blob Data Contributor
    BLOB_READER = "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"  # Storage Blob Data Reader
    CRYPTO_USER = "12338af0-0e69-4776-bea7-57ae8d297424"  # Key Vault Crypto User
    JOBS_OPERATOR = "b9a307c4-5aa3-4b52-ba60-2b17c136cd7b"  # Container Apps Jobs Operator
    NETWORK_APPROVER = "b556d68e-0be0-4f35-a333-ad7ee1ce17ea"  # Azure AI Enterprise Network Connection Approver
    NETWORK_CONTRIBUTOR = "4d97b98b-1d4f-4787-a291-c67834d212e7"  # Network Contributor
    QUEUE_OWNER = "090c5cfd-751d-490a-894a-3ce6f1109419"  # Azure Service Bus Data Owner
    QUEUE_RECEIVER = "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0"  # Azure Service Bus Data Receiver
    QUEUE_SENDER = "69a216fc-b8fb-44d8-bc22-1f3c2cd27a39"  # Azure Service Bus Data Sender


def assignment_name(scope: str, principal_id: str, role: Role) -> str:
    """The GUID that names a grant: the same grant always has the same, another never."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{scope.lower()}|{principal_id}|{role.value}"))


def grant(
    name: str,
    *,
    scope: pulumi.Output[str],
    principal_id: pulumi.Output[str],
    role: Role,
    opts: pulumi.ResourceOptions,
    principal_type: str | None = "ServicePrincipal",
) -> authorization.RoleAssignment:
    """Give `principal_id` the role at `scope`.

    Args:
        principal_type: of a managed identity made a moment ago Entra may not know yet; naming the type skips the
            look-up that would fail. None lets Azure look, for a principal that may be a person or a pipeline.
    """
    subscription = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=opts.parent)).subscription_id
    return authorization.RoleAssignment(
        name,
        role_assignment_name=pulumi.Output.all(scope, principal_id).apply(lambda ids: assignment_name(ids[0], ids[1], role)),
        scope=scope,
        principal_id=principal_id,
        # The SDK makes a bare None "User", which Azure refuses for a pipeline (UnmatchedPrincipalType).
        principal_type=pulumi.Output.from_input(principal_type),
        role_definition_id=pulumi.Output.concat(
            "/subscriptions/", subscription, "/providers/Microsoft.Authorization/roleDefinitions/", role.value
        ),
        opts=opts,
    )
