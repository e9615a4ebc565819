"""What KEDA may do in Azure: a managed identity, federated with its operator, that sees the Service Bus queues of models.

Their length is an administrator's to ask, so the least built-in role that can is the queue's Data Owner.
https://keda.sh/docs/2.21/scalers/azure-service-bus/
"""

from __future__ import annotations

import pulumi
from pulumi_azure_native import authorization, managedidentity

from fleet.naming import physical
from infra.clouds.azure.cluster import AksCluster
from infra.clouds.azure.roles import Role, grant
from infra.clouds.base import QueueReaderArgs


class AksQueueReader(pulumi.ComponentResource):
    """The identity of KEDA's operator.

    Attributes:
        chart_values: of KEDA's chart, which name the identity.
    """

    chart_values: pulumi.Output[dict[str, object]]

    def __init__(self, name: str, args: QueueReaderArgs[AksCluster], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:azure:AksQueueReader", name, None, opts)
        cluster, child = args.cluster, pulumi.ResourceOptions(parent=self)
        identity = managedidentity.UserAssignedIdentity(
            name,
            resource_name_=physical(cluster.name, args.namespace, args.service_account, limit=128),
            resource_group_name=cluster.resource_group_name,
            location=cluster.region,
            tags=args.tags,
            opts=child,
        )
        managedidentity.FederatedIdentityCredential(
            name,
            federated_identity_credential_resource_name=physical(args.namespace, args.service_account, limit=120),
            resource_group_name=cluster.resource_group_name,
            resource_name_=identity.name,
            issuer=cluster.oidc_issuer_url,
            subject=f"system:serviceaccount:{args.namespace}:{args.service_account}",
            audiences=["api://AzureADTokenExchange"],
            opts=child,
        )
        for number, address in enumerate(args.addresses):
            scope = pulumi.Output.from_input(address)
            grant(f"{name}-{number}", scope=scope, principal_id=identity.principal_id, role=Role.QUEUE_OWNER, opts=child)
        tenant = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=self)).tenant_id
        self.chart_values = pulumi.Output.all(identity.client_id, tenant).apply(_chart_values)
        self.register_outputs({"chartValues": self.chart_values})


def _chart_values(ids: list[str]) -> dict[str, object]:
    client, tenant = ids
    return {"podIdentity": {"azureWorkload": {"enabled": True, "clientId": client, "tenantId": tenant}}}
