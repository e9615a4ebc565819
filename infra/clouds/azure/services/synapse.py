"""A Synapse workspace: Entra only, in a managed network that data leaves by approved ways alone, with a lake of its own.

A workspace a service, so that each has an identity with rights on its own stores.
"""

from __future__ import annotations

from typing import Any

import pulumi
from pulumi_azure_native import storage, synapse

from fleet.naming import global_name, physical, storage_account
from infra.clouds.azure.network import AzureNetwork
from infra.clouds.azure.roles import Role, grant
from infra.clouds.azure.services.rights import on_stores
from infra.clouds.services import ServiceArgs

_FILES = "workspace"


def make_workspace(parent: pulumi.Resource, name: str, args: ServiceArgs[Any, AzureNetwork]) -> synapse.Workspace:
    """https://learn.microsoft.com/azure/synapse-analytics/security/synapse-workspace-managed-vnet"""
    group, child = args.network.resource_group_name, pulumi.ResourceOptions(parent=parent)
    kept = pulumi.ResourceOptions(parent=parent, protect=args.protect)
    lake = storage.StorageAccount(
        f"{name}-lake",
        account_name=storage_account(args.name, "lake"),
        resource_group_name=group,
        location=args.region,
        kind="StorageV2",
        is_hns_enabled=True,
        sku=storage.SkuArgs(name="Standard_ZRS"),
        enable_https_traffic_only=True,
        minimum_tls_version="TLS1_2",
        allow_blob_public_access=False,
        allow_shared_key_access=False,
        network_rule_set=storage.NetworkRuleSetArgs(default_action="Deny", bypass="AzureServices"),
        tags=args.tags,
        opts=kept,
    )
    files = storage.BlobContainer(
        f"{name}-files",
        account_name=lake.name,
        resource_group_name=group,
        container_name=_FILES,
        public_access=storage.PublicAccess.NONE,
        opts=child,
    )
    workspace = synapse.Workspace(
        f"{name}-workspace",
        # Unique in the world, as it is a host's name.
        workspace_name=global_name(args.name, limit=45),
        resource_group_name=group,
        location=args.region,
        identity=synapse.ManagedIdentityArgs(type="SystemAssigned"),
        azure_ad_only_authentication=True,
        public_network_access="Disabled",
        managed_virtual_network="default",
        managed_virtual_network_settings=synapse.ManagedVirtualNetworkSettingsArgs(prevent_data_exfiltration=True),
        managed_resource_group_name=physical(args.name, "synapse", limit=90),
        default_data_lake_storage=synapse.DataLakeStorageAccountDetailsArgs(
            account_url=lake.primary_endpoints.dfs,
            filesystem=_FILES,
            resource_id=lake.id,
            create_managed_private_endpoint=True,
        ),
        trusted_service_bypass_enabled=False,
        tags=args.tags,
        opts=kept,
    )
    who = workspace.identity.principal_id
    grant(f"{name}-files", scope=files.id, principal_id=who, role=Role.BLOB_CONTRIBUTOR, opts=child)
    on_stores(parent, name, args, who)
    return workspace
