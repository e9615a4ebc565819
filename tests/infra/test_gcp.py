"""GCP components against mocks: what the engine would be asked to make, for every GPU machine and every TPU slice."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from ipaddress import IPv4Network

import pulumi
import pytest

from fleet import naming
from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import gke_name, machine, machines
from fleet.catalog.tpu import TOPOLOGIES, tpu_slice
from fleet.contract import AcceleratorPool
from fleet.spec import ApiSpec
from fleet.spec_network import Nat
from infra.clouds.base import (
    ClusterArgs,
    NetworkArgs,
    NodePoolArgs,
    ObjectStoreArgs,
    ProviderArgs,
    SystemPoolArgs,
    WorkloadIdentityArgs,
)
from infra.clouds.gcp import KIT
from infra.clouds.gcp.cluster import principal
from infra.clouds.gcp.network import PODS_PER_NODE, ranges
from infra.clouds.gcp.node_pool import per_zone

REGION = "us-central1"
ZONES = ("us-central1-a", "us-central1-b")
NAME = "dev-main"
TAGS = naming.tags(stack="dev", environment="dev", owner="ml", cluster="main")
GPU_MACHINES = [m for m in machines() if m.cloud is Cloud.GCP and m.accelerator and m.accelerator.family is Family.NVIDIA]
SLICES = [tpu_slice(version, topology) for version, shapes in TOPOLOGIES.items() for topology in shapes]
MULTI_HOST = [s for s in SLICES if s.multi_host]
SINGLE_HOST = [s for s in SLICES if not s.multi_host]

CLUSTER = "gcp:container/cluster:Cluster"
NODE_POOL = "gcp:container/nodePool:NodePool"
SUBNETWORK = "gcp:compute/subnetwork:Subnetwork"
NAT = "gcp:compute/routerNat:RouterNat"
BUCKET = "gcp:storage/bucket:Bucket"
BUCKET_MEMBER = "gcp:storage/bucketIAMMember:BucketIAMMember"
PROJECT_MEMBER = "gcp:projects/iAMMember:IAMMember"


def named(value):
    return f"{value.accelerator}-{value.topology}"


def pool_of(hardware=None, **changes):
    pool = AcceleratorPool(
        name="gpu",
        physical_name="gpu",
        cloud=Cloud.GCP,
        region=REGION,
        machine=hardware or machine(Cloud.GCP, "g2-standard-8"),
        spot=False,
        min_nodes=0,
        max_nodes=4,
        start_nodes=1,
        zones=ZONES,
        disk_gib=217,
        extra_labels={"team": "search"},
    )
    return replace(pool, **changes)


def tpu_pool(shape, **changes):
    """As `fleet.plan` makes it: a multi-host slice has one zone, and as many nodes as hosts."""
    size = dict.fromkeys(("min_nodes", "max_nodes", "start_nodes"), shape.hosts) if shape.multi_host else {}
    zones = ZONES[:1] if shape.multi_host else ZONES
    return pool_of(shape.machine, **{"name": "tpu", "physical_name": "tpu", "tpu": shape, "zones": zones, **size, **changes})


def network(nat=Nat.SINGLE, cidr="10.0.0.0/16"):
    return KIT.network("main", NetworkArgs(name=NAME, region=REGION, cidr=cidr, zones=ZONES, nat=nat, tags=TAGS))


def cluster(api=None, protect=False, admins=()):
    args = ClusterArgs(
        name=NAME,
        region=REGION,
        kubernetes="1.34",
        api=api or ApiSpec(allowed_cidrs=[IPv4Network("198.51.100.0/24")]),
        admins=admins,
        protect=protect,
        tags=TAGS,
        network=network(),
        system_machine="e2-standard-4",
        system_nodes=(1, 3),
    )
    return KIT.cluster("main", args)


def system_pool(held=None, opts=None, **changes):
    args = SystemPoolArgs(cluster=held or cluster(), machine="e2-standard-4", min_nodes=1, max_nodes=3, zones=ZONES, tags=TAGS)
    return KIT.system_pool("main-system", replace(args, **changes), opts)


def node_pool(pool):
    held = cluster()
    after = pulumi.ResourceOptions(depends_on=[system_pool(held)])
    return KIT.node_pool(f"main-{pool.name}", NodePoolArgs(cluster=held, pool=pool, tags=TAGS), after)


def made_pool(deploy, pool):
    return deploy(lambda: node_pool(pool)).all(NODE_POOL)[f"main-{pool.name}-nodes"]


def store(**changes):
    args = ObjectStoreArgs(
        name="dev-main-weights-0a1b2c3d",
        region=REGION,
        network=network(),
        versioned=True,
        expire_noncurrent_days=30,
        protect=False,
        tags=TAGS,
    )
    return KIT.object_store("main-weights", replace(args, **changes))


def identity():
    held = cluster()
    args = ObjectStoreArgs(
        name="weights", region=REGION, network=held.network, versioned=True, expire_noncurrent_days=1, protect=False, tags=TAGS
    )
    return KIT.workload_identity(
        "main-llm-identity",
        WorkloadIdentityArgs(
            cluster=held, namespace="models", service_account="llm", store=KIT.object_store("main-weights", args), tags=TAGS
        ),
    )


# Pools


def check_contract(pool, made):
    config = made["nodeConfig"]
    assert config["machineType"] == pool.machine.name
    assert config["labels"] == pool.node_labels
    assert {(t["key"], t["value"]) for t in config["taints"]} == {(t.key, t.value) for t in pool.node_taints}
    assert {t["effect"] for t in config["taints"]} <= {"NO_SCHEDULE"}
    assert config["spot"] is pool.spot
    assert config["resourceLabels"] == TAGS
    assert made["nodeLocations"] == list(pool.zones)


@pytest.mark.parametrize("spot", [False, True], ids=["on-demand", "spot"])
@pytest.mark.parametrize("hardware", GPU_MACHINES, ids=lambda m: m.name)
def test_every_gpu_machine_makes_the_nodes_of_its_contract(deploy, hardware, spot):
    pool = pool_of(hardware, spot=spot)
    made = made_pool(deploy, pool).inputs
    check_contract(pool, made)
    assert made["nodeConfig"]["guestAccelerators"] == [
        {
            "type": gke_name(hardware),
            "count": hardware.accelerators,
            "gpuDriverInstallationConfig": {"gpuDriverVersion": "DEFAULT"},
        }
    ]
    assert not made.get("placementPolicy")


@pytest.mark.parametrize("spot", [False, True], ids=["on-demand", "spot"])
@pytest.mark.parametrize("shape", SLICES, ids=named)
def test_every_tpu_slice_makes_the_nodes_of_its_contract(deploy, shape, spot):
    pool = tpu_pool(shape, spot=spot)
    made = made_pool(deploy, pool).inputs
    check_contract(pool, made)
    assert "guestAccelerators" not in made["nodeConfig"]


def test_spot_nodes_bear_a_taint_gke_does_not_add(deploy):
    taints = made_pool(deploy, pool_of(spot=True)).inputs["nodeConfig"]["taints"]
    assert taints == [{"key": "cloud.google.com/gke-spot", "value": "true", "effect": "NO_SCHEDULE"}]


@pytest.mark.parametrize("shape", SINGLE_HOST, ids=named)
def test_pain_9_a_single_tpu_host_sets_no_topology(deploy, shape):
    made = made_pool(deploy, tpu_pool(shape)).inputs
    assert "placementPolicy" not in made
    assert made["autoscaling"] == {"totalMinNodeCount": 0, "totalMaxNodeCount": 4, "locationPolicy": "ANY"}


@pytest.mark.parametrize("shape", MULTI_HOST, ids=named)
def test_pain_9_a_multi_host_slice_has_all_its_hosts_in_one_place(deploy, shape):
    made = made_pool(deploy, tpu_pool(shape)).inputs
    assert made["placementPolicy"] == {"type": "COMPACT", "tpuTopology": shape.topology}
    assert made["nodeCount"] == shape.hosts == shape.chips // shape.machine.accelerators
    assert len(made["nodeLocations"]) == 1
    assert "autoscaling" not in made and "initialNodeCount" not in made


@pytest.mark.parametrize(
    "changes",
    [{"zones": ZONES}, {"min_nodes": 0}, {"max_nodes": 8}],
    ids=["two-zones", "part-of-a-slice", "more-than-a-slice"],
)
def test_pain_9_a_multi_host_slice_is_never_cut(deploy, changes):
    with pytest.raises(
        ValueError, match=r"pool tpu: a 4x4 slice of tpu-v5e is 4 hosts in one zone, not .*: set nodes and zones"
    ):
        deploy(lambda: node_pool(tpu_pool(tpu_slice("tpu-v5e", "4x4"), **changes)))


def test_a_new_topology_gets_its_own_hosts(deploy):
    # With `nodeCount` ignored, the engine would make the new slice with the old one's hosts.
    assert made_pool(deploy, tpu_pool(tpu_slice("tpu-v5e", "4x4"))).ignore_changes == ()


@pytest.mark.parametrize("pool", [pool_of(), tpu_pool(tpu_slice("tpu-v5e", "2x2"))], ids=["gpu", "tpu"])
def test_pain_11_autoscaler_owned_size_is_ignored(deploy, pool):
    recorded = deploy(lambda: node_pool(pool))
    for made in recorded.all(NODE_POOL).values():
        assert made.ignore_changes == ("initialNodeCount", "nodeCount"), made.name
        assert "nodeCount" not in made.inputs and "autoscaling" in made.inputs


def test_bounds_are_for_all_zones_together(deploy):
    made = made_pool(deploy, pool_of(min_nodes=1, max_nodes=3, start_nodes=2)).inputs
    assert made["autoscaling"] == {"totalMinNodeCount": 1, "totalMaxNodeCount": 3, "locationPolicy": "ANY"}
    assert made["initialNodeCount"] == 1  # GKE counts these in each of the two zones


@pytest.mark.parametrize("zones", [1, 2, 3, 4])
@pytest.mark.parametrize("most", range(1, 9))
def test_a_pool_never_starts_beyond_its_bound(zones, most):
    for start in range(most + 1):
        made = per_zone(start, most, zones) * zones
        assert made <= most
        assert made > start - zones
        assert (made == 0) <= (start < zones)


POOLS = {"gpu": pool_of(), "spot": pool_of(spot=True), "slice": tpu_pool(tpu_slice("tpu-v5e", "4x4"))}


@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_pain_20_a_scarce_pool_upgrades_without_a_surge(deploy, pool):
    made = made_pool(deploy, pool).inputs
    assert made["upgradeSettings"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert made["management"] == {"autoRepair": True, "autoUpgrade": True}


def test_pain_17_disk_is_the_contracts(deploy):
    assert made_pool(deploy, pool_of(disk_gib=217)).inputs["nodeConfig"]["diskSizeGb"] == 217


@pytest.mark.parametrize(
    ("name", "disk"),
    [
        ("n1-standard-4", "pd-balanced"),
        ("g2-standard-8", "pd-balanced"),
        ("a3-highgpu-8g", "pd-balanced"),
        ("ct5lp-hightpu-4t", "pd-balanced"),
        ("g4-standard-48", "hyperdisk-balanced"),
        ("ct6e-standard-4t", "hyperdisk-balanced"),
    ],
)
def test_the_disk_is_one_the_machine_boots_from(deploy, name, disk):
    assert made_pool(deploy, pool_of(machine(Cloud.GCP, name))).inputs["nodeConfig"]["diskType"] == disk


def test_nodes_are_shielded_and_keep_their_credentials(deploy):
    recorded = deploy(lambda: node_pool(pool_of()))
    for made in recorded.of(NODE_POOL).values():
        config = made["nodeConfig"]
        assert config["shieldedInstanceConfig"] == {"enableIntegrityMonitoring": True, "enableSecureBoot": True}
        assert config["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}
        assert config["serviceAccount"] == "dev-main-nodes@test-project.iam.gserviceaccount.com"


def test_a_cpu_pool_stands_before_any_accelerator(deploy):
    recorded = deploy(lambda: node_pool(pool_of()))
    component = recorded.one("accelfleet:gcp:GkeNodePool")
    assert recorded.all(NODE_POOL)["main-system-nodes"] in recorded.depends_on(component)


def test_an_accelerator_gke_lacks_is_refused(deploy):
    with pytest.raises(ValueError, match=r"pool gpu: GKE has no machine with inferentia2: choose another"):
        deploy(lambda: node_pool(pool_of(machine(Cloud.AWS, "inf2.xlarge"))))


@pytest.mark.parametrize(
    ("bounds", "zones", "start"), [((1, 3), ZONES, 1), ((1, 1), ZONES[:1], 1), ((0, 3), ZONES, 1), ((4, 6), ZONES, 2)]
)
def test_the_system_pool_starts_with_nodes_and_within_its_bounds(deploy, bounds, zones, start):
    low, high = bounds
    made = deploy(lambda: system_pool(min_nodes=low, max_nodes=high)).one(NODE_POOL).inputs
    assert made["nodeLocations"] == list(zones) and made["initialNodeCount"] == start
    assert made["autoscaling"] == {"totalMinNodeCount": low, "totalMaxNodeCount": high, "locationPolicy": "BALANCED"}
    config = made["nodeConfig"]
    assert config["machineType"] == "e2-standard-4" and not config["taints"] and "guestAccelerators" not in config


def test_no_stack_file_can_name_a_pool_like_the_system_pool(deploy):
    name = deploy(system_pool).one(NODE_POOL).inputs["name"]
    assert 12 < len(name) <= 40  # fleet.spec.PoolName's limit, and GKE's


# Cluster


def test_pain_18_pools_never_inline(deploy):
    recorded = deploy(cluster)
    made = recorded.one(CLUSTER)
    assert NODE_POOL not in recorded.types()
    assert not {"nodePools", "clusterAutoscaling", "nodeVersion"} & set(made.inputs)
    assert made.inputs["removeDefaultNodePool"] is True
    assert set(made.ignore_changes) == {"nodeConfig", "nodePools"}
    nodes = deploy(lambda: node_pool(pool_of())).all(NODE_POOL)["main-gpu-nodes"]
    assert "GkeNodePool" in nodes.parent and "GkeCluster" not in nodes.parent


def test_a_new_kubernetes_version_in_the_stack_file_reaches_the_cluster(deploy):
    made = deploy(cluster).one(CLUSTER)
    assert made.inputs["minMasterVersion"] == "1.34" and "minMasterVersion" not in made.ignore_changes
    assert made.inputs["releaseChannel"] == {"channel": "REGULAR"}


def test_the_short_lived_first_pool_needs_no_default_account(deploy):
    recorded = deploy(cluster)
    config = recorded.one(CLUSTER).inputs["nodeConfig"]
    assert config["serviceAccount"] == recorded.one("gcp:serviceaccount/account:Account").outputs["email"]


def test_kubeconfig_names_a_command_and_holds_no_credential(deploy):
    (outputs,) = deploy(cluster).outputs("accelfleet:gcp:GkeCluster").values()
    config = json.loads(outputs["kubeconfig"])
    (user,) = (u["user"] for u in config["users"])
    assert set(user) == {"exec"} and user["exec"]["command"] == "gke-gcloud-auth-plugin"
    assert user["exec"]["provideClusterInfo"] is True and not {"args", "env"} & set(user["exec"])
    (reached,) = (c["cluster"] for c in config["clusters"])
    assert reached["server"] == "https://203.0.113.10" and reached["certificate-authority-data"]
    assert (outputs["clusterName"], config["current-context"]) == (NAME, NAME)


@pytest.mark.parametrize(
    ("api", "private", "blocks"),
    [
        (ApiSpec(allowed_cidrs=[IPv4Network("198.51.100.0/24")]), False, ["198.51.100.0/24"]),
        (ApiSpec(private=True), True, []),
        (ApiSpec(), False, []),
    ],
    ids=["ranges", "private", "nobody"],
)
def test_the_api_is_reached_as_the_stack_says(deploy, api, private, blocks):
    made = deploy(lambda: cluster(api)).one(CLUSTER).inputs
    assert made["privateClusterConfig"] == {"enablePrivateNodes": True, "enablePrivateEndpoint": private}
    allowed = made["masterAuthorizedNetworksConfig"]
    assert [block["cidrBlock"] for block in allowed["cidrBlocks"]] == blocks
    assert allowed["gcpPublicCidrsAccessEnabled"] is False


def test_secrets_are_encrypted_with_a_key_that_turns(deploy):
    recorded = deploy(cluster)
    made, key = recorded.one(CLUSTER), recorded.one("gcp:kms/cryptoKey:CryptoKey")
    assert made.inputs["databaseEncryption"] == {"state": "ENCRYPTED", "keyName": "main-secrets-id"}
    assert key.inputs["rotationPeriod"] == "7776000s" and key.inputs["labels"] == TAGS
    agent = recorded.one("gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember")
    assert agent.inputs["member"] == "serviceAccount:service-123456789012@container-engine-robot.iam.gserviceaccount.com"
    assert agent.inputs["role"] == "roles/cloudkms.cryptoKeyEncrypterDecrypter"
    assert agent in recorded.depends_on(made)


def test_a_cluster_made_again_gets_a_key_ring_of_another_name(deploy):
    # Google deletes no key ring; the network's own number differs from one life to the next.
    recorded = deploy(cluster)
    number = recorded.one("gcp:compute/network:Network").outputs["networkId"]
    name = recorded.one("gcp:kms/keyRing:KeyRing").inputs["name"]
    assert name == f"{NAME}-{number}" and re.fullmatch(r"[a-zA-Z0-9_-]{1,63}", name)
    assert name == deploy(cluster).one("gcp:kms/keyRing:KeyRing").inputs["name"]


@pytest.mark.parametrize("protect", [True, False])
def test_protection_reaches_cluster_and_key(deploy, protect):
    recorded = deploy(lambda: cluster(protect=protect))
    made = recorded.one(CLUSTER)
    key = recorded.one("gcp:kms/cryptoKey:CryptoKey")
    assert (made.protect, made.inputs["deletionProtection"], key.protect) == (protect,) * 3


def test_the_cluster_is_regional_hardened_and_observed(deploy):
    made = deploy(cluster).one(CLUSTER).inputs
    assert made["location"] == REGION and made["nodeLocations"] == list(ZONES)
    assert made["datapathProvider"] == "ADVANCED_DATAPATH" and made["enableShieldedNodes"] is True
    assert made["workloadIdentityConfig"] == {"workloadPool": "test-project.svc.id.goog"}
    assert made["addonsConfig"] == {"gcsFuseCsiDriverConfig": {"enabled": True}}
    assert made["costManagementConfig"] == {"enabled": True} and made["resourceLabels"] == TAGS
    assert {"APISERVER", "SCHEDULER", "CONTROLLER_MANAGER"} <= set(made["loggingConfig"]["enableComponents"])
    assert made["monitoringConfig"]["managedPrometheus"] == {"enabled": True}
    assert not {"masterAuth", "enableLegacyAbac"} & set(made)


def test_admins_are_admins_of_this_cluster_only(deploy):
    recorded = deploy(lambda: cluster(admins=("ml@example.com", "user:ada@example.com")))
    grants = [m for n, m in recorded.of(PROJECT_MEMBER).items() if "admin" in n]
    assert {g["member"] for g in grants} == {"group:ml@example.com", "user:ada@example.com"}
    assert {g["role"] for g in grants} == {"roles/container.admin"}
    path = "projects/test-project/locations/us-central1/clusters/dev-main"
    expression = f'resource.name == "{path}" || resource.name.startsWith("{path}/")'
    assert {g["condition"]["expression"] for g in grants} == {expression}


@pytest.mark.parametrize(
    ("admin", "member"),
    [
        ("ml@example.com", "group:ml@example.com"),
        ("user:ada@example.com", "user:ada@example.com"),
        ("ci@p.iam.gserviceaccount.com", "serviceAccount:ci@p.iam.gserviceaccount.com"),
    ],
)
def test_an_address_becomes_a_principal(admin, member):
    assert principal(admin) == member


# Identity


def test_pain_15_workload_identity_not_node_account(deploy):
    recorded = deploy(identity)
    node = recorded.one("gcp:serviceaccount/account:Account").outputs["member"]
    of_node = [m["role"] for m in recorded.of(PROJECT_MEMBER).values() if m["member"] == node]
    assert of_node == ["roles/container.defaultNodeServiceAccount"]
    (reader,) = recorded.of(BUCKET_MEMBER).values()
    assert reader["member"] != node and reader["role"] == "roles/storage.objectViewer"
    assert not {t for t in recorded.types() if t.startswith("gcp:serviceaccount/")} - {"gcp:serviceaccount/account:Account"}


def test_identity_reads_one_bucket_for_one_service_account(deploy):
    recorded = deploy(identity)
    (reader,) = recorded.all(BUCKET_MEMBER).values()
    assert reader.inputs["bucket"] == "weights"
    assert reader.inputs["member"] == (
        "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/"
        "test-project.svc.id.goog/subject/ns/models/sa/llm"
    )
    # The project's workload pool exists from its first cluster on.
    assert recorded.one(CLUSTER) in recorded.depends_on(reader)
    (outputs,) = recorded.outputs("accelfleet:gcp:GkeWorkloadIdentity").values()
    assert outputs["serviceAccountAnnotations"] == {}


# Network


@pytest.mark.parametrize("nat", list(Nat))
def test_pain_14_private_google_access_always(deploy, nat):
    assert deploy(lambda: network(nat)).one(SUBNETWORK).inputs["privateIpGoogleAccess"] is True


@pytest.mark.parametrize(("nat", "gateways"), [(Nat.NONE, 0), (Nat.SINGLE, 1), (Nat.PER_ZONE, 1)])
def test_nat_is_one_gateway_a_region_or_none(deploy, nat, gateways):
    recorded = deploy(lambda: network(nat))
    assert len(recorded.of(NAT)) == len(recorded.of("gcp:compute/router:Router")) == gateways
    for made in recorded.of(NAT).values():
        assert made["router"] == "dev-main-router" and made["natIpAllocateOption"] == "AUTO_ONLY"


def test_the_network_opens_no_port(deploy):
    recorded = deploy(network)
    assert recorded.one("gcp:compute/network:Network").inputs["autoCreateSubnetworks"] is False
    assert not [t for t in recorded.types() if "irewall" in t]


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "172.20.0.0/17", "10.64.64.0/18", "192.168.32.0/19", "10.1.240.0/20"])
def test_ranges_lie_inside_the_network_and_apart(cidr):
    cut = ranges(cidr)
    parts = (cut.nodes, cut.pods, cut.services)
    assert all(part.subnet_of(IPv4Network(cidr)) for part in parts)
    assert not any(a.overlaps(b) for i, a in enumerate(parts) for b in parts[i + 1 :])
    # Every node that fits the pods' range has an address of its own; Google keeps four of a subnet's.
    assert 16 <= cut.most_nodes <= cut.nodes.num_addresses - 4


@pytest.mark.parametrize(("cidr", "most"), [("10.0.0.0/16", 256), ("10.0.0.0/18", 64), ("10.0.0.0/20", 16)])
def test_a_range_holds_as_many_nodes_as_documented(cidr, most):
    assert ranges(cidr).most_nodes == most


def test_a_range_too_small_is_refused(deploy):
    with pytest.raises(ValueError, match=r"network 10\.0\.0\.0/21 is too small for a cluster: use /16 to /20"):
        deploy(lambda: network(cidr="10.0.0.0/21"))


def test_the_cluster_uses_the_networks_ranges(deploy):
    recorded = deploy(cluster)
    made, subnet = recorded.one(CLUSTER).inputs, recorded.one(SUBNETWORK).inputs
    assert made["ipAllocationPolicy"] == {"clusterSecondaryRangeName": "pods", "servicesSecondaryRangeName": "services"}
    assert made["defaultMaxPodsPerNode"] == PODS_PER_NODE
    cut = ranges("10.0.0.0/16")
    assert subnet["ipCidrRange"] == str(cut.nodes)
    assert {r["rangeName"]: r["ipCidrRange"] for r in subnet["secondaryIpRanges"]} == {
        "pods": str(cut.pods),
        "services": str(cut.services),
    }


# Store


def test_a_store_is_private_and_drops_what_was_replaced(deploy):
    recorded = deploy(store)
    made = recorded.one(BUCKET).inputs
    assert made["uniformBucketLevelAccess"] is True and made["publicAccessPrevention"] == "enforced"
    assert made["versioning"] == {"enabled": True} and made["location"] == REGION and made["labels"] == TAGS
    assert made["softDeletePolicy"] == {"retentionDurationSeconds": 7 * 24 * 3600}
    expiry, uploads = made["lifecycleRules"]
    assert expiry["action"] == {"type": "Delete"}
    assert expiry["condition"] == {"daysSinceNoncurrentTime": 30, "withState": "ARCHIVED"}
    assert uploads["action"] == {"type": "AbortIncompleteMultipartUpload"}
    (outputs,) = recorded.outputs("accelfleet:gcp:GcsStore").values()
    assert outputs["url"] == "gs://dev-main-weights-0a1b2c3d"


@pytest.mark.parametrize("protect", [True, False])
def test_only_an_unprotected_store_goes_with_its_objects(deploy, protect):
    made = deploy(lambda: store(protect=protect)).one(BUCKET)
    assert (made.protect, made.inputs["forceDestroy"]) == (protect, not protect)


# Names, provider, package


def test_physical_names_fit_google_and_follow_from_the_stack(deploy):
    long = "production-europe-main-inference-cluster"  # 40 characters, the most a cluster's name has

    def program():
        net = KIT.network(
            "main", NetworkArgs(name=long, region=REGION, cidr="10.0.0.0/16", zones=ZONES, nat=Nat.SINGLE, tags=TAGS)
        )
        args = ClusterArgs(
            name=long, region=REGION, kubernetes="1.34", api=ApiSpec(private=True), admins=(), protect=False, tags=TAGS,
            network=net, system_machine="e2-standard-4", system_nodes=(1, 3),
        )  # fmt: skip
        system_pool(KIT.cluster("main", args))

    assert len(long) == 40
    first, second = deploy(program), deploy(program)
    assert {r.urn: r.inputs for r in first.resources} == {r.urn: r.inputs for r in second.resources}
    account = first.one("gcp:serviceaccount/account:Account").inputs["accountId"]
    assert re.fullmatch(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", account)
    unnamed = [r.name for r in first.resources if r.custom and not {"name", "accountId", "member"} & set(r.inputs)]
    assert not unnamed
    for made in first.resources:
        assert len(made.inputs.get("name", "")) <= 63, made.name


def test_the_provider_labels_whatever_it_makes(deploy):
    made = deploy(lambda: KIT.provider("main-gcp", ProviderArgs(region=REGION, account="test-project", tags=TAGS), None))
    inputs = made.one("pulumi:providers:gcp").inputs
    assert (inputs["project"], inputs["region"], json.loads(inputs["defaultLabels"])) == ("test-project", REGION, TAGS)
    assert "credentials" not in inputs and "accessToken" not in inputs


def test_no_project_is_said_with_its_remedy(deploy):
    with pytest.raises(ValueError, match=r"no GCP project: run `pulumi config set gcp:project"):
        deploy(lambda: KIT.provider("main-gcp", ProviderArgs(region=REGION, account=None, tags=TAGS), None))


def everything():
    made = KIT.provider("main-gcp", ProviderArgs(region=REGION, account="test-project", tags=TAGS), None)
    within = pulumi.ResourceOptions(providers=[made])
    net = KIT.network(
        "main", NetworkArgs(name=NAME, region=REGION, cidr="10.0.0.0/16", zones=ZONES, nat=Nat.SINGLE, tags=TAGS), within
    )
    args = ClusterArgs(
        name=NAME, region=REGION, kubernetes="1.34", api=ApiSpec(private=True), admins=("ml@example.com",), protect=False,
        tags=TAGS, network=net, system_machine="e2-standard-4", system_nodes=(1, 3),
    )  # fmt: skip
    held = KIT.cluster("main", args, within)
    system_pool(held, within)
    KIT.node_pool("main-gpu", NodePoolArgs(cluster=held, pool=pool_of(), tags=TAGS), within)
    bucket = ObjectStoreArgs(
        name="weights", region=REGION, network=net, versioned=True, expire_noncurrent_days=30, protect=False, tags=TAGS
    )
    kept = KIT.object_store("main-weights", bucket, within)
    reads = WorkloadIdentityArgs(cluster=held, namespace="models", service_account="llm", store=kept, tags=TAGS)
    KIT.workload_identity("main-llm-identity", reads, within)


def test_all_of_it_is_made_and_asked_by_the_labelling_provider(deploy):
    recorded = deploy(everything)
    provider = recorded.one("pulumi:providers:gcp")
    made = [r for r in recorded.resources if r.custom and not r.type.startswith("pulumi:")]
    assert len(made) == 15
    assert {r.provider.rpartition("::")[0] for r in made} == {provider.urn}
    assert [token for token, _ in recorded.invokes] == ["gcp:organizations/getProject:getProject"]


def test_what_default_labels_do_not_reach_is_labelled(deploy):
    recorded = deploy(everything)
    assert recorded.one(CLUSTER).inputs["resourceLabels"] == TAGS
    assert [made["nodeConfig"]["resourceLabels"] for made in recorded.of(NODE_POOL).values()] == [TAGS, TAGS]


def test_a_preview_needs_nothing_made(deploy):
    recorded = deploy(everything, preview=True)
    assert recorded.one(CLUSTER).inputs["name"] == NAME


def test_importing_gcp_loads_no_other_sdk_and_little_of_its_own():
    probe = (
        "import sys, infra.clouds.gcp; "
        "print(sorted({m.partition('.')[0] for m in sys.modules if m.startswith('pulumi_')}), "
        # The SDK's modules are lazy: those of its classes load when a program first touches them.
        "[m for m in sys.modules if m.startswith('pulumi_gcp.') and m.count('.') > 1])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['pulumi_gcp'] []"
