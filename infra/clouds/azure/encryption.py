"""The key that encrypts a cluster's secrets in etcd: a Key Vault, a key, and the cluster identity's right to use it.

Owns the vault for as long as the cluster lives: AKS cannot read its secrets without. Refuses access policies and
everybody but the cluster's identity. The vault stays public because AKS's KMS plugin passes no vault firewall; only
a private API server integrated into the VNet could, and access is by Entra role either way.

A deleted vault's name stays taken for its retention (pain 19). It is 7 days here, not the default of 90, and only a
protected cluster forbids an earlier purge. To bring an unprotected cluster up again under the same name sooner:
`az keyvault purge --name NAME`. `create_mode="recover"` is no way out: it fails when there is nothing to recover.
https://learn.microsoft.com/azure/aks/use-kms-etcd-encryption
"""

from __future__ import annotations

import pulumi
from pulumi_azure_native import authorization, keyvault

from fleet.naming import global_name
from infra.clouds.azure.roles import Role, grant

RETENTION_DAYS = 7  # Azure's minimum; cannot be changed afterwards, so it does not follow `protect`


class EtcdKey(pulumi.ComponentResource):
    """Attributes:
    key_id: the key's versioned URI, as AKS asks for it.
    granted: what the cluster has to wait for.
    """

    key_id: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        cluster: str,
        region: str,
        resource_group_name: pulumi.Output[str],
        principal_id: pulumi.Output[str],
        protect: bool,
        tags: dict[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("accelfleet:azure:EtcdKey", name, None, opts)
        account = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=self))
        vault = keyvault.Vault(
            name,
            # Unique in the world: two forks of this repository may well have a cluster of the same name.
            vault_name=account.subscription_id.apply(lambda subscription: global_name("kv", cluster, subscription, limit=24)),
            resource_group_name=resource_group_name,
            location=region,
            properties=keyvault.VaultPropertiesArgs(
                tenant_id=account.tenant_id,
                sku=keyvault.SkuArgs(family="A", name=keyvault.SkuName.STANDARD),
                enable_rbac_authorization=True,
                enable_soft_delete=True,
                soft_delete_retention_in_days=RETENTION_DAYS,
                enable_purge_protection=True if protect else None,  # Azure accepts no False
                public_network_access="Enabled",
            ),
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self, protect=protect),
        )
        key = keyvault.Key(
            name,
            key_name="etcd",
            vault_name=vault.name,
            resource_group_name=resource_group_name,
            properties=keyvault.KeyPropertiesArgs(
                kty="RSA", key_size=3072, key_ops=["encrypt", "decrypt", "wrapKey", "unwrapKey"]
            ),
            tags=tags,
            # The vault takes its keys along. Deleting one by itself is a data-plane call that we hold no role for.
            opts=pulumi.ResourceOptions(parent=self, protect=protect, deleted_with=vault),
        )
        self.granted = grant(
            f"{name}-use",
            scope=vault.id,
            principal_id=principal_id,
            role=Role.CRYPTO_USER,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.key_id = key.key_uri_with_version
        self.register_outputs({"key_id": self.key_id})
