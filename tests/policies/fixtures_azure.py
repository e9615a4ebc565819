"""Fixtures of the rules about Azure."""

from __future__ import annotations

from typing import Any

from pulumi_azure_native import (
    authorization,
    containerregistry,
    containerservice,
    keyvault,
    managedidentity,
    monitor,
    network,
    storage,
)

from tests.policies.programs import DEV, GONE, Case, U, builder, case

ROLE = "/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/"
OWNER, CONTRIBUTOR = f"{ROLE}8e3af657-a8ff-443c-a75c-2fe8c4bcb635", f"{ROLE}b24988ac-6180-42a0-ab88-20f7382dd24c"
ACCESS, READER = f"{ROLE}18d7d88d-d35e-4fb5-a5c3-7773c20a72d9", f"{ROLE}acdd72a7-3385-48ef-bd42-f606fba81ae7"

aks = builder(
    containerservice.ManagedCluster,
    resource_group_name="g",
    kubernetes_version="1.35",
    api_server_access_profile={"authorized_ip_ranges": ["203.0.113.0/24"], "enable_private_cluster": False},
    security_profile={"azure_key_vault_kms": {"enabled": True}, "workload_identity": {"enabled": True}},
    oidc_issuer_profile={"enabled": True},
    disable_local_accounts=True,
    aad_profile={"managed": True, "enable_azure_rbac": True},
    network_profile={"network_policy": "cilium"},
    auto_upgrade_profile={"upgrade_channel": "patch"},
    sku={"name": "Base", "tier": "Standard"},
    agent_pool_profiles=[{"name": "system", "vm_size": "Standard_D4s_v5"}],
)
agent_pool = builder(containerservice.AgentPool, resource_group_name="g", resource_name_="c")
diagnostics = builder(monitor.DiagnosticSetting, resource_uri="/c", logs=[{"category": "kube-audit-admin", "enabled": True}])
assignment = builder(authorization.RoleAssignment, principal_id="p", role_definition_id=READER, scope="/subscriptions/s")
federation = builder(
    managedidentity.FederatedIdentityCredential,
    resource_group_name="g",
    resource_name_="i",
    issuer="https://t",
    subject="system:serviceaccount:models:chat",
    audiences=["api://AzureADTokenExchange"],
)
group = builder(network.NetworkSecurityGroup, resource_group_name="g")
group_rule = builder(network.SecurityRule, resource_group_name="g", network_security_group_name="n", priority=100)
account = builder(
    storage.StorageAccount,
    resource_group_name="g",
    kind="StorageV2",
    sku={"name": "Standard_ZRS"},
    allow_blob_public_access=False,
    allow_shared_key_access=False,
    enable_https_traffic_only=True,
    minimum_tls_version="TLS1_2",
    network_rule_set={"default_action": "Deny"},
    encryption={"key_source": "Microsoft.Keyvault"},
)
container = builder(storage.BlobContainer, resource_group_name="g", account_name="a")
blobs = builder(storage.BlobServiceProperties, resource_group_name="g", account_name="a", is_versioning_enabled=True)
vault = builder(
    keyvault.Vault,
    resource_group_name="g",
    properties={"tenant_id": "t", "sku": {"family": "A", "name": "standard"}, "enable_purge_protection": True},
)
registry = builder(containerregistry.Registry, resource_group_name="g", sku={"name": "Premium"})


def api(*ranges: Any, private: Any = False) -> dict[str, Any]:
    return {"api_server_access_profile": {"authorized_ip_ranges": list(ranges), "enable_private_cluster": private}}


def let_in(source: Any, *ports: Any, access: str = "Allow", direction: str = "Inbound") -> dict[str, Any]:
    where = {"source_address_prefix": source} if not isinstance(source, list) else {"source_address_prefixes": source}
    which = {"destination_port_range": ports[0]} if len(ports) == 1 else {"destination_port_ranges": list(ports)}
    return {"access": access, "direction": direction, "protocol": "*", **where, **which}


def rules(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"security_rules": [{"name": f"r{i}", "priority": 100 + i, **row} for i, row in enumerate(rows)]}


def audit(category: Any, enabled: Any = True, key: str = "category") -> tuple[Any, dict[str, Any]]:
    return diagnostics, {"logs": [{key: category, "enabled": enabled}]}


CASES: dict[str, Case] = {
    "azure-aks-api-open": case(
        aks,
        api("203.0.113.0/24", "0.0.0.0/0"),
        api("0.0.0.0/0", private=True),
        False,
        {"api_server_access_profile": {"authorized_ip_ranges": U}},
        (api(), True),
        ({"api_server_access_profile": GONE}, True),
        ({"api_server_access_profile": {"enable_private_cluster": U, "authorized_ip_ranges": []}}, False),
    ),
    "azure-aks-secrets-kms": case(
        aks,
        {"security_profile": {"azure_key_vault_kms": {"enabled": False}}},
        {"security_profile": GONE},
        True,
        {"security_profile": {"azure_key_vault_kms": {"enabled": U}}},
    ),
    "azure-aks-local-accounts": case(
        aks, {"disable_local_accounts": False}, {"disable_local_accounts": GONE}, True, {"disable_local_accounts": U}
    ),
    "azure-aks-entra-rights": case(
        aks,
        {"aad_profile": {"enable_azure_rbac": False}},
        {"aad_profile": GONE},
        True,
        {"aad_profile": {"managed": U}},
        ({"aad_profile": {"managed": False}}, True),
        ({"aad_profile": {"enable_azure_rbac": GONE}}, True),
    ),
    "azure-aks-workload-identity": case(
        aks,
        {"oidc_issuer_profile": {"enabled": False}},
        {"security_profile": GONE},
        True,
        {"oidc_issuer_profile": {"enabled": U}},
        ({"oidc_issuer_profile": GONE}, True),
        ({"security_profile": {"workload_identity": {"enabled": False}}}, True),
    ),
    "azure-aks-network-policy": case(
        aks,
        {"network_profile": GONE},
        {"network_profile": {"network_policy": "none"}},
        True,
        {"network_profile": {"network_policy": U}},
        ({"network_profile": {"network_policy": "calico"}}, False),
    ),
    "azure-aks-version": case(
        aks,
        {"kubernetes_version": "1.20"},
        {"kubernetes_version": "1.35.3"},
        False,
        {"kubernetes_version": U},
        ({"kubernetes_version": GONE}, False),
    ),
    "azure-aks-upgrade-channel": case(
        aks,
        {"auto_upgrade_profile": {"upgrade_channel": "none"}},
        {"auto_upgrade_profile": GONE},
        True,
        {"auto_upgrade_profile": {"upgrade_channel": U}},
        *[({"auto_upgrade_profile": {"upgrade_channel": word}}, False) for word in ("stable", "rapid", "node-image")],
    ),
    "azure-aks-paid-tier": case(
        aks,
        {"sku": {"tier": "Free"}},
        {"sku": GONE},
        True,
        {"sku": {"tier": U}},
        ({"sku": {"tier": "Premium"}}, False),
        ({"sku": {"tier": "Free"}}, False),
        others={"more-1": DEV},
    ),
    "azure-node-public-ip": case(
        agent_pool,
        {"enable_node_public_ip": True},
        {"enable_node_public_ip": False},
        False,
        {"enable_node_public_ip": U},
    ),
    "azure-aks-audit-logs": Case(
        good=[(aks, {}), (diagnostics, {})],
        bad=[(aks, {})],
        edge=([(aks, {}), audit("kube-audit", False)], True),
        unknown=[(aks, {}), audit("kube-audit", U)],
        more=(
            ([(aks, {}), audit("kube-apiserver")], True),
            ([(aks, {}), audit("audit", key="category_group")], False),
            ([(aks, {}), audit("allLogs", key="category_group")], False),
            ([(aks, {}), (diagnostics, {"logs": [{"category": "kube-audit"}]})], True),
        ),
    ),
    "azure-wide-role": case(
        assignment,
        {"role_definition_id": OWNER},
        {"role_definition_id": OWNER, "scope": "/subscriptions/s/resourceGroups/g"},
        False,
        {"role_definition_id": OWNER, "scope": U},
        ({"role_definition_id": CONTRIBUTOR}, True),
        ({"role_definition_id": ACCESS}, True),
        ({"role_definition_id": OWNER, "scope": "/"}, True),
        ({"role_definition_id": OWNER, "scope": "/providers/Microsoft.Management/managementGroups/all"}, True),
    ),
    "azure-oidc-trust-bound": case(
        federation,
        {"subject": "repo:o/*"},
        {"subject": ""},
        True,
        {"subject": U},
        ({"subject": "repo:o/r:environment:prod"}, False),
    ),
    "azure-nsg-open": case(
        group,
        rules(let_in("10.0.0.0/8", "22"), let_in("*", "22")),
        rules(let_in("*", "443")),
        False,
        rules(let_in(U, "22")),
        (rules(let_in("Internet", "3389")), True),
        (rules(let_in(["10.0.0.0/8", "0.0.0.0/0"], "*")), True),
        (rules(let_in("*", "80", "20-23")), True),
        (rules(let_in("*", "80", "443")), False),
        (rules(let_in("*", "22", access="Deny")), False),
        (rules(let_in("*", "22", direction="Outbound")), False),
        (rules(let_in(U, "22"), let_in("*", "22")), True),
        good=rules(let_in("10.0.0.0/8", "22")),
    ),
    "azure-storage-public": case(
        account,
        {"allow_blob_public_access": True},
        {"allow_blob_public_access": GONE},
        True,
        {"allow_blob_public_access": U},
    ),
    "azure-container-public": case(
        container,
        {"public_access": "Blob"},
        {"public_access": "None"},
        False,
        {"public_access": U},
        ({"public_access": "Container"}, True),
    ),
    "azure-storage-tls": case(
        account,
        {"minimum_tls_version": "TLS1_1"},
        {"minimum_tls_version": GONE},
        True,
        {"minimum_tls_version": U},
        ({"enable_https_traffic_only": False}, True),
        ({"enable_https_traffic_only": GONE, "minimum_tls_version": "TLS1_3"}, False),
        ({"minimum_tls_version": "TLS1_0"}, True),
    ),
    "azure-storage-network": case(
        account,
        {"network_rule_set": {"default_action": "Allow"}},
        {"network_rule_set": GONE},
        True,
        {"network_rule_set": {"default_action": U}},
    ),
    "azure-storage-shared-key": case(
        account, {"allow_shared_key_access": True}, {"allow_shared_key_access": GONE}, True, {"allow_shared_key_access": U}
    ),
    "azure-storage-versioned": case(
        blobs, {"is_versioning_enabled": False}, {"is_versioning_enabled": GONE}, True, {"is_versioning_enabled": U}
    ),
    "azure-storage-own-key": case(
        account,
        {"encryption": {"key_source": "Microsoft.Storage"}},
        {"encryption": GONE},
        True,
        {"encryption": {"key_source": U}},
        ({"encryption": GONE}, False),
        others={"more-0": DEV},
    ),
    "azure-vault-purge": case(
        vault,
        {"properties": {"enable_purge_protection": False}},
        {"properties": {"enable_purge_protection": GONE}},
        True,
        {"properties": {"enable_purge_protection": U}},
        ({"properties": {"enable_purge_protection": GONE}}, False),
        others={"more-0": DEV},
    ),
    "azure-registry-admin": case(
        registry, {"admin_user_enabled": True}, {"admin_user_enabled": False}, False, {"admin_user_enabled": U}
    ),
}
PROFILE = {"name": "system", "vm_size": "Standard_D4s_v5"}
MORE: dict[str, Case] = {
    "azure-node-public-ip": case(
        aks,
        {"agent_pool_profiles": [PROFILE, {**PROFILE, "enable_node_public_ip": True}]},
        {"agent_pool_profiles": [{**PROFILE, "enable_node_public_ip": False}]},
        False,
        {"agent_pool_profiles": [{**PROFILE, "enable_node_public_ip": U}]},
    ),
    "azure-nsg-open": case(
        group_rule,
        let_in("*", "22"),
        let_in("*", "23-3388"),
        False,
        let_in("*", U),
        good=let_in("10.0.0.0/8", "22"),
    ),
}
ALL = (CASES, MORE)
