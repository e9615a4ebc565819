"""A private Blob store for weights: one storage account with one container, `models`.

Owns account, container, versioning and the expiry of old versions. Refuses public blobs, shared keys, plain HTTP and
every network but the cluster's node subnets: weights are uploaded from inside, or through a rule of your own.
No hierarchical namespace: Blob versioning does not exist with it. The URL is `abfss://` all the same, because that is
what fsspec's adlfs opens, over the Blob API, with or without one.
https://learn.microsoft.com/azure/storage/blobs/versioning-overview
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import pulumi
from pulumi_azure_native import authorization, storage

from fleet.weights import WeightsFile
from infra.clouds.azure.network import AzureNetwork
from infra.clouds.base import ObjectStoreArgs

CONTAINER = "models"
UNDELETE_DAYS = 7


class BlobStore(pulumi.ComponentResource):
    """Attributes:
    url: `abfss://models@ACCOUNT.dfs.core.windows.net`.
    container_id: ARM id of the container, the scope of read grants.
    """

    url: pulumi.Output[str]
    account_name: pulumi.Output[str]
    container_id: pulumi.Output[str]

    def __init__(self, name: str, args: ObjectStoreArgs[AzureNetwork], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:azure:BlobStore", name, None, opts)
        group = args.network.resource_group_name
        kept = pulumi.ResourceOptions(parent=self, protect=args.protect)
        functions = [args.network.functions_subnet] if args.network.functions_subnet else []
        account = storage.StorageAccount(
            name,
            account_name=args.name,
            resource_group_name=group,
            location=args.region,
            kind="StorageV2",
            sku=storage.SkuArgs(name="Standard_ZRS"),
            enable_https_traffic_only=True,
            minimum_tls_version="TLS1_2",
            allow_blob_public_access=False,
            allow_shared_key_access=False,
            allow_cross_tenant_replication=False,
            default_to_o_auth_authentication=True,
            network_rule_set=storage.NetworkRuleSetArgs(
                default_action="Deny",
                bypass="None",
                virtual_network_rules=[
                    storage.VirtualNetworkRuleArgs(virtual_network_resource_id=subnet.id)
                    for subnet in (*args.network.subnets.values(), *functions)
                ],
                resource_access_rules=[_synapse(self, group)] if args.analysed else None,
            ),
            tags=args.tags,
            opts=kept,
        )
        undelete = storage.DeleteRetentionPolicyArgs(enabled=True, days=UNDELETE_DAYS)
        versioning = storage.BlobServiceProperties(
            name,
            account_name=account.name,
            resource_group_name=group,
            blob_services_name="default",
            is_versioning_enabled=args.versioned,
            delete_retention_policy=undelete,
            container_delete_retention_policy=undelete,
            opts=pulumi.ResourceOptions(parent=self),
        )
        # Also where versioning is off: it may have been on, and its versions cost until they expire.
        storage.ManagementPolicy(
            name,
            account_name=account.name,
            resource_group_name=group,
            management_policy_name="default",
            policy=storage.ManagementPolicySchemaArgs(
                rules=[
                    storage.ManagementPolicyRuleArgs(
                        name="expire-old-versions",
                        type="Lifecycle",
                        enabled=True,
                        definition=storage.ManagementPolicyDefinitionArgs(
                            filters=storage.ManagementPolicyFilterArgs(blob_types=["blockBlob"]),
                            actions=storage.ManagementPolicyActionArgs(
                                version=storage.ManagementPolicyVersionArgs(
                                    delete=storage.DateAfterCreationArgs(
                                        days_after_creation_greater_than=args.expire_noncurrent_days
                                    )
                                )
                            ),
                        ),
                    )
                ]
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        container = storage.BlobContainer(
            name,
            account_name=account.name,
            resource_group_name=group,
            container_name=CONTAINER,
            public_access=storage.PublicAccess.NONE,
            opts=kept,
        )
        self.account_name = account.name
        self.container_id = container.id
        self.url = account.primary_endpoints.dfs.apply(lambda endpoint: f"abfss://{CONTAINER}@{urlsplit(endpoint).netloc}")
        self.register_outputs({"url": self.url, "account_name": self.account_name, "container_id": self.container_id})

    def put(self, path: str, files: Sequence[WeightsFile]) -> list[pulumi.Resource]:
        """Nothing from here: blobs are put with the account's key, which it does not take, or from inside of the network.

        Raises:
            ValueError: there are files.
        """
        if files:
            raise ValueError(f"{path}: a store on Azure takes no files from here: put them there from inside of the network")
        return []


def _synapse(parent: pulumi.Resource, group: pulumi.Output[str]) -> storage.ResourceAccessRuleArgs:
    """Synapse workspaces of the cluster's resource group, which read by their own identity.

    https://learn.microsoft.com/azure/storage/common/storage-network-security-resource-instances
    """
    me = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=parent))
    where = pulumi.Output.format("/subscriptions/{0}/resourceGroups/{1}", me.subscription_id, group)
    every = pulumi.Output.concat(where, "/providers/Microsoft.Synapse/workspaces/*")
    return storage.ResourceAccessRuleArgs(tenant_id=me.tenant_id, resource_id=every)
