"""Rules about Azure: AKS, roles, networks, storage, Key Vault, registries."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.clouds import Cloud
from fleet.catalog.compatibility import kubernetes_minors
from policies.accel_policies.networks import anywhere, reaches_admin, span
from policies.accel_policies.rule import Found, FoundAt, Resource, Rules, Severity, Stack, Told
from policies.accel_policies.settings import Settings
from policies.accel_policies.values import View

rules = Rules("azure")
CRITICAL, HIGH, MEDIUM = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM

CLUSTER = "azure-native:containerservice:ManagedCluster"
AGENT_POOL = "azure-native:containerservice:AgentPool"
DIAGNOSTICS = "azure-native:monitor:DiagnosticSetting"
ASSIGNMENT = "azure-native:authorization:RoleAssignment"
FEDERATION = "azure-native:managedidentity:FederatedIdentityCredential"
GROUP = "azure-native:network:NetworkSecurityGroup"
GROUP_RULE = "azure-native:network:SecurityRule"
ACCOUNT = "azure-native:storage:StorageAccount"
CONTAINER = "azure-native:storage:BlobContainer"
BLOBS = "azure-native:storage:BlobServiceProperties"
VAULT = "azure-native:keyvault:Vault"
REGISTRY = "azure-native:containerregistry:Registry"

# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
_WIDE_ROLES = {
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "b24988ac-6180-42a0-ab88-20f7382dd24c": "Contributor",
    "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9": "User Access Administrator",
}


@rules.on(
    "azure-aks-api-open",
    CRITICAL,
    CLUSTER,
    mend="list your networks in apiServerAccessProfile.authorizedIPRanges, or set enablePrivateCluster",
    refs=("CIS AKS 5.4.1", "CKV_AZURE_6", "CKV_AZURE_115"),
)
def _api_open(it: View, _: Settings) -> Iterator[Found]:
    """The Kubernetes API answers named networks only.

    An API open to everybody makes any leaked token a way in, from anywhere.
    """
    if it("apiServerAccessProfile.enablePrivateCluster", False):
        return
    ranges = it("apiServerAccessProfile.authorizedIPRanges", ())
    if not len(ranges) or anywhere(ranges):
        yield "apiServerAccessProfile.authorizedIPRanges", anywhere(ranges)


rules.demand(
    "azure-aks-secrets-kms",
    HIGH,
    CLUSTER,
    "securityProfile.azureKeyVaultKms.enabled",
    lambda on: on is True,
    what="Kubernetes secrets are encrypted with a key of your own.",
    why="Without, whoever reads a backup of etcd reads every secret.",
    mend="set securityProfile.azureKeyVaultKms with your key",
    refs=("CIS AKS 5.3.1",),
    unset=False,
)
rules.demand(
    "azure-aks-local-accounts",
    HIGH,
    CLUSTER,
    "disableLocalAccounts",
    lambda off: off is True,
    what="Nobody enters but with an Entra identity.",
    why="The local admin's certificate lasts for years and belongs to nobody.",
    mend="set disableLocalAccounts: true",
    refs=("CIS AKS 5.5.1", "CKV_AZURE_141"),
    unset=False,
)


@rules.on(
    "azure-aks-entra-rights",
    HIGH,
    CLUSTER,
    mend="set aadProfile.managed and aadProfile.enableAzureRBAC",
    refs=("CIS AKS 5.5.1", "CKV_AZURE_5"),
)
def _entra(it: View, _: Settings) -> Iterator[Found]:
    """Who may do what in the cluster is said in Entra.

    Who leaves the company loses these rights with all others.
    """
    for path in ("aadProfile.managed", "aadProfile.enableAzureRBAC"):
        if not it(path, False):
            yield path, it(path)


@rules.on(
    "azure-aks-workload-identity",
    HIGH,
    CLUSTER,
    mend="set oidcIssuerProfile.enabled and securityProfile.workloadIdentity.enabled",
    refs=("CIS AKS 5.2.1",),
)
def _workload_identity(it: View, _: Settings) -> Iterator[Found]:
    """Pods get rights of their own, not those of their node.

    What a node may do every pod on it may do, the one that was broken into, too.
    """
    for path in ("oidcIssuerProfile.enabled", "securityProfile.workloadIdentity.enabled"):
        if not it(path, False):
            yield path, it(path)


rules.demand(
    "azure-aks-network-policy",
    HIGH,
    CLUSTER,
    "networkProfile.networkPolicy",
    lambda policy: policy not in (None, "none"),
    what="Network policies are enforced.",
    why="Else the API takes them, and nothing follows.",
    mend="set networkProfile.networkPolicy: cilium",
    refs=("CIS AKS 4.4.1", "CKV_AZURE_7"),
)
rules.demand(
    "azure-aks-version",
    HIGH,
    CLUSTER,
    "kubernetesVersion",
    lambda minor: minor is None or ".".join(str(minor).split(".")[:2]) in kubernetes_minors(Cloud.AZURE),
    what="Kubernetes is of a minor that AKS supports.",
    why="An old one gets no fixes.",
    mend="move to a minor of fleet/catalog/data/kubernetes.csv",
)
rules.demand(
    "azure-aks-upgrade-channel",
    MEDIUM,
    CLUSTER,
    "autoUpgradeProfile.upgradeChannel",
    lambda channel: channel in ("patch", "stable", "rapid", "node-image"),
    what="An upgrade channel brings fixes by itself.",
    why="A cluster that somebody must remember to patch is not patched.",
    mend="set autoUpgradeProfile.upgradeChannel: patch",
    refs=("CKV_AZURE_171",),
)
rules.demand(
    "azure-aks-paid-tier",
    MEDIUM,
    CLUSTER,
    "sku.tier",
    lambda tier: tier in ("Standard", "Premium"),
    what="In production the control plane has an uptime agreement.",
    why="The free tier has none, and is sized for a few nodes.",
    mend="set sku.tier: Standard",
    refs=("CKV_AZURE_170",),
    only="prod",
)


def _pools(one: Resource) -> list[View]:
    return [one.view] if one.type == AGENT_POOL else one.view.maps("agentPoolProfiles")


rules.demand(
    "azure-node-public-ip",
    HIGH,
    (CLUSTER, AGENT_POOL),
    "enableNodePublicIP",
    lambda public: not public,
    what="Nodes have no public address.",
    why="A node that the internet can reach is one forgotten rule away from being entered.",
    mend="leave enableNodePublicIP out",
    refs=("CIS AKS 5.4.3", "CKV_AZURE_143"),
    parts=_pools,
)


@rules.on(
    "azure-aks-audit-logs",
    MEDIUM,
    CLUSTER,
    mend="add monitor.DiagnosticSetting with kube-audit or kube-audit-admin",
    refs=("CIS AKS 2.1.1", "CKV_AZURE_4"),
    whole=True,
)
def _audit(stack: Stack, _: Settings) -> Iterator[FoundAt]:
    """The control plane's audit log is kept.

    Who did what after an intrusion stands there, or nowhere.
    """
    kept = [
        log
        for one in stack.of(DIAGNOSTICS)
        for log in one.view.maps("logs")
        if log("enabled", False)
        and (str(log("category")).startswith("kube-audit") or log("categoryGroup") in ("audit", "allLogs"))
    ]
    if not kept:
        for cluster in stack.of(CLUSTER):
            yield cluster, "diagnosticSettings", None


@rules.on(
    "azure-wide-role",
    CRITICAL,
    ASSIGNMENT,
    mend="give a narrower role, or the same on one resource group or resource",
    refs=("CIS Azure 1.23",),
)
def _wide(it: View, _: Settings) -> Iterator[Found]:
    """Nobody owns or administers a whole subscription, or more than one.

    Whoever gets at such an identity gets at everything in it.
    """
    role = _WIDE_ROLES.get(str(it("roleDefinitionId", "")).rpartition("/")[2])
    scope = str(it("scope", ""))
    if role and "/resourcegroups/" not in scope.lower():
        yield "roleDefinitionId", Told(f"{role} at {scope}")


rules.demand(
    "azure-oidc-trust-bound",
    CRITICAL,
    FEDERATION,
    "subject",
    lambda subject: bool(subject) and "*" not in subject,
    what="A federated identity names whose tokens it takes.",
    why="Without, any repository at the same forge, or any pod of the cluster, may take it.",
    mend="write the one service account, or repository and environment, in subject",
    refs=("learn.microsoft.com/entra/workload-id/workload-identity-federation",),
)


def _inbound(one: Resource) -> list[View]:
    return [one.view] if one.type == GROUP_RULE else one.view.maps("securityRules")


@rules.on(
    "azure-nsg-open",
    CRITICAL,
    (GROUP, GROUP_RULE),
    mend="name the networks in sourceAddressPrefixes",
    refs=("CIS Azure 6.1", "CIS Azure 6.2", "CKV_AZURE_9", "CKV_AZURE_10"),
    parts=_inbound,
)
def _open(it: View, _: Settings) -> Iterator[Found]:
    """No rule lets the whole internet at shells, desktops or everything.

    Such ports are tried within minutes of being opened.
    """
    if it("access") != "Allow" or it("direction") != "Inbound":
        return
    found = anywhere([it("sourceAddressPrefix"), *it("sourceAddressPrefixes", ())])
    ports = [it("destinationPortRange"), *it("destinationPortRanges", ())]
    if found and any(reaches_admin(*span(port)) for port in ports if port):
        yield it.at("sourceAddressPrefix"), found


rules.demand(
    "azure-storage-public",
    CRITICAL,
    ACCOUNT,
    "allowBlobPublicAccess",
    lambda public: public is False,
    what="No container of the account can be made public.",
    why="Weights are what the company trained for months.",
    mend="set allowBlobPublicAccess: false",
    refs=("CIS Azure 3.17", "CKV_AZURE_59", "CKV_AZURE_190"),
)
rules.demand(
    "azure-container-public",
    CRITICAL,
    CONTAINER,
    "publicAccess",
    lambda public: public in (None, "None"),
    what="No container is public.",
    why="Weights are what the company trained for months.",
    mend="set publicAccess: None",
    refs=("CIS Azure 3.17", "CKV_AZURE_34"),
)


@rules.on(
    "azure-storage-tls",
    HIGH,
    ACCOUNT,
    mend="set enableHttpsTrafficOnly: true and minimumTlsVersion: TLS1_2",
    refs=("CIS Azure 3.1", "CIS Azure 3.15", "CKV_AZURE_44"),
)
def _tls(it: View, _: Settings) -> Iterator[Found]:
    """The account refuses what is not encrypted on its way, or badly.

    A client that was misconfigured once sends keys and weights in clear.
    """
    if not it("enableHttpsTrafficOnly", True):
        yield "enableHttpsTrafficOnly", it("enableHttpsTrafficOnly")
    if it("minimumTlsVersion") not in ("TLS1_2", "TLS1_3"):
        yield "minimumTlsVersion", it("minimumTlsVersion")


rules.demand(
    "azure-storage-network",
    HIGH,
    ACCOUNT,
    "networkRuleSet.defaultAction",
    lambda action: action == "Deny",
    what="The account answers named networks only.",
    why="A leaked signature is else good from anywhere.",
    mend="set networkRuleSet.defaultAction: Deny and name the subnets",
    refs=("CIS Azure 3.8", "CKV_AZURE_35"),
)
rules.demand(
    "azure-storage-shared-key",
    MEDIUM,
    ACCOUNT,
    "allowSharedKeyAccess",
    lambda shared: shared is False,
    what="Storage is entered with an identity, not with the account's key.",
    why="The key is everything, belongs to nobody, and stands in somebody's script.",
    mend="set allowSharedKeyAccess: false",
    refs=("CKV2_AZURE_40",),
    unset=True,
)
rules.demand(
    "azure-storage-versioned",
    MEDIUM,
    BLOBS,
    "isVersioningEnabled",
    lambda on: on is True,
    what="Model stores keep replaced versions.",
    why="A wrong upload over good weights is undone by one command, or not at all.",
    mend="set isVersioningEnabled: true",
    refs=("CKV_AZURE_119",),
    unset=False,
)
rules.demand(
    "azure-storage-own-key",
    MEDIUM,
    ACCOUNT,
    "encryption.keySource",
    lambda source: source == "Microsoft.Keyvault",
    what="In production storage is encrypted with a key of your own.",
    why="Who may read is then said in two places, and taking the key away ends all of it.",
    mend="set encryption.keySource: Microsoft.Keyvault with your key, or waive it for weights that are public",
    refs=("CIS Azure 3.12", "CKV2_AZURE_1"),
    only="prod",
)
rules.demand(
    "azure-vault-purge",
    MEDIUM,
    VAULT,
    "properties.enablePurgeProtection",
    lambda on: on is True,
    what="In production a deleted key can be brought back.",
    why="Without the key everything that it encrypts is lost for good.",
    mend="set properties.enablePurgeProtection: true",
    refs=("CIS Azure 8.5", "CKV_AZURE_110"),
    unset=False,
    only="prod",
)
rules.demand(
    "azure-registry-admin",
    HIGH,
    REGISTRY,
    "adminUserEnabled",
    lambda on: not on,
    what="The registry has no shared login.",
    why="Its password belongs to nobody and pushes images that everybody runs.",
    mend="leave adminUserEnabled out; pull with the kubelet's identity",
    refs=("CKV_AZURE_137",),
)
