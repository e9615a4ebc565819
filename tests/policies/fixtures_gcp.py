"""Fixtures of the rules about Google Cloud."""

from __future__ import annotations

from typing import Any

import pulumi_gcp as gcp

from tests.policies.programs import DEV, GONE, Case, U, builder, case

ANY = "0.0.0.0/0"

gke = builder(
    gcp.container.Cluster,
    location="us-west1",
    min_master_version="1.35",
    release_channel={"channel": "REGULAR"},
    datapath_provider="ADVANCED_DATAPATH",
    private_cluster_config={"enable_private_nodes": True, "enable_private_endpoint": False},
    master_authorized_networks_config={"cidr_blocks": [{"cidr_block": "203.0.113.0/24"}]},
    workload_identity_config={"workload_pool": "p.svc.id.goog"},
    database_encryption={"state": "ENCRYPTED", "key_name": "k"},
    enable_shielded_nodes=True,
    logging_config={"enable_components": ["SYSTEM_COMPONENTS"]},
    deletion_protection=True,
)
node_pool = builder(
    gcp.container.NodePool,
    cluster="c",
    node_config={
        "service_account": "nodes@p.iam.gserviceaccount.com",
        "workload_metadata_config": {"mode": "GKE_METADATA"},
        "shielded_instance_config": {"enable_integrity_monitoring": True},
    },
)
firewall = builder(
    gcp.compute.Firewall, network="n", source_ranges=["10.0.0.0/8"], allows=[{"protocol": "tcp", "ports": ["22"]}]
)
subnetwork = builder(
    gcp.compute.Subnetwork, network="n", ip_cidr_range="10.0.0.0/20", log_config={"aggregation_interval": "INTERVAL_5_SEC"}
)
nat = builder(gcp.compute.RouterNat, router="r", source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES")
bucket = builder(
    gcp.storage.Bucket,
    location="US",
    public_access_prevention="enforced",
    uniform_bucket_level_access=True,
    versioning={"enabled": True},
    encryption={"default_kms_key_name": "k"},
)
member = builder(gcp.projects.IAMMember, project="p", role="roles/viewer", member="group:a@b.example")
binding = builder(gcp.projects.IAMBinding, project="p", role="roles/viewer", members=["group:a@b.example"])
bucket_member = builder(gcp.storage.BucketIAMMember, bucket="b", role="roles/storage.objectViewer", member="group:a@b.example")
bucket_binding = builder(
    gcp.storage.BucketIAMBinding, bucket="b", role="roles/storage.objectViewer", members=["group:a@b.example"]
)
account_member = builder(
    gcp.serviceaccount.IAMMember, service_account_id="s", role="roles/iam.workloadIdentityUser", member="group:a@b.example"
)
account_key = builder(gcp.serviceaccount.Key, service_account_id="s", public_key_data="cert")
federation = builder(
    gcp.iam.WorkloadIdentityPoolProvider,
    workload_identity_pool_id="p",
    workload_identity_pool_provider_id="forge",
    attribute_condition='assertion.repository == "o/r"',
)


def node(**config: Any) -> dict[str, Any]:
    return {"node_config": config}


def opened(*ports: str, protocol: str = "tcp", ranges: Any = None, **more: Any) -> dict[str, Any]:
    allowed = {"protocol": protocol, **({"ports": list(ports)} if ports else {})}
    return {"source_ranges": ranges or [ANY], "allows": [allowed], **more}


def blocks(*ranges: Any) -> dict[str, Any]:
    return {"master_authorized_networks_config": {"cidr_blocks": [{"cidr_block": one} for one in ranges]}}


CASES: dict[str, Case] = {
    "gcp-gke-api-open": case(
        gke,
        blocks("203.0.113.0/24", ANY),
        {**blocks(ANY), "private_cluster_config": {"enable_private_endpoint": True}},
        False,
        blocks(U),
        ({"master_authorized_networks_config": GONE}, True),
        ({"master_authorized_networks_config": GONE, "private_cluster_config": GONE}, True),
        (blocks(), False),
    ),
    "gcp-gke-secrets-kms": case(
        gke,
        {"database_encryption": {"state": "DECRYPTED"}},
        {"database_encryption": GONE},
        True,
        {"database_encryption": {"state": U}},
    ),
    "gcp-gke-logs": case(
        gke,
        {"logging_config": {"enable_components": ["WORKLOADS"]}},
        {"logging_config": GONE},
        False,
        {"logging_config": {"enable_components": ["WORKLOADS", U]}},
        ({"logging_service": "none"}, True),
        ({"logging_service": "logging.googleapis.com/kubernetes"}, False),
    ),
    "gcp-gke-network-policy": case(
        gke,
        {"datapath_provider": GONE},
        {"datapath_provider": "LEGACY_DATAPATH", "network_policy": {"enabled": True}},
        False,
        {"datapath_provider": U},
        ({"datapath_provider": "LEGACY_DATAPATH"}, True),
        ({"datapath_provider": GONE, "network_policy": {"enabled": False}}, True),
    ),
    "gcp-gke-workload-identity": case(
        gke,
        {"workload_identity_config": GONE},
        {"workload_identity_config": {"workload_pool": ""}},
        True,
        {"workload_identity_config": {"workload_pool": U}},
    ),
    "gcp-node-metadata": case(
        node_pool,
        node(workload_metadata_config={"mode": "GCE_METADATA"}),
        node(workload_metadata_config=GONE),
        True,
        node(workload_metadata_config={"mode": U}),
    ),
    "gcp-gke-version": case(
        gke,
        {"min_master_version": "1.20.1-gke.1"},
        {"min_master_version": "1.35.2-gke.100"},
        False,
        {"min_master_version": U},
        ({"min_master_version": GONE}, False),
        ({"min_master_version": "1.99"}, True),
    ),
    "gcp-gke-release-channel": case(
        gke,
        {"release_channel": {"channel": "UNSPECIFIED"}},
        {"release_channel": GONE},
        True,
        {"release_channel": {"channel": U}},
        *[({"release_channel": {"channel": word}}, False) for word in ("RAPID", "STABLE", "EXTENDED")],
    ),
    "gcp-node-integrity": case(
        node_pool,
        node(shielded_instance_config={"enable_integrity_monitoring": False}),
        node(shielded_instance_config=GONE),
        False,
        node(shielded_instance_config={"enable_integrity_monitoring": U}),
    ),
    "gcp-gke-shielded-nodes": case(
        gke, {"enable_shielded_nodes": False}, {"enable_shielded_nodes": GONE}, False, {"enable_shielded_nodes": U}
    ),
    "gcp-gke-private-nodes": case(
        gke,
        {"private_cluster_config": {"enable_private_nodes": False}},
        {"private_cluster_config": GONE},
        True,
        {"private_cluster_config": {"enable_private_nodes": U}},
    ),
    "gcp-gke-legacy-login": case(
        gke,
        {"enable_legacy_abac": True},
        {"enable_legacy_abac": False, "master_auth": {"client_certificate_config": {"issue_client_certificate": False}}},
        False,
        {"enable_legacy_abac": U},
        ({"master_auth": {"client_certificate_config": {"issue_client_certificate": True}}}, True),
    ),
    "gcp-node-account": case(
        node_pool,
        node(service_account=GONE),
        node(service_account="12345-compute@developer.gserviceaccount.com"),
        True,
        node(service_account=U),
        (node(service_account="default"), True),
        (node(service_account="default@p.iam.gserviceaccount.com"), False),
    ),
    "gcp-private-nodes-way-out": Case(
        good=[(gke, {}), (subnetwork, {}), (nat, {})],
        bad=[(gke, {}), (subnetwork, {})],
        edge=([(gke, {}), (nat, {})], False),
        unknown=[(gke, {"private_cluster_config": {"enable_private_nodes": U}}), (subnetwork, {})],
        more=(
            ([(gke, {"private_cluster_config": GONE}), (subnetwork, {})], False),
            ([(gke, {})], False),
        ),
    ),
    "gcp-iam-basic-role": case(
        member,
        {"role": "roles/owner"},
        {"role": "roles/container.editor"},
        False,
        {"role": U},
        ({"role": "roles/editor"}, True),
    ),
    "gcp-iam-public": case(
        bucket_member,
        {"member": "allUsers"},
        {"member": "domain:all.example"},
        False,
        {"member": U},
        ({"member": "allAuthenticatedUsers"}, True),
    ),
    "gcp-account-key": case(account_key, {"public_key_data": GONE}, {"public_key_data": ""}, True, {"public_key_data": U}),
    "gcp-oidc-trust-bound": case(
        federation,
        {"attribute_condition": GONE},
        {"attribute_condition": "true"},
        True,
        {"attribute_condition": U},
        ({"attribute_condition": ""}, True),
    ),
    "gcp-firewall-open": case(
        firewall,
        opened("22"),
        opened("23-3388"),
        False,
        {**opened("22"), "source_ranges": [U]},
        (opened("20-30"), True),
        (opened("80", "3389"), True),
        (opened("80"), False),
        (opened(), True),
        (opened(protocol="all"), True),
        (opened(protocol="icmp"), False),
        (opened("22", direction="EGRESS"), False),
        (opened("22", ranges=["10.0.0.0/8"]), False),
        (opened("22", ranges=["::/0"]), True),
    ),
    "gcp-subnet-flow-logs": case(
        subnetwork, {"log_config": GONE}, {"log_config": GONE}, False, {"log_config": U}, others={"edge": DEV}
    ),
    "gcp-bucket-public": case(
        bucket,
        {"public_access_prevention": "inherited"},
        {"public_access_prevention": GONE},
        True,
        {"public_access_prevention": U},
    ),
    "gcp-bucket-uniform": case(
        bucket,
        {"uniform_bucket_level_access": False},
        {"uniform_bucket_level_access": GONE},
        True,
        {"uniform_bucket_level_access": U},
    ),
    "gcp-bucket-versioned": case(
        bucket, {"versioning": {"enabled": False}}, {"versioning": GONE}, True, {"versioning": {"enabled": U}}
    ),
    "gcp-bucket-own-key": case(
        bucket,
        {"encryption": GONE},
        {"encryption": GONE},
        False,
        {"encryption": {"default_kms_key_name": U}},
        others={"edge": DEV},
    ),
    "gcp-gke-protected": case(
        gke,
        {"deletion_protection": False},
        {"deletion_protection": GONE},
        False,
        {"deletion_protection": U},
        ({"deletion_protection": False}, False),
        others={"more-0": DEV},
    ),
}
MORE: dict[str, Case] = {
    "gcp-iam-basic-role": Case(
        good=[(binding, {})],
        bad=[(binding, {"role": "roles/owner"})],
        # Of a bucket there is no such role.
        edge=([(bucket_member, {"role": "roles/owner"})], False),
        unknown=[(binding, {"role": U})],
    ),
    "gcp-iam-public": case(
        binding, {"members": ["group:a@b.example", "allUsers"]}, {"members": ["user:allUsers@b.example"]}, False, {"members": U}
    ),
}
MORE_STILL: dict[str, Case] = {
    "gcp-iam-public": Case(
        good=[(member, {}), (bucket_binding, {}), (account_member, {})],
        bad=[(account_member, {"member": "allUsers"})],
        edge=([(member, {"member": "allUsers"})], True),
        unknown=[(bucket_binding, {"members": [U]})],
        more=(([(bucket_binding, {"members": ["allUsers"]})], True),),
    ),
}
ALL = (CASES, MORE, MORE_STILL)
