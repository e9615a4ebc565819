"""AWS components against mocks: what the engine would be asked to make, for every AWS machine of the catalogue."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from ipaddress import IPv4Network

import pulumi
import pytest

from fleet import naming
from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud, zones
from fleet.catalog.machines import machine, machines
from fleet.contract import AcceleratorPool
from fleet.spec import ApiSpec
from fleet.spec_network import Nat
from infra.clouds.aws import KIT
from infra.clouds.aws.network import subnet_ranges
from infra.clouds.base import (
    ClusterArgs,
    NetworkArgs,
    NodePoolArgs,
    ObjectStoreArgs,
    ProviderArgs,
    SystemPoolArgs,
    WorkloadIdentityArgs,
)

REGION = "us-east-1"
NAME = "dev-main"
TAGS = naming.tags(stack="dev", environment="dev", owner="ml", cluster="main")
ADMINS = ("arn:aws:iam::111122223333:role/Platform", "arn:aws:iam::444455556666:role/Platform")
MACHINES = [m for m in machines() if m.cloud is Cloud.AWS and m.accelerator]
ON_OFFER = [m for m in MACHINES if not m.accelerator.withdrawn]

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
ASG_TAG = "aws:autoscaling/tag:Tag"
# https://github.com/aws/containers-roadmap/issues/1451
RESERVED = ("kubernetes.io/", "k8s.io/", "eks.amazonaws.com/")


def pool_of(hardware=None, **changes):
    pool = AcceleratorPool(
        name="gpu",
        physical_name="gpu",
        cloud=Cloud.AWS,
        region=REGION,
        machine=hardware or machine(Cloud.AWS, "g6.xlarge"),
        spot=False,
        min_nodes=0,
        max_nodes=4,
        start_nodes=1,
        zones=("us-east-1a",),
        disk_gib=217,
        extra_labels={"team": "search"},
    )
    return replace(pool, **changes)


def network(nat=Nat.SINGLE, zone_names=("us-east-1a", "us-east-1b"), cidr="10.0.0.0/16"):
    return KIT.network("main", NetworkArgs(name=NAME, region=REGION, cidr=cidr, zones=zone_names, nat=nat, tags=TAGS))


def cluster(api=None, protect=False, admins=ADMINS):
    args = ClusterArgs(
        name=NAME,
        region=REGION,
        kubernetes="1.34",
        api=api or ApiSpec(),
        admins=admins,
        protect=protect,
        tags=TAGS,
        network=network(),
        system_machine="m7i.xlarge",
        system_nodes=(1, 3),
    )
    return KIT.cluster("main", args)


def node_pool(pool):
    return KIT.node_pool("main-gpu", NodePoolArgs(cluster=cluster(), pool=pool, tags=TAGS))


def system_pool(**sizes):
    args = {"min_nodes": 1, "max_nodes": 3, **sizes}
    return KIT.system_pool(
        "main-system", SystemPoolArgs(cluster=cluster(), machine="m7i.xlarge", zones=("us-east-1a",), tags=TAGS, **args)
    )


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


@pytest.mark.parametrize("spot", [False, True], ids=["on-demand", "spot"])
@pytest.mark.parametrize("hardware", ON_OFFER, ids=lambda m: m.name)
def test_every_machine_makes_the_nodes_of_its_contract(deploy, hardware, spot):
    pool = pool_of(hardware, spot=spot)
    recorded = deploy(lambda: node_pool(pool))
    group = recorded.one(NODE_GROUP).inputs
    assert group["instanceTypes"] == [hardware.name]
    assert group["amiType"] == {"nvidia": "AL2023_x86_64_NVIDIA", "neuron": "AL2023_x86_64_NEURON"}[pool.family]
    assert group["capacityType"] == ("SPOT" if spot else "ON_DEMAND")
    assert group["labels"] == pool.node_labels
    assert {(t["key"], t["value"]) for t in group["taints"]} == {(t.key, t.value) for t in pool.node_taints}
    assert {t["effect"] for t in group["taints"]} == {"NO_SCHEDULE"}
    assert (pool.resource, "present") in {(t["key"], t["value"]) for t in group["taints"]}
    assert not [k for k in [*group["labels"], *(t["key"] for t in group["taints"])] if k.startswith(RESERVED)]


@pytest.mark.parametrize("hardware", [m for m in MACHINES if m.accelerator.withdrawn], ids=lambda m: m.name)
def test_a_machine_without_an_image_is_refused(deploy, hardware):
    assert hardware.accelerator.family is Family.GAUDI
    with pytest.raises(ValueError, match=r"pool gpu: no EKS image drives gaudi1: AWS no longer offers dl1"):
        deploy(lambda: node_pool(pool_of(hardware)))


def test_a_zone_without_subnet_is_refused(deploy):
    with pytest.raises(ValueError, match=r"no subnet in us-east-1f; the network has us-east-1a, us-east-1b"):
        deploy(lambda: node_pool(pool_of(zones=("us-east-1f",))))


def test_a_pool_keeps_to_its_zones(deploy):
    recorded = deploy(lambda: node_pool(pool_of(zones=("us-east-1b",))))
    assert recorded.one(NODE_GROUP).inputs["subnetIds"] == ["main-private-us-east-1b-id"]


def test_physical_names_are_ours(deploy):
    recorded = deploy(lambda: (node_pool(pool_of()), None)[1])
    assert recorded.one(NODE_GROUP).inputs["nodeGroupName"] == "gpu"
    assert recorded.one(TEMPLATE).inputs["name"] == "dev-main-gpu"
    assert recorded.one(NODE_GROUP).inputs["launchTemplate"] == {"id": "main-gpu-template-id", "version": "1"}


def test_nodes_wait_for_what_makes_them_ready(deploy):
    recorded = deploy(lambda: node_pool(pool_of()))
    waits = {r.name for r in recorded.depends_on(recorded.one(NODE_GROUP))}
    assert {"main-vpc-cni", "main-node-AmazonEKSWorkerNodePolicy", "main-node-AmazonEKS_CNI_Policy"} <= waits
    assert {"main-private-us-east-1b", "main-nat-us-east-1a", "main-s3"} <= waits  # routes, so images can be pulled


@pytest.mark.parametrize("spot", [False, True], ids=["on-demand", "spot"])
def test_pain_20_an_update_takes_no_second_accelerator(deploy, spot):
    group = deploy(lambda: node_pool(pool_of(spot=spot))).one(NODE_GROUP).inputs
    assert group["updateConfig"] == {"maxUnavailable": 1, "updateStrategy": "MINIMAL"}


def test_pain_11_autoscaler_owned_size_is_ignored(deploy):
    group = deploy(lambda: node_pool(pool_of())).one(NODE_GROUP)
    assert group.inputs["scalingConfig"] == {"minSize": 0, "maxSize": 4, "desiredSize": 1}
    assert group.ignore_changes == ("scalingConfig.desiredSize",)


def test_pain_17_disk_is_the_contracts(deploy):
    recorded = deploy(lambda: node_pool(pool_of(disk_gib=217)))
    (disk,) = recorded.one(TEMPLATE).inputs["blockDeviceMappings"]
    assert disk["deviceName"] == "/dev/xvda"
    assert disk["ebs"] == {"volumeSize": 217, "volumeType": "gp3", "encrypted": "true", "deleteOnTermination": "true"}
    # EKS refuses a disk in both places.
    assert "diskSize" not in recorded.one(NODE_GROUP).inputs


def test_pods_do_not_reach_the_nodes_credentials(deploy):
    options = deploy(lambda: node_pool(pool_of())).one(TEMPLATE).inputs["metadataOptions"]
    assert (options["httpTokens"], options["httpPutResponseHopLimit"]) == ("required", 1)


def test_what_default_tags_do_not_reach_is_tagged(deploy):
    recorded = deploy(lambda: node_pool(pool_of()))
    specifications = recorded.one(TEMPLATE).inputs["tagSpecifications"]
    assert {s["resourceType"] for s in specifications} == {"instance", "volume", "network-interface"}
    assert all(s["tags"].items() >= TAGS.items() for s in specifications)
    on_asg = {t["tag"]["key"]: t["tag"]["value"] for t in recorded.of(ASG_TAG).values()}
    assert on_asg.items() >= TAGS.items()


@pytest.mark.parametrize(
    "hardware", [machine(Cloud.AWS, "g6.12xlarge"), machine(Cloud.AWS, "inf2.48xlarge")], ids=lambda m: m.name
)
def test_pain_07_a_pool_at_zero_tells_the_autoscaler_its_template(deploy, hardware):
    pool = pool_of(hardware)
    tags = deploy(lambda: node_pool(pool)).of(ASG_TAG).values()
    assert {t["autoscalingGroupName"] for t in tags} == {"asg-main-gpu-nodes"}
    on_asg = {t["tag"]["key"]: t["tag"]["value"] for t in tags}
    prefix = "k8s.io/cluster-autoscaler"
    assert on_asg[f"{prefix}/{NAME}"] == "owned"
    assert on_asg[f"{prefix}/node-template/resources/{pool.resource}"] == str(hardware.accelerators)
    assert on_asg[f"{prefix}/node-template/taint/{pool.resource}"] == "present:NoSchedule"
    assert on_asg[f"{prefix}/node-template/label/accelfleet.io/pool"] == "gpu"


def test_the_system_pool_runs_coredns_on_plain_nodes(deploy):
    recorded = deploy(lambda: system_pool(min_nodes=0))
    group = recorded.one(NODE_GROUP)
    assert group.inputs["amiType"] == "AL2023_x86_64_STANDARD" and not group.inputs.get("taints")
    assert group.inputs["scalingConfig"]["desiredSize"] == 1 and group.ignore_changes
    coredns = recorded.all("aws:eks/addon:Addon")["main-system-coredns"]
    assert group in recorded.depends_on(coredns)


def test_no_stack_file_can_name_a_pool_like_the_system_pool(deploy):
    name = deploy(system_pool).one(NODE_GROUP).inputs["nodeGroupName"]
    assert len(name) > 12  # fleet.spec.PoolName's limit


# Cluster


def test_pain_18_pools_never_inline(deploy):
    recorded = deploy(cluster)
    made = recorded.one("aws:eks/cluster:Cluster").inputs
    assert NODE_GROUP not in recorded.types()
    assert not {"computeConfig", "defaultNodeGroup", "nodePools"} & set(made)
    nodes = deploy(lambda: node_pool(pool_of())).one(NODE_GROUP)
    assert "EksNodePool" in nodes.parent and "EksCluster" not in nodes.parent


def test_kubeconfig_names_a_command_and_holds_no_credential(deploy):
    recorded = deploy(cluster)
    (outputs,) = recorded.outputs("accelfleet:aws:EksCluster").values()
    config = json.loads(outputs["kubeconfig"])
    (user,) = (u["user"] for u in config["users"])
    assert set(user) == {"exec"} and user["exec"]["command"] == "aws" and "env" not in user["exec"]
    assert user["exec"]["args"][:6] == ["eks", "get-token", "--cluster-name", NAME, "--region", REGION]
    (reached,) = (c["cluster"] for c in config["clusters"])
    assert reached["server"] == "https://main-cluster.eks.test" and reached["certificate-authority-data"]
    assert (outputs["clusterName"], config["current-context"]) == (NAME, NAME)


def test_admins_enter_by_access_entries(deploy):
    recorded = deploy(cluster)
    access = recorded.one("aws:eks/cluster:Cluster").inputs["accessConfig"]
    assert access == {"authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": True}
    entries = recorded.of("aws:eks/accessEntry:AccessEntry").values()
    grants = recorded.of("aws:eks/accessPolicyAssociation:AccessPolicyAssociation").values()
    assert {e["principalArn"] for e in entries} == {g["principalArn"] for g in grants} == set(ADMINS)
    assert {g["policyArn"].rsplit("/", 1)[1] for g in grants} == {"AmazonEKSClusterAdminPolicy"}


@pytest.mark.parametrize(
    ("api", "public", "ranges"),
    [
        (ApiSpec(), True, ["0.0.0.0/0"]),
        (ApiSpec(allowed_cidrs=[IPv4Network("198.51.100.0/24")]), True, ["198.51.100.0/24"]),
        (ApiSpec(private=True), False, None),
    ],
    ids=["open", "ranges", "private"],
)
def test_the_api_is_reached_as_the_stack_says(deploy, api, public, ranges):
    vpc = deploy(lambda: cluster(api)).one("aws:eks/cluster:Cluster").inputs["vpcConfig"]
    assert (vpc["endpointPrivateAccess"], vpc["endpointPublicAccess"], vpc.get("publicAccessCidrs")) == (True, public, ranges)
    assert vpc["subnetIds"] == ["main-private-us-east-1a-id", "main-private-us-east-1b-id"]


def test_secrets_are_encrypted_and_logs_have_an_end(deploy):
    recorded = deploy(cluster)
    made, key = recorded.one("aws:eks/cluster:Cluster"), recorded.one("aws:kms/key:Key")
    assert key.inputs["enableKeyRotation"] is True
    assert made.inputs["encryptionConfig"] == {"provider": {"keyArn": key.outputs["arn"]}, "resources": ["secrets"]}
    assert len(made.inputs["enabledClusterLogTypes"]) == 5
    logs = recorded.one("aws:cloudwatch/logGroup:LogGroup")
    assert logs.inputs == {"name": f"/aws/eks/{NAME}/cluster", "retentionInDays": 30}
    assert logs in recorded.depends_on(made)
    assert made.inputs["upgradePolicy"] == {"supportType": "STANDARD"} and made.inputs["version"] == "1.34"


@pytest.mark.parametrize("protect", [True, False])
def test_protection_reaches_cluster_and_key(deploy, protect):
    recorded = deploy(lambda: cluster(protect=protect))
    made = recorded.one("aws:eks/cluster:Cluster")
    assert (made.protect, made.inputs["deletionProtection"], recorded.one("aws:kms/key:Key").protect) == (protect,) * 3


def test_addons_without_nodes_come_with_the_cluster(deploy):
    recorded = deploy(cluster)
    addons = {a["addonName"] for a in recorded.of("aws:eks/addon:Addon").values()}
    assert addons == {"vpc-cni", "kube-proxy", "eks-pod-identity-agent"}
    assert recorded.one("aws:eks/cluster:Cluster").inputs["bootstrapSelfManagedAddons"] is False


# Identity


def test_pain_15_pod_identity_not_node_role(deploy):
    recorded = deploy(identity)
    node_role = recorded.of("aws:iam/role:Role")["main-node"]
    attached = recorded.of("aws:iam/rolePolicyAttachment:RolePolicyAttachment").values()
    assert {a["policyArn"].rsplit("/", 1)[1] for a in attached if a["role"] == node_role["name"]} == {
        "AmazonEKSWorkerNodePolicy",
        "AmazonEKS_CNI_Policy",
        "AmazonEC2ContainerRegistryPullOnly",
    }
    inline = recorded.one("aws:iam/rolePolicy:RolePolicy").inputs
    assert inline["role"] == "dev-main-models-llm" != node_role["name"]
    assert not {"inlinePolicies", "managedPolicyArns"} & set(node_role)


def test_identity_reads_one_bucket_for_one_service_account(deploy):
    recorded = deploy(identity)
    bucket = recorded.one("aws:s3/bucket:Bucket").outputs["arn"]
    statements = json.loads(recorded.one("aws:iam/rolePolicy:RolePolicy").inputs["policy"])["Statement"]
    assert [(s["Effect"], s["Action"], s["Resource"]) for s in statements] == [
        ("Allow", ["s3:ListBucket", "s3:GetBucketLocation"], bucket),
        ("Allow", "s3:GetObject", f"{bucket}/*"),
    ]
    role = recorded.all("aws:iam/role:Role")["main-llm-identity-role"]
    (trusted,) = json.loads(role.inputs["assumeRolePolicy"])["Statement"]
    assert trusted["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trusted["Action"] == ["sts:AssumeRole", "sts:TagSession"]
    assert trusted["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-name": NAME,
        "aws:RequestTag/kubernetes-namespace": "models",
        "aws:RequestTag/kubernetes-service-account": "llm",
    }
    assert recorded.one("aws:eks/podIdentityAssociation:PodIdentityAssociation").inputs == {
        "clusterName": NAME,
        "namespace": "models",
        "serviceAccount": "llm",
        "roleArn": role.outputs["arn"],
    }
    (outputs,) = recorded.outputs("accelfleet:aws:EksPodIdentity").values()
    assert outputs["serviceAccountAnnotations"] == {}


# Object store


def test_a_store_is_private_encrypted_and_tls_only(deploy):
    recorded = deploy(store)
    bucket = recorded.one("aws:s3/bucket:Bucket")
    assert bucket.inputs["bucket"] == "dev-main-weights-0a1b2c3d"
    block = recorded.one("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock").inputs
    assert all(block[k] for k in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"))
    (rule,) = recorded.one("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration").inputs[
        "rules"
    ]
    assert rule["applyServerSideEncryptionByDefault"] == {"sseAlgorithm": "AES256"}
    ownership = recorded.one("aws:s3/bucketOwnershipControls:BucketOwnershipControls").inputs
    assert ownership["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    (statement,) = json.loads(recorded.one("aws:s3/bucketPolicy:BucketPolicy").inputs["policy"])["Statement"]
    arn = bucket.outputs["arn"]
    assert (statement["Effect"], statement["Principal"], statement["Resource"]) == ("Deny", "*", [arn, f"{arn}/*"])
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    (outputs,) = recorded.outputs("accelfleet:aws:S3Store").values()
    assert outputs["url"] == "s3://dev-main-weights-0a1b2c3d"


@pytest.mark.parametrize(("versioned", "status"), [(True, "Enabled"), (False, "Suspended")])
def test_replaced_versions_expire(deploy, versioned, status):
    recorded = deploy(lambda: store(versioned=versioned, expire_noncurrent_days=9))
    versioning = recorded.one("aws:s3/bucketVersioning:BucketVersioning")
    assert versioning.inputs["versioningConfiguration"] == {"status": status}
    lifecycle = recorded.one("aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration")
    (rule,) = lifecycle.inputs["rules"]
    assert rule["noncurrentVersionExpiration"] == {"noncurrentDays": 9}
    assert rule["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}
    assert versioning in recorded.depends_on(lifecycle)


@pytest.mark.parametrize("protect", [True, False])
def test_only_an_unprotected_store_goes_with_its_objects(deploy, protect):
    bucket = deploy(lambda: store(protect=protect)).one("aws:s3/bucket:Bucket")
    assert (bucket.protect, bucket.inputs["forceDestroy"]) == (protect, not protect)


# Network


@pytest.mark.parametrize("nat", list(Nat))
def test_pain_14_nat_bill_s3_gateway_endpoint_always(deploy, nat):
    recorded = deploy(lambda: network(nat))
    s3 = recorded.of(ENDPOINT)["main-s3"]
    assert (s3["vpcEndpointType"], s3["serviceName"]) == ("Gateway", "com.amazonaws.us-east-1.s3")
    private = {r.outputs.get("id", f"{n}-id") for n, r in recorded.all("aws:ec2/routeTable:RouteTable").items()}
    assert set(s3["routeTableIds"]) == private == {"main-public-id", "main-private-us-east-1a-id", "main-private-us-east-1b-id"}


@pytest.mark.parametrize(
    ("nat", "gateways"),
    [(Nat.NONE, []), (Nat.SINGLE, ["us-east-1a"] * 2), (Nat.PER_ZONE, ["us-east-1a", "us-east-1b"])],
)
def test_private_subnets_leave_by_their_nat(deploy, nat, gateways):
    recorded = deploy(lambda: network(nat))
    routes = recorded.of("aws:ec2/route:Route")
    out = [routes[f"main-private-{z}"]["natGatewayId"] for z in ("us-east-1a", "us-east-1b") if f"main-private-{z}" in routes]
    assert out == [f"main-nat-{zone}-id" for zone in gateways]
    made = recorded.of("aws:ec2/natGateway:NatGateway")
    assert {n["subnetId"] for n in made.values()} == {f"main-public-{zone}-id" for zone in gateways}
    assert routes["main-public"]["gatewayId"] == "main-igw-id"


@pytest.mark.parametrize("nat", list(Nat))
def test_without_nat_nodes_still_pull(deploy, nat):
    endpoints = deploy(lambda: network(nat)).of(ENDPOINT)
    reached = {e["serviceName"].split(".", 3)[3] for e in endpoints.values() if e["vpcEndpointType"] == "Interface"}
    assert ({"ecr.api", "ecr.dkr", "sts", "ec2", "eks-auth"} <= reached) if nat is Nat.NONE else not reached
    assert all(e["privateDnsEnabled"] for e in endpoints.values() if e["vpcEndpointType"] == "Interface")


def test_load_balancers_find_their_subnets(deploy):
    subnets = deploy(network).of("aws:ec2/subnet:Subnet")
    assert subnets["main-public-us-east-1a"]["tags"]["kubernetes.io/role/elb"] == "1"
    assert subnets["main-private-us-east-1a"]["tags"]["kubernetes.io/role/internal-elb"] == "1"
    assert all(s["tags"][f"kubernetes.io/cluster/{NAME}"] == "shared" for s in subnets.values())
    assert not any(s["mapPublicIpOnLaunch"] for s in subnets.values())


def test_the_default_security_group_has_no_rules(deploy):
    group = deploy(network).one("aws:ec2/defaultSecurityGroup:DefaultSecurityGroup").inputs
    assert not group.get("ingress") and not group.get("egress")


@pytest.mark.parametrize("cidr", ["10.0.0.0/16", "10.8.0.0/18", "172.20.16.0/20"])
def test_subnets_share_the_network_without_overlap(cidr):
    private, public = subnet_ranges(cidr)
    blocks = [IPv4Network(c) for c in private + public]
    assert len(private) == len(public) == 4
    assert all(b.subnet_of(IPv4Network(cidr)) and b.prefixlen <= 28 for b in blocks)  # /28 is the VPC's smallest
    assert not any(a.overlaps(b) for i, a in enumerate(blocks) for b in blocks[:i])


def test_a_further_zone_re_cuts_nothing(deploy):
    def cut(zone_names):
        recorded = deploy(lambda: network(zone_names=zone_names))
        return {name: s["cidrBlock"] for name, s in recorded.of("aws:ec2/subnet:Subnet").items()}

    two, four = cut(zones(Cloud.AWS, REGION)[:2]), cut(zones(Cloud.AWS, REGION)[:4])
    assert len(two) == 4 and len(four) == 8 and two.items() <= four.items()


@pytest.mark.parametrize("count", [1, 5])
def test_eks_wants_two_to_four_zones(deploy, count):
    with pytest.raises(ValueError, match=f"2 to 4 zones, not {count}: set network.zones"):
        deploy(lambda: network(zone_names=zones(Cloud.AWS, REGION)[:count]))


# All together


def _everything():
    provider = KIT.provider("main-aws", ProviderArgs(region=REGION, account=None, tags=TAGS), pulumi.ResourceOptions())
    opts = pulumi.ResourceOptions(providers=[provider])
    net = KIT.network(
        "main",
        NetworkArgs(name=NAME, region=REGION, cidr="10.0.0.0/16", zones=("us-east-1a", "us-east-1b"), nat=Nat.NONE, tags=TAGS),
        opts,
    )
    held = KIT.cluster(
        "main",
        ClusterArgs(
            name=NAME,
            region=REGION,
            kubernetes="1.34",
            api=ApiSpec(),
            admins=ADMINS,
            protect=False,
            tags=TAGS,
            network=net,
            system_machine="m7i.xlarge",
            system_nodes=(1, 3),
        ),
        opts,
    )
    KIT.system_pool(
        "main-system",
        SystemPoolArgs(cluster=held, machine="m7i.xlarge", min_nodes=1, max_nodes=3, zones=("us-east-1a",), tags=TAGS),
        opts,
    )
    KIT.node_pool("main-gpu", NodePoolArgs(cluster=held, pool=pool_of(), tags=TAGS), opts)
    weights = KIT.object_store(
        "main-weights",
        ObjectStoreArgs(
            name="weights", region=REGION, network=net, versioned=True, expire_noncurrent_days=30, protect=False, tags=TAGS
        ),
        opts,
    )
    KIT.workload_identity(
        "main-llm",
        WorkloadIdentityArgs(cluster=held, namespace="models", service_account="llm", store=weights, tags=TAGS),
        opts,
    )


def test_all_of_it_is_made_by_the_tagging_provider(deploy):
    recorded = deploy(_everything)
    provider = recorded.one("pulumi:providers:aws")
    assert json.loads(provider.inputs["defaultTags"])["tags"] == TAGS and provider.inputs["region"] == REGION
    made = [r for r in recorded.resources if r.custom and not r.type.startswith("pulumi:")]
    assert len(made) > 60
    assert {r.provider.rpartition("::")[0] for r in made} == {provider.urn}


def test_whatever_has_a_physical_name_gets_it_from_us(deploy):
    """A name left out is one that Pulumi makes up, and a crashed run's leftovers are found by name."""
    recorded = deploy(_everything)
    names = {
        TEMPLATE: "name",
        NODE_GROUP: "nodeGroupName",
        "aws:iam/role:Role": "name",
        "aws:iam/rolePolicy:RolePolicy": "name",
        "aws:kms/alias:Alias": "name",
        "aws:cloudwatch/logGroup:LogGroup": "name",
        "aws:ec2/securityGroup:SecurityGroup": "name",
        "aws:eks/cluster:Cluster": "name",
        "aws:s3/bucket:Bucket": "bucket",
    }
    for type_, key in names.items():
        given = [inputs.get(key) for inputs in recorded.of(type_).values()]
        assert given and all(given) and len(set(given)) == len(given), f"{type_}: {given}"
    unnamed = [r for r in recorded.resources if r.type.startswith("aws:ec2/") and "tags" in r.inputs]
    tags = [(r.type, r.inputs["tags"]["Name"]) for r in unnamed]
    assert len(set(tags)) == len(tags)


def test_a_preview_needs_no_cloud(deploy):
    recorded = deploy(_everything, preview=True)
    assert recorded.one("aws:eks/cluster:Cluster").inputs["name"] == NAME and recorded.invokes == []


def test_importing_aws_loads_no_other_sdk():
    probe = (
        "import sys, infra.clouds.aws; "
        "print(sorted(m for m in ('pulumi_gcp', 'pulumi_azure_native', 'pulumi_kubernetes', 'boto3') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
