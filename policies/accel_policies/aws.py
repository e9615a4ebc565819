"""Rules about AWS: EKS, IAM, networks, S3, ECR."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.clouds import Cloud
from fleet.catalog.compatibility import kubernetes_minors
from policies.accel_policies.documents import statements
from policies.accel_policies.networks import anywhere, reaches_admin
from policies.accel_policies.rule import Found, FoundAt, Resource, Rules, Severity, Stack, Told
from policies.accel_policies.settings import Settings
from policies.accel_policies.values import View, is_on

rules = Rules("aws")
CRITICAL, HIGH, MEDIUM = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM

PROVIDER = "pulumi:providers:aws"
CLUSTER = "aws:eks/cluster:Cluster"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
VPC = "aws:ec2/vpc:Vpc"
SUBNET = "aws:ec2/subnet:Subnet"
FLOW_LOG = "aws:ec2/flowLog:FlowLog"
NAT = "aws:ec2/natGateway:NatGateway"
ENDPOINT = "aws:ec2/vpcEndpoint:VpcEndpoint"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
GROUP_RULE = "aws:ec2/securityGroupRule:SecurityGroupRule"
INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
ROLE = "aws:iam/role:Role"
POLICIES = ("aws:iam/policy:Policy", "aws:iam/rolePolicy:RolePolicy", "aws:iam/userPolicy:UserPolicy")
POD_IDENTITY = ("aws:eks/podIdentityAssociation:PodIdentityAssociation", "aws:iam/openIdConnectProvider:OpenIdConnectProvider")
KEY = "aws:kms/key:Key"
BUCKET = "aws:s3/bucket:Bucket"
ACL = "aws:s3/bucketAcl:BucketAcl"
BLOCK = "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"
ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
BUCKET_POLICY = "aws:s3/bucketPolicy:BucketPolicy"
REPOSITORY = "aws:ecr/repository:Repository"

_LOGS = ("api", "audit", "authenticator", "controllerManager", "scheduler")
_FLAGS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_ENDPOINTS_FOR_IMAGES = ("ecr.api", "ecr.dkr", "s3")


@rules.on(
    "aws-eks-api-open",
    CRITICAL,
    CLUSTER,
    mend="list your networks in vpcConfig.publicAccessCidrs, or set endpointPublicAccess: false",
    refs=("CIS EKS 5.4.1", "CKV_AWS_38", "CKV_AWS_39"),
)
def _api_open(it: View, _: Settings) -> Iterator[Found]:
    """The Kubernetes API answers named networks only.

    An API open to everybody makes any leaked token a way in, from anywhere.
    """
    if it("vpcConfig.endpointPublicAccess", True):
        found = anywhere(it("vpcConfig.publicAccessCidrs", ["0.0.0.0/0"]))
        if found:
            yield "vpcConfig.publicAccessCidrs", found


@rules.on(
    "aws-eks-secrets-kms",
    HIGH,
    CLUSTER,
    mend="add encryptionConfig with your KMS key and resources: [secrets]",
    refs=("CIS EKS 5.3.1", "CKV_AWS_58"),
)
def _secrets_kms(it: View, _: Settings) -> Iterator[Found]:
    """Kubernetes secrets are encrypted with a key of your own.

    Without, whoever reads a backup of etcd reads every secret.
    """
    if "secrets" not in it("encryptionConfig.resources", ()):
        yield "encryptionConfig.resources", it("encryptionConfig.resources")


@rules.on(
    "aws-eks-logs",
    HIGH,
    CLUSTER,
    mend=f"set enabledClusterLogTypes to {', '.join(_LOGS)}",
    refs=("CIS EKS 2.1.1", "CKV_AWS_37"),
)
def _logs(it: View, _: Settings) -> Iterator[Found]:
    """The control plane logs all five kinds.

    Who did what after an intrusion stands in the audit log, or nowhere.
    """
    kept = it("enabledClusterLogTypes", ())
    if any(kind not in kept for kind in _LOGS):
        yield "enabledClusterLogTypes", it("enabledClusterLogTypes")


rules.demand(
    "aws-eks-version",
    HIGH,
    CLUSTER,
    "version",
    lambda minor: minor is None or minor in kubernetes_minors(Cloud.AWS),
    what="Kubernetes is of a minor that EKS supports as a standard.",
    why="An old one gets no fixes, and costs six times as much an hour while AWS extends its support.",
    mend="move to a minor of fleet/catalog/data/kubernetes.csv",
    refs=("CKV_AWS_339",),
)
rules.demand(
    "aws-eks-access-entries",
    MEDIUM,
    CLUSTER,
    "accessConfig.authenticationMode",
    lambda mode: mode == "API",
    what="Who may enter an EKS cluster stands in access entries alone.",
    why="The aws-auth config map can be edited by anybody who may edit config maps, and a slip there locks everybody out.",
    mend="set accessConfig.authenticationMode: API",
    refs=("CIS EKS 5.5.1",),
)


@rules.on(
    "aws-eks-pod-identity",
    HIGH,
    CLUSTER,
    mend="give pods roles with eks.PodIdentityAssociation, or IRSA with iam.OpenIdConnectProvider",
    refs=("CIS EKS 5.2.1",),
    whole=True,
)
def _pod_identity(stack: Stack, _: Settings) -> Iterator[FoundAt]:
    """Pods get rights of their own, not those of their node.

    What a node may do every pod on it may do, the one that was broken into, too.
    """
    if stack.of(*POLICIES) and not stack.of(*POD_IDENTITY):
        for cluster in stack.of(CLUSTER):
            yield cluster, "identities", None


@rules.on(
    "aws-private-nodes-way-out",
    HIGH,
    NODE_GROUP,
    mend="add a NAT gateway, or endpoints for ecr.api, ecr.dkr and s3",
    whole=True,
)
def _way_out(stack: Stack, _: Settings) -> Iterator[FoundAt]:
    """Nodes in private subnets have a way to their images.

    Without one they never become ready, and the apply fails after half an hour.
    """
    subnets = stack.of(SUBNET)
    if not subnets or any(one.view("mapPublicIpOnLaunch", False) for one in subnets) or stack.of(NAT):
        return
    services = [str(one.view("serviceName", "")) for one in stack.of(ENDPOINT)]
    if not all(any(name.endswith(f".{want}") for name in services) for want in _ENDPOINTS_FOR_IMAGES):
        for group in stack.of(NODE_GROUP):
            yield group, "subnetIds", Told("private, with no NAT gateway and no endpoints for images")


rules.demand(
    "aws-node-imdsv2",
    HIGH,
    TEMPLATE,
    "metadataOptions.httpTokens",
    lambda tokens: tokens == "required",
    what="Instances ask for their metadata with a token (IMDSv2).",
    why="Without, one request that a server can be talked into gives away the node's credentials.",
    mend="set metadataOptions.httpTokens: required",
    refs=("CKV_AWS_79", "CIS AWS 5.6"),
)


@rules.on(
    "aws-node-metadata-hops",
    HIGH,
    TEMPLATE,
    mend="set metadataOptions.httpPutResponseHopLimit: 1",
    refs=("CKV_AWS_341",),
)
def _hops(it: View, settings: Settings) -> Iterator[Found]:
    """Pods do not reach their node's credentials.

    At a second hop every pod may do what the node may do.
    """
    if it("metadataOptions.httpPutResponseHopLimit", 1) > settings.limits.metadata_hops:
        yield "metadataOptions.httpPutResponseHopLimit", it("metadataOptions.httpPutResponseHopLimit")


@rules.on(
    "aws-node-disk-encrypted",
    HIGH,
    TEMPLATE,
    mend='set ebs.encrypted: "true" on each block device',
    refs=("CKV_AWS_8",),
    parts=lambda one: one.view.maps("blockDeviceMappings"),
)
def _disk(device: View, _: Settings) -> Iterator[Found]:
    """Nodes' disks are encrypted.

    They hold weights, and whatever pods wrote beside them.
    """
    if not is_on(device("ebs.encrypted")):
        yield device.at("ebs.encrypted"), device("ebs.encrypted")


rules.demand(
    "aws-subnet-public-ip",
    MEDIUM,
    SUBNET,
    "mapPublicIpOnLaunch",
    lambda public: not public,
    what="Machines get no public address by themselves.",
    why="A node that the internet can reach is one forgotten rule away from being entered.",
    mend="leave mapPublicIpOnLaunch out; load balancers need none",
    refs=("CKV_AWS_130",),
)


@rules.on(
    "aws-vpc-flow-logs", MEDIUM, VPC, mend="add ec2.FlowLog for the network", refs=("CKV2_AWS_11", "CIS AWS 3.7"), whole=True
)
def _flow_logs(stack: Stack, settings: Settings) -> Iterator[FoundAt]:
    """In production a network logs who spoke to whom.

    Without, nobody can tell afterwards where data went.
    """
    if settings.environment == "prod" and not stack.of(FLOW_LOG):
        for vpc in stack.of(VPC):
            yield vpc, "flowLogs", None


def _ingress(one: Resource) -> list[View]:
    """What comes in: a group's own rules, or a rule that is a resource."""
    if one.type == GROUP:
        return one.view.maps("ingress")
    return [one.view] if one.type == INGRESS or one.view("type") == "ingress" else []


@rules.on(
    "aws-security-group-open",
    CRITICAL,
    (GROUP, GROUP_RULE, INGRESS),
    mend="name the networks that may come in",
    refs=("CIS AWS 5.2", "CKV_AWS_24", "CKV_AWS_25"),
    parts=_ingress,
)
def _open(it: View, _: Settings) -> Iterator[Found]:
    """No security group lets the whole internet at shells, desktops or everything.

    Such ports are tried within minutes of being opened.
    """
    ranges = [*it("cidrBlocks", ()), *it("ipv6CidrBlocks", ()), it("cidrIpv4"), it("cidrIpv6")]
    found = anywhere(ranges)
    everything = it("protocol", it("ipProtocol")) in ("-1", "all")
    if found and (everything or reaches_admin(it("fromPort", 0), it("toPort", 65535))):
        yield it.at("cidrBlocks" if "cidrBlocks" in it else "cidrIpv4"), found


rules.demand(
    "aws-kms-rotation",
    MEDIUM,
    KEY,
    "enableKeyRotation",
    is_on,
    what="Keys are replaced every year.",
    why="What leaks of an old one opens nothing new.",
    mend="set enableKeyRotation: true",
    refs=("CIS AWS 3.6", "CKV_AWS_7"),
    unset=False,
)


@rules.on(
    "aws-bucket-block-flags",
    CRITICAL,
    BLOCK,
    mend="set all four flags",
    refs=("CIS AWS 2.1.4", "CKV_AWS_53", "CKV_AWS_54", "CKV_AWS_55", "CKV_AWS_56"),
)
def _flags(it: View, _: Settings) -> Iterator[Found]:
    """A bucket's block of public access is whole.

    One of four left open is enough for one policy to publish every weight.
    """
    for flag in _FLAGS:
        if not it(flag, False):
            yield flag, it(flag)


@rules.on(
    "aws-bucket-blocked",
    CRITICAL,
    BUCKET,
    mend="add s3.BucketPublicAccessBlock with all four flags for each bucket",
    refs=("CIS AWS 2.1.4",),
    whole=True,
)
def _blocked(stack: Stack, _: Settings) -> Iterator[FoundAt]:
    """Every bucket of the stack has a block of public access.

    What is not blocked is one policy away from being public.
    """
    blocks, buckets = len(stack.of(BLOCK)), stack.of(BUCKET)
    if blocks < len(buckets):
        for bucket in buckets:
            yield bucket, "publicAccessBlock", Told(f"on {blocks} of {len(buckets)} buckets")


rules.demand(
    "aws-bucket-acl-public",
    CRITICAL,
    (BUCKET, ACL),
    "acl",
    lambda acl: acl not in ("public-read", "public-read-write", "authenticated-read", "website"),
    what="No list of rights makes a bucket public.",
    why="Weights are what the company trained for months.",
    mend="leave acl out; give roles rights by policy",
    refs=("CKV_AWS_20", "CKV_AWS_57"),
)
rules.demand(
    "aws-bucket-versioned",
    MEDIUM,
    VERSIONING,
    "versioningConfiguration.status",
    lambda status: status == "Enabled",
    what="Model stores keep replaced versions.",
    why="A wrong upload over good weights is undone by one command, or not at all.",
    mend="set versioningConfiguration.status: Enabled",
    refs=("CKV_AWS_21",),
)


@rules.on(
    "aws-bucket-tls",
    HIGH,
    BUCKET,
    mend="add a s3.BucketPolicy that denies aws:SecureTransport false",
    refs=("CIS AWS 2.1.1",),
    whole=True,
)
def _tls(stack: Stack, _: Settings) -> Iterator[FoundAt]:
    """Every bucket of the stack refuses what is not encrypted on its way.

    A client that was misconfigured once sends keys and weights in clear.
    """
    refusing = [
        it
        for one in stack.of(BUCKET_POLICY)
        for it in statements(one.view("policy", "{}"))
        if it("Effect") == "Deny" and str(it("Condition.Bool", View({})).get("aws:SecureTransport")) == "false"
    ]
    buckets = stack.of(BUCKET)
    if len(refusing) < len(buckets):
        for bucket in buckets:
            yield bucket, "policy", Told(f"refuses plain HTTP on {len(refusing)} of {len(buckets)} buckets")


@rules.on(
    "aws-bucket-own-key",
    MEDIUM,
    ENCRYPTION,
    mend="set sseAlgorithm: aws:kms with kmsMasterKeyId and bucketKeyEnabled, or waive it for weights that are public",
    refs=("CKV_AWS_145",),
    parts=lambda one: one.view.maps("rules"),
)
def _own_key(it: View, settings: Settings) -> Iterator[Found]:
    """In production buckets are encrypted with a key of your own.

    Who may read is then said in two places, and taking the key away ends all of it.
    """
    algorithm = it("applyServerSideEncryptionByDefault.sseAlgorithm")
    if settings.environment == "prod" and algorithm not in ("aws:kms", "aws:kms:dsse"):
        yield it.at("applyServerSideEncryptionByDefault.sseAlgorithm"), algorithm


rules.demand(
    "aws-registry-immutable",
    HIGH,
    REPOSITORY,
    "imageTagMutability",
    lambda tags: str(tags).startswith("IMMUTABLE"),
    what="A tag of an image means the same image for ever.",
    why="What was tested is else not what runs tomorrow.",
    mend="set imageTagMutability: IMMUTABLE",
    refs=("CKV_AWS_51",),
)
rules.demand(
    "aws-registry-scan",
    MEDIUM,
    REPOSITORY,
    "imageScanningConfiguration.scanOnPush",
    is_on,
    what="Images are scanned when they are pushed.",
    why="Known holes are else found by others first.",
    mend="set imageScanningConfiguration.scanOnPush: true",
    refs=("CIS EKS 5.1.1", "CKV_AWS_163"),
    unset=False,
)
