"""Azure Machine Learning's workspace: one a cluster, closed to the internet, with a private way to each store it reads.

Made by the first training or endpoint that needs it; nothing in it has a key.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

import pulumi
from pulumi_azure_native import applicationinsights, authorization, keyvault, storage
from pulumi_azure_native import machinelearningservices as ml

from fleet.naming import global_name, physical, storage_account
from infra.clouds.azure.network import AzureNetwork
from infra.clouds.azure.roles import Role, grant
from infra.clouds.azure.services.function import log_workspace
from infra.clouds.azure.services.rights import account_id
from infra.clouds.services import ServiceArgs


def workspace(args: ServiceArgs[Any, AzureNetwork]) -> ml.Workspace:
    """The cluster's workspace, with the account, vault and insights that every workspace must have.

    https://learn.microsoft.com/azure/machine-learning/how-to-managed-network
    """

    def make() -> ml.Workspace:
        shared, group = args.shared, args.network.resource_group_name
        common = {"resource_group_name": group, "location": args.region, "tags": args.tags, "opts": shared.opts}
        me = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=shared.opts.parent))
        account = storage.StorageAccount(
            f"{shared.name}-ml",
            account_name=storage_account(shared.physical_name, "ml"),
            kind="StorageV2",
            sku=storage.SkuArgs(name="Standard_ZRS"),
            enable_https_traffic_only=True,
            minimum_tls_version="TLS1_2",
            allow_blob_public_access=False,
            allow_shared_key_access=False,
            network_rule_set=storage.NetworkRuleSetArgs(default_action="Deny", bypass="AzureServices"),
            **common,
        )
        vault = keyvault.Vault(
            f"{shared.name}-ml",
            vault_name=me.subscription_id.apply(lambda mine: global_name("ml", shared.physical_name, mine, limit=24)),
            properties=keyvault.VaultPropertiesArgs(
                tenant_id=me.tenant_id,
                sku=keyvault.SkuArgs(family="A", name=keyvault.SkuName.STANDARD),
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                soft_delete_retention_in_days=7,
                network_acls=keyvault.NetworkRuleSetArgs(default_action="Deny", bypass="AzureServices"),
            ),
            **common,
        )
        logs = log_workspace(f"{shared.name}-ml", f"{shared.physical_name}-ml", 30, args, shared.opts)
        insights = applicationinsights.Component(
            f"{shared.name}-ml",
            resource_name_=f"{shared.physical_name}-ml",
            kind="web",
            application_type="web",
            workspace_resource_id=logs.id,
            disable_local_auth=True,
            **common,
        )
        return ml.Workspace(
            f"{shared.name}-ml",
            workspace_name=physical(shared.physical_name, "ml", limit=33),
            sku=ml.SkuArgs(name="Basic", tier="Basic"),
            identity=ml.ManagedServiceIdentityArgs(type="SystemAssigned"),
            storage_account=account.id,
            key_vault=vault.id,
            application_insights=insights.id,
            system_datastores_auth_mode="Identity",
            public_network_access="Disabled",
            managed_network=ml.ManagedNetworkSettingsArgs(isolation_mode="AllowInternetOutbound"),
            v1_legacy_mode=False,
            **common,
        )

    made: ml.Workspace = args.shared.once("ml", make)
    return made


def reaches(args: ServiceArgs[Any, AzureNetwork], keys: Iterable[str]) -> list[pulumi.Resource]:
    """A private way from the workspace's network to each store, and a datastore of its name without a key."""
    return [args.shared.once(f"ml/{key}", partial(_datastore, args, key)) for key in dict.fromkeys(keys)]


def _datastore(args: ServiceArgs[Any, AzureNetwork], key: str) -> ml.Datastore:
    shared, store, own = args.shared, args.stores[key], workspace(args)
    group, opts = args.network.resource_group_name, args.shared.opts
    approves = grant(
        f"{shared.name}-ml-{key}",
        scope=account_id(store),
        principal_id=own.identity.principal_id,
        role=Role.NETWORK_APPROVER,
        opts=opts,
    )
    ml.ManagedNetworkSettingsRule(
        f"{shared.name}-ml-{key}",
        rule_name=key,
        workspace_name=own.name,
        resource_group_name=group,
        properties=ml.PrivateEndpointOutboundRuleArgs(
            type="PrivateEndpoint",
            category="UserDefined",
            destination=ml.PrivateEndpointDestinationArgs(
                service_resource_id=account_id(store), subresource_target="blob", spark_enabled=False
            ),
        ),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[approves])),
    )
    return ml.Datastore(
        f"{shared.name}-ml-{key}",
        name=key.replace("-", "_"),
        workspace_name=own.name,
        resource_group_name=group,
        properties=ml.AzureBlobDatastoreArgs(
            datastore_type="AzureBlob",
            account_name=store.account_name,
            container_name=store.container_id.apply(lambda container: str(container).rpartition("/")[2]),
            credentials=ml.NoneDatastoreCredentialsArgs(credentials_type="None"),
            service_data_access_auth_identity="WorkspaceUserAssignedIdentity",
        ),
        opts=opts,
    )


def at(key: str, path: str = "") -> str:
    return f"azureml://datastores/{key.replace('-', '_')}/paths/{path.strip('/')}"
