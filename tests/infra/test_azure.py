"""The Azure components: what each asks Azure for, and the pains they were written against."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime.mocks import MockCallArgs

from fleet import naming
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, machines
from fleet.contract import AcceleratorPool
from fleet.spec import ApiSpec
from fleet.spec_network import Nat
from infra.clouds.azure import KIT
from infra.clouds.azure.cluster import authorized_ranges
from infra.clouds.azure.kubeconfig import with_azure_cli_login
from infra.clouds.azure.network import DNS_SERVICE_IP, POD_CIDR, SERVICE_CIDR, node_ranges
from infra.clouds.azure.roles import Role, assignment_name
from infra.clouds.base import (
    ClusterArgs,
    NetworkArgs,
    NodePoolArgs,
    ObjectStoreArgs,
    ProviderArgs,
    WorkloadIdentityArgs,
)
from tests import mocked_engine
from tests.mocked_engine import Recorder, Resource

REGION = "swedencentral"
TAGS = naming.tags(stack="prod-azure", environment="prod", owner="ml", cluster="main")
SPOT_TAINT = "kubernetes.azure.com/scalesetpriority=spot:NoSchedule"
GPU_MACHINES = [m for m in machines() if m.cloud is Cloud.AZURE and m.accelerator]

NSG = "azure-native:network:NetworkSecurityGroup"
SUBNET = "azure-native:network:Subnet"
NAT = "azure-native:network:NatGateway"
ADDRESS = "azure-native:network:PublicIPAddress"
VNET = "azure-native:network:VirtualNetwork"
CLUSTER = "azure-native:containerservice:ManagedCluster"
POOL = "azure-native:containerservice:AgentPool"
ASSIGNMENT = "azure-native:authorization:RoleAssignment"
IDENTITY = "azure-native:managedidentity:UserAssignedIdentity"
FEDERATED = "azure-native:managedidentity:FederatedIdentityCredential"
VAULT = "azure-native:keyvault:Vault"
KEY = "azure-native:keyvault:Key"
ACCOUNT = "azure-native:storage:StorageAccount"

Deploy = Callable[..., Recorder]


@pytest.fixture(scope="module", autouse=True)
def computed_by_azure() -> Iterator[None]:
    """What the mocked engine leaves out of Azure's answers: an address, a key's URI, and identities as Azure lists them."""
    answers = mocked_engine._computed

    def computed(type_: str, name: str, inputs: dict[str, Any]) -> dict[str, Any]:
        extra: dict[str, dict[str, Any]] = {
            ADDRESS: {"ipAddress": "203.0.113.7"},
            KEY: {"keyUriWithVersion": "https://vault.test/keys/etcd/0123"},
            # ARM takes a list of ids and answers a map of them.
            CLUSTER: {"identity": {"type": "UserAssigned", "userAssignedIdentities": {"main-id": {"clientId": "main-client"}}}},
        }
        return answers(type_, name, inputs) | extra.get(type_, {})

    called = mocked_engine._Cloud.call

    def call(self: mocked_engine._Cloud, args: MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]]]:
        answer, failures = called(self, args)
        return answer, failures or []  # Pulumi's mocks iterate over the failures

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mocked_engine, "_computed", computed)
        patch.setattr(mocked_engine._Cloud, "call", call)
        yield


@pytest.fixture(scope="module")
def usual(computed_by_azure: None) -> Recorder:
    """The program with nothing varied; a run takes half a second, so the tests that only look at it share one."""
    return mocked_engine.deploy(World())


@dataclass(frozen=True, kw_only=True)
class World:
    """A program with everything in it; each test varies what it is about."""

    nat: Nat = Nat.SINGLE
    api: ApiSpec = field(default_factory=ApiSpec)
    admins: tuple[str, ...] = ("entra-group",)
    protect: bool = False
    pool: AcceleratorPool | None = None
    versioned: bool = True
    cidr: str = "10.0.0.0/16"
    name: str = "prod-azure-main"

    def __call__(self) -> None:
        provider = KIT.provider("main-azure", ProviderArgs(region=REGION, account="sub", tags=TAGS), pulumi.ResourceOptions())
        opts = pulumi.ResourceOptions(providers=[provider])
        network = KIT.network(
            "main",
            NetworkArgs(name=self.name, region=REGION, cidr=self.cidr, zones=("1", "2", "3"), nat=self.nat, tags=TAGS),
            opts,
        )
        cluster = KIT.cluster(
            "main",
            ClusterArgs(
                name=self.name,
                region=REGION,
                kubernetes="1.34",
                api=self.api,
                admins=self.admins,
                protect=self.protect,
                tags=TAGS,
                network=network,
                system_machine="Standard_D4s_v5",
                system_nodes=(1, 3),
            ),
            opts,
        )
        KIT.node_pool("main-gpu", NodePoolArgs(cluster=cluster, pool=self.pool or gpu_pool(), tags=TAGS), opts)
        store = KIT.object_store(
            "main-weights",
            ObjectStoreArgs(
                name=KIT.store_name("prod-azure", "main", "weights"),
                region=REGION,
                network=network,
                versioned=self.versioned,
                expire_noncurrent_days=30,
                protect=self.protect,
                tags=TAGS,
            ),
            opts,
        )
        identity = KIT.workload_identity(
            "main-llama",
            WorkloadIdentityArgs(cluster=cluster, namespace="models", service_account="llama", store=store, tags=TAGS),
            opts,
        )
        pulumi.export("kubeconfig", cluster.kubeconfig)
        pulumi.export("endpoint", cluster.endpoint)
        pulumi.export("url", store.url)
        pulumi.export("annotations", identity.service_account_annotations)
        pulumi.export("podLabels", identity.pod_labels)


def gpu_pool(machine: Machine = GPU_MACHINES[0], *, spot: bool = False, **changes: Any) -> AcceleratorPool:
    facts: dict[str, Any] = {
        "name": "gpu-big",
        "physical_name": KIT.pool_name("gpu-big"),
        "cloud": Cloud.AZURE,
        "region": REGION,
        "machine": machine,
        "spot": spot,
        "min_nodes": 0,
        "max_nodes": 4,
        "start_nodes": 1,
        "zones": ("2",),
        "disk_gib": 200,
        "extra_labels": {"team": "ml"},
    }
    return AcceleratorPool(**(facts | changes))


def grants(recorder: Recorder) -> dict[str, tuple[str, str]]:
    """Role assignments by resource name: scope and the role's GUID."""
    return {
        name: (inputs["scope"], inputs["roleDefinitionId"].rsplit("/", 1)[-1])
        for name, inputs in recorder.of(ASSIGNMENT).items()
    }


# --- pools ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spot", [False, True], ids=["on-demand", "spot"])
@pytest.mark.parametrize("machine", GPU_MACHINES, ids=lambda m: m.name)
def test_pool_is_what_the_contract_says(deploy: Deploy, machine: Machine, spot: bool) -> None:
    pool = gpu_pool(machine, spot=spot)
    made = deploy(World(pool=pool)).one(POOL).inputs
    assert made["vmSize"] == machine.name
    assert made["nodeLabels"] == pool.node_labels
    assert made["nodeTaints"] == ["nvidia.com/gpu=present:NoSchedule"]
    assert (made["minCount"], made["maxCount"], made["count"]) == (0, 4, 1)
    assert made["enableAutoScaling"] is True
    assert made["gpuProfile"] == {"driver": "Install"}
    assert made["mode"] == "User"
    assert made["osDiskSizeGB"] == 200
    assert made["availabilityZones"] == ["2"]
    assert made["scaleDownMode"] == "Delete"
    assert made["tags"] == TAGS


@pytest.mark.parametrize("spot", [False, True], ids=["on-demand", "spot"])
def test_pain_02_pods_tolerate_every_taint_on_the_node(deploy: Deploy, spot: bool) -> None:
    pool = gpu_pool(spot=spot)
    made = deploy(World(pool=pool)).one(POOL).inputs
    by_azure = [SPOT_TAINT] if spot else []
    tolerated = {f"{t['key']}={t['value']}:{t['effect']}" for t in pool.placement(1).tolerations}
    assert {*made["nodeTaints"], *by_azure} == tolerated
    assert pool.placement(1).node_selector.items() <= made["nodeLabels"].items()


def test_spot_pool_repeats_nothing_that_aks_adds(deploy: Deploy) -> None:
    made = deploy(World(pool=gpu_pool(spot=True))).one(POOL)
    assert SPOT_TAINT not in made.inputs["nodeTaints"]
    assert "kubernetes.azure.com/scalesetpriority" not in made.inputs["nodeLabels"]
    assert made.inputs["scaleSetPriority"] == "Spot"
    assert made.inputs["scaleSetEvictionPolicy"] == "Delete"
    assert made.inputs["spotMaxPrice"] == -1
    assert set(made.ignore_changes) == {"count", "nodeTaints", 'nodeLabels["kubernetes.azure.com/scalesetpriority"]'}


def test_on_demand_pool_says_nothing_of_spot(usual: Recorder) -> None:
    made = usual.one(POOL).inputs
    assert made["scaleSetPriority"] == "Regular"
    assert not {"scaleSetEvictionPolicy", "spotMaxPrice"} & made.keys()


def test_pain_11_the_autoscaler_owns_sizes_and_nothing_else(usual: Recorder) -> None:
    assert usual.one(POOL).ignore_changes == ("count",)
    assert usual.one(CLUSTER).ignore_changes == ("agentPoolProfiles[0].count",)


def test_pain_18_pools_never_inline(usual: Recorder) -> None:
    inline = usual.one(CLUSTER).inputs["agentPoolProfiles"]
    assert [(p["name"], p["mode"], p["vmSize"]) for p in inline] == [("system", "System", "Standard_D4s_v5")]
    assert usual.one(POOL).inputs["agentPoolName"] == "gpubig"


def test_system_pool_takes_any_pod(usual: Recorder) -> None:
    (system,) = usual.one(CLUSTER).inputs["agentPoolProfiles"]
    assert "nodeTaints" not in system
    assert (system["minCount"], system["maxCount"], system["count"]) == (1, 3, 1)
    assert system["enableAutoScaling"] is True


def test_pain_20_upgrades_ask_for_no_more_accelerators(usual: Recorder) -> None:
    assert usual.one(POOL).inputs["upgradeSettings"] == {"maxSurge": "0", "maxUnavailable": "1"}
    assert usual.one(POOL).inputs["orchestratorVersion"] == usual.one(CLUSTER).inputs["kubernetesVersion"] == "1.34"


def test_spot_pool_sets_no_surge_because_aks_refuses_it(deploy: Deploy) -> None:
    assert "upgradeSettings" not in deploy(World(pool=gpu_pool(spot=True))).one(POOL).inputs


def test_pool_refuses_a_disk_that_aks_has_not(deploy: Deploy) -> None:
    assert deploy(World(pool=gpu_pool(disk_gib=2048))).one(POOL).inputs["osDiskSizeGB"] == 2048
    with pytest.raises(ValueError, match=r"pool gpu-big: a boot disk of 2049 GiB.*set disk_gib to 2048"):
        deploy(World(pool=gpu_pool(disk_gib=2049)))


# --- network -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("nat", list(Nat))
def test_pain_14_storage_service_endpoint_always(deploy: Deploy, nat: Nat) -> None:
    recorder = deploy(World(nat=nat, api=ApiSpec(private=True)))
    subnets = recorder.of(SUBNET)
    assert subnets
    for subnet in subnets.values():
        assert subnet["serviceEndpoints"] == [{"service": "Microsoft.Storage"}]
    allowed = recorder.one(ACCOUNT).inputs["networkRuleSet"]["virtualNetworkRules"]
    assert [rule["virtualNetworkResourceId"] for rule in allowed] == [f"{name}-id" for name in subnets]


@pytest.mark.parametrize(
    ("nat", "zones", "outbound"),
    [
        (Nat.NONE, [], "none"),
        (Nat.SINGLE, ["1"], "userAssignedNATGateway"),
        (Nat.PER_ZONE, ["1", "2", "3"], "userAssignedNATGateway"),
    ],
)
def test_ways_out(deploy: Deploy, nat: Nat, zones: list[str], outbound: str) -> None:
    recorder = deploy(World(nat=nat, api=ApiSpec(private=True)))
    assert sorted(gateway["zones"] for gateway in recorder.of(NAT).values()) == [[zone] for zone in zones]
    assert sorted(address["zones"] for address in recorder.of(ADDRESS).values()) == [[zone] for zone in zones]
    gateways = [{"id": f"main-nat-{zone}-id"} for zone in zones] or [None]
    assert [s.get("natGateway") for s in recorder.of(SUBNET).values()] == gateways
    assert all(s["defaultOutboundAccess"] is False for s in recorder.of(SUBNET).values())
    assert recorder.one(CLUSTER).inputs["networkProfile"]["outboundType"] == outbound


def test_no_way_out_means_images_from_a_cache_and_a_private_api(deploy: Deploy, usual: Recorder) -> None:
    made = deploy(World(nat=Nat.NONE, api=ApiSpec(private=True))).one(CLUSTER).inputs
    assert made["bootstrapProfile"] == {"artifactSource": "Cache"}
    assert "bootstrapProfile" not in usual.one(CLUSTER).inputs
    with pytest.raises(ValueError, match=r"set api.private to true, or network.nat to single"):
        deploy(World(nat=Nat.NONE))


@pytest.mark.parametrize(
    ("nat", "zones", "subnet"),
    [
        (Nat.PER_ZONE, ("2",), "2"),
        (Nat.PER_ZONE, ("2", "3"), "1"),
        (Nat.SINGLE, ("2",), "1"),
    ],
)
def test_pool_goes_into_its_zones_subnet(deploy: Deploy, nat: Nat, zones: tuple[str, ...], subnet: str) -> None:
    recorder = deploy(World(nat=nat, pool=gpu_pool(zones=zones)))
    assert recorder.one(POOL).inputs["vnetSubnetID"] == f"main-nodes-{subnet}-id"


def test_vnet_leaves_subnets_to_their_own_resources(deploy: Deploy) -> None:
    recorder = deploy(World(nat=Nat.PER_ZONE))
    assert "subnets" not in recorder.one(VNET).inputs
    assert recorder.one(VNET).ignore_changes == ("subnets",)
    first, second, third = recorder.all(SUBNET).values()
    assert first in recorder.depends_on(second)
    assert second in recorder.depends_on(third)


def test_overlay_pods_pass_the_security_group(usual: Recorder) -> None:
    (rule,) = usual.one(NSG).inputs["securityRules"]
    assert rule["access"] == "Allow"
    assert rule["sourceAddressPrefixes"] == rule["destinationAddressPrefixes"] == ["10.0.0.0/16", POD_CIDR]
    for subnet in usual.of(SUBNET).values():
        assert subnet["networkSecurityGroup"] == {"id": "main-id"}
    profile = usual.one(CLUSTER).inputs["networkProfile"]
    assert (profile["podCidr"], profile["serviceCidr"], profile["dnsServiceIP"]) == (POD_CIDR, SERVICE_CIDR, DNS_SERVICE_IP)
    assert (profile["networkPluginMode"], profile["networkDataplane"], profile["networkPolicy"]) == (
        "overlay",
        "cilium",
        "cilium",
    )


@given(
    network=st.builds(
        lambda bits, length: IPv4Network((0x0A000000 | bits, length), strict=False),
        st.integers(0, 2**24 - 1),
        st.integers(16, 20),
    ),
    zones=st.integers(1, 4),
)
def test_node_ranges_fit_and_stay_where_they_are(network: IPv4Network, zones: int) -> None:
    names = [str(n) for n in range(1, zones + 1)]
    per_zone, single = (node_ranges(str(network), names, nat) for nat in (Nat.PER_ZONE, Nat.SINGLE))
    ranges = [IPv4Network(r) for r in per_zone.values()]
    assert list(per_zone) == names
    assert all(r.subnet_of(network) for r in ranges)
    assert not any(a.overlaps(b) for i, a in enumerate(ranges) for b in ranges[:i])
    assert single == {"1": per_zone["1"]}


@pytest.mark.parametrize("cidr", ["100.64.0.0/16", "100.80.0.0/20"])
def test_network_may_not_meet_the_pods_or_services(cidr: str) -> None:
    with pytest.raises(ValueError, match="take another range"):
        node_ranges(cidr, ["1"], Nat.SINGLE)


def test_network_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="names no zone"):
        node_ranges("10.0.0.0/16", [], Nat.SINGLE)


def test_pod_and_service_ranges_are_apart() -> None:
    assert not IPv4Network(POD_CIDR).overlaps(IPv4Network(SERVICE_CIDR))
    assert IPv4Network(f"{DNS_SERVICE_IP}/32").subnet_of(IPv4Network(SERVICE_CIDR))


# --- cluster -------------------------------------------------------------------------------------------------------


def test_only_entra_signs_in(usual: Recorder) -> None:
    made = usual.one(CLUSTER).inputs
    assert made["disableLocalAccounts"] is True
    assert made["enableRBAC"] is True
    assert made["aadProfile"] == {"managed": True, "enableAzureRBAC": True, "adminGroupObjectIDs": ["entra-group"]}
    assert made["oidcIssuerProfile"] == {"enabled": True}
    assert made["securityProfile"]["workloadIdentity"] == {"enabled": True}


def test_deployer_may_install_what_runs_inside(usual: Recorder) -> None:
    grant = usual.all(ASSIGNMENT)["main-deployer"]
    assert grant.inputs["principalId"] == mocked_engine.INVOKES["azure-native:authorization:getClientConfig"]["objectId"]  # type: ignore[index]
    assert grants(usual)["main-deployer"] == ("main-id", Role.AKS_CLUSTER_ADMIN.value)
    assert "principalType" not in grant.inputs  # a person on a laptop, a service principal in CI
    assert set(grant.ignore_changes) == {"principalId", "roleAssignmentName"}


def test_secrets_are_encrypted_with_a_key_only_the_cluster_may_use(usual: Recorder) -> None:
    cluster = usual.one(CLUSTER)
    assert cluster.inputs["securityProfile"]["azureKeyVaultKms"] == {
        "enabled": True,
        "keyId": "https://vault.test/keys/etcd/0123",
        "keyVaultNetworkAccess": "Public",
    }
    assert cluster.inputs["identity"] == {"type": "UserAssigned", "userAssignedIdentities": ["main-id"]}
    vault = usual.one(VAULT).inputs["properties"]
    assert vault["enableRbacAuthorization"] is True
    assert "accessPolicies" not in vault
    use = usual.all(ASSIGNMENT)["main-use"]
    assert use.inputs["principalId"] == "main-principal"
    assert grants(usual)["main-use"] == ("main-id", Role.CRYPTO_USER.value)
    waits = {r.name for r in usual.depends_on(cluster) if r.type == ASSIGNMENT}
    assert waits == {"main-use", "main-subnet-1"}


@pytest.mark.parametrize("protect", [False, True])
def test_pain_19_a_vaults_name_comes_free(deploy: Deploy, protect: bool) -> None:
    recorder = deploy(World(protect=protect))
    vault = recorder.one(VAULT)
    name = vault.inputs["vaultName"]
    assert vault.inputs["properties"]["softDeleteRetentionInDays"] == 7
    assert vault.inputs["properties"].get("enablePurgeProtection") == (True if protect else None)
    assert len(name) <= 24
    assert name[0].isalpha()
    assert "--" not in name


def test_vaults_of_two_subscriptions_differ(deploy: Deploy) -> None:
    here = deploy(World())
    config = mocked_engine.INVOKES["azure-native:authorization:getClientConfig"]
    assert isinstance(config, dict)
    there = deploy(World(), invokes={"azure-native:authorization:getClientConfig": {**config, "subscriptionId": "other"}})
    assert here.one(VAULT).inputs["vaultName"] != there.one(VAULT).inputs["vaultName"]
    assert here.one(VAULT).inputs["vaultName"] == deploy(World()).one(VAULT).inputs["vaultName"]


@pytest.mark.parametrize("protect", [False, True])
def test_protection(deploy: Deploy, protect: bool) -> None:
    recorder = deploy(World(protect=protect))
    kept = {CLUSTER, VAULT, KEY, ACCOUNT, "azure-native:storage:BlobContainer"}
    assert {r.type for r in recorder.resources if r.protect} == (kept if protect else set())
    assert recorder.one(CLUSTER).inputs["sku"] == {"name": "Base", "tier": "Standard" if protect else "Free"}


def test_control_plane_logs_go_to_the_workspace(usual: Recorder) -> None:
    setting = usual.one("azure-native:monitor:DiagnosticSetting").inputs
    categories = [log["category"] for log in setting["logs"] if log["enabled"]]
    assert {"kube-audit-admin", "guard"} <= set(categories)
    assert (setting["resourceUri"], setting["workspaceId"]) == ("main-id", "main-id")


def test_public_api_lets_the_nodes_in_too(deploy: Deploy, usual: Recorder) -> None:
    api = ApiSpec(allowed_cidrs=[IPv4Network("198.51.100.0/24")])
    made = deploy(World(api=api)).one(CLUSTER).inputs["apiServerAccessProfile"]
    assert made == {"enablePrivateCluster": False, "authorizedIPRanges": ["198.51.100.0/24", "203.0.113.7/32"]}
    assert authorized_ranges([], ["203.0.113.7"]) == []
    assert "authorizedIPRanges" not in usual.one(CLUSTER).inputs["apiServerAccessProfile"]


def test_private_api_has_no_public_name(deploy: Deploy) -> None:
    api = ApiSpec(private=True, allowed_cidrs=[IPv4Network("198.51.100.0/24")])
    assert deploy(World(api=api)).one(CLUSTER).inputs["apiServerAccessProfile"] == {
        "enablePrivateCluster": True,
        "enablePrivateClusterPublicFQDN": False,
        "privateDNSZone": "system",
    }


def test_kubeconfig_holds_no_credential_and_asks_no_person() -> None:
    given = """
apiVersion: v1
kind: Config
current-context: main
clusters: [{name: main, cluster: {server: "https://main.azmk8s.test:443", certificate-authority-data: Q0E=}}]
contexts: [{name: main, context: {cluster: main, user: clusterUser}}]
users:
- name: clusterUser
  user: {token: hunter2, client-key-data: S0VZ, exec: {command: kubelogin, args: [get-token, --login, devicecode]}}
"""
    text = with_azure_cli_login(base64.b64encode(given.encode()).decode())
    made = json.loads(text)
    ((user),) = made["users"]
    assert user["name"] == "clusterUser"
    assert set(user["user"]) == {"exec"}
    assert user["user"]["exec"]["command"] == "kubelogin"
    assert user["user"]["exec"]["args"][:3] == ["get-token", "--login", "azurecli"]
    assert user["user"]["exec"]["interactiveMode"] == "Never"
    assert user["user"]["exec"]["provideClusterInfo"] is True  # the sandbox's kubelogin finds its cluster by it
    assert made["clusters"][0]["cluster"]["server"] == "https://main.azmk8s.test:443"
    assert made["current-context"] == "main"
    assert "hunter2" not in text
    assert "S0VZ" not in text


def test_cluster_outputs(usual: Recorder) -> None:
    asked = dict(usual.invokes)["azure-native:containerservice:listManagedClusterUserCredentials"]
    assert asked == {"format": "exec", "resourceGroupName": "prod-azure-main", "resourceName": "prod-azure-main"}
    assert json.loads(usual.exports["kubeconfig"])["kind"] == "Config"
    assert usual.exports["endpoint"] == "https://main.azmk8s.test:443"


# --- store and identity --------------------------------------------------------------------------------------------


def test_store_is_private(usual: Recorder) -> None:
    made = usual.one(ACCOUNT).inputs
    assert made["accountName"] == KIT.store_name("prod-azure", "main", "weights")
    assert made["enableHttpsTrafficOnly"] is True
    assert made["minimumTlsVersion"] == "TLS1_2"
    assert made["allowBlobPublicAccess"] is False
    assert made["allowSharedKeyAccess"] is False
    assert made["networkRuleSet"]["defaultAction"] == "Deny"
    assert made["networkRuleSet"]["bypass"] == "None"
    assert "isHnsEnabled" not in made
    assert usual.one("azure-native:storage:BlobContainer").inputs["publicAccess"] == "None"
    assert usual.exports["url"] == f"abfss://models@{made['accountName']}.dfs.core.windows.net"


@pytest.mark.parametrize("versioned", [False, True])
def test_old_versions_expire_whether_or_not_new_ones_are_kept(deploy: Deploy, versioned: bool) -> None:
    recorder = deploy(World(versioned=versioned))
    service = recorder.one("azure-native:storage:BlobServiceProperties").inputs
    assert service["isVersioningEnabled"] is versioned
    assert service["deleteRetentionPolicy"] == {"enabled": True, "days": 7}
    (rule,) = recorder.one("azure-native:storage:ManagementPolicy").inputs["policy"]["rules"]
    assert rule["definition"]["actions"] == {"version": {"delete": {"daysAfterCreationGreaterThan": 30}}}


def test_pain_15_workload_identity_not_node_identity(usual: Recorder) -> None:
    readers = [name for name, (_, role) in grants(usual).items() if role == Role.BLOB_READER.value]
    assert readers == ["main-llama-read"]
    read = usual.of(ASSIGNMENT)["main-llama-read"]
    assert read["scope"] == "main-weights-id"
    assert read["principalId"] == "main-llama-principal"
    assert not [a for a in usual.of(ASSIGNMENT).values() if "kubelet" in a["principalId"]]
    federated = usual.one(FEDERATED).inputs
    assert federated["subject"] == "system:serviceaccount:models:llama"
    assert federated["issuer"] == "https://oidc.test/main/"
    assert federated["audiences"] == ["api://AzureADTokenExchange"]
    assert federated["resourceName"] == usual.of(IDENTITY)["main-llama"]["resourceName"]
    assert usual.exports["annotations"] == {"azure.workload.identity/client-id": "main-llama-client"}
    assert usual.exports["podLabels"] == {"azure.workload.identity/use": "true"}


def test_every_grant_has_its_own_lasting_name(deploy: Deploy) -> None:
    first, again = (deploy(World(nat=Nat.PER_ZONE)).of(ASSIGNMENT) for _ in range(2))
    names, lasting = ({key: inputs["roleAssignmentName"] for key, inputs in made.items()} for made in (first, again))
    assert len(set(names.values())) == len(names) == 6
    # By resource: the order of registration is the event loop's.
    assert names == lasting
    assert assignment_name("/Scope", "p", Role.BLOB_READER) == assignment_name("/scope", "p", Role.BLOB_READER)
    assert assignment_name("/scope", "p", Role.BLOB_READER) != assignment_name("/scope", "q", Role.BLOB_READER)


# --- everything ----------------------------------------------------------------------------------------------------

# ARM has no tags on these.
UNTAGGED = {
    "pulumi:providers:azure-native",
    SUBNET,
    ASSIGNMENT,
    FEDERATED,
    "azure-native:monitor:DiagnosticSetting",
    "azure-native:storage:BlobServiceProperties",
    "azure-native:storage:ManagementPolicy",
    "azure-native:storage:BlobContainer",
}


def custom(recorder: Recorder) -> list[Resource]:
    return [r for r in recorder.resources if r.custom]


def test_everything_that_takes_tags_says_whose_it_is(deploy: Deploy) -> None:
    for resource in custom(deploy(World(nat=Nat.PER_ZONE))):
        assert resource.inputs.get("tags") == (None if resource.type in UNTAGGED else TAGS), resource.urn


def test_every_resource_uses_the_clusters_provider_and_has_a_parent(usual: Recorder) -> None:
    for resource in custom(usual):
        if resource.type != "pulumi:providers:azure-native":
            assert "::main-azure::" in resource.provider, resource.urn
            assert "accelfleet:azure:" in resource.parent, resource.urn


def test_names_follow_from_the_spec_alone(deploy: Deploy) -> None:
    first, again = ({r.urn: r.inputs for r in custom(deploy(World()))} for _ in range(2))
    assert first == again


def test_long_names_stay_within_azures_limits(deploy: Deploy) -> None:
    made = deploy(World(name="s" * 29 + "-" + "c" * 29)).one(CLUSTER).inputs
    assert len(made["dnsPrefix"]) <= 54
    assert len(made["nodeResourceGroup"]) <= 80


def test_preview_knows_the_pool_before_the_cluster_exists(deploy: Deploy) -> None:
    assert deploy(World(), preview=True).one(POOL).inputs["vmSize"] == GPU_MACHINES[0].name


def test_importing_the_kit_loads_no_sdk_module_yet() -> None:
    """The SDK's subpackages load on first use, and no other cloud's with them: naming a Kit is cheap."""
    script = (
        "import sys, infra.clouds; from fleet.catalog.clouds import Cloud; infra.clouds.kit(Cloud.AZURE);"
        "print([m for m in sys.modules if m.split('.')[0] in ('pulumi_aws', 'pulumi_gcp', 'pulumi_kubernetes')"
        " or m.startswith('pulumi_azure_native.') and m.count('.') > 1])"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
