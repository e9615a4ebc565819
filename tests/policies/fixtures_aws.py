"""Fixtures of the rules about AWS."""

from __future__ import annotations

import json
from typing import Any

import pulumi_aws as aws

from fleet.spec_policies import LimitsSpec
from policies.accel_policies.settings import Settings
from tests.policies.programs import DEV, GONE, PROD, TODAY, Case, U, builder, case

LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
ANY = ["0.0.0.0/0"]

eks = builder(
    aws.eks.Cluster,
    role_arn="arn:aws:iam::1:role/c",
    version="1.35",
    enabled_cluster_log_types=LOGS,
    access_config={"authentication_mode": "API"},
    encryption_config={"provider": {"key_arn": "arn:aws:kms:k"}, "resources": ["secrets"]},
    vpc_config={"subnet_ids": ["a", "b"], "endpoint_public_access": True, "public_access_cidrs": ["203.0.113.0/24"]},
)
group = builder(
    aws.eks.NodeGroup,
    cluster_name="c",
    node_role_arn="arn:aws:iam::1:role/n",
    subnet_ids=["a", "b"],
    scaling_config={"min_size": 0, "max_size": 2, "desired_size": 0},
)
template = builder(
    aws.ec2.LaunchTemplate,
    metadata_options={"http_tokens": "required", "http_put_response_hop_limit": 1},
    block_device_mappings=[{"device_name": "/dev/xvda", "ebs": {"encrypted": "true"}}],
)
vpc = builder(aws.ec2.Vpc, cidr_block="10.0.0.0/16")
subnet = builder(aws.ec2.Subnet, vpc_id="v", cidr_block="10.0.0.0/24")
nat = builder(aws.ec2.NatGateway, subnet_id="s")
flow_log = builder(aws.ec2.FlowLog, vpc_id="v", traffic_type="ALL", log_destination="arn:aws:logs:x")
endpoint = builder(aws.ec2.VpcEndpoint, vpc_id="v", service_name="com.amazonaws.us-east-1.s3")
security_group = builder(aws.ec2.SecurityGroup, vpc_id="v")
security_rule = builder(
    aws.ec2.SecurityGroupRule, type="ingress", security_group_id="g", protocol="tcp", from_port=22, to_port=22, cidr_blocks=ANY
)
ingress_rule = builder(
    aws.vpc.SecurityGroupIngressRule, security_group_id="g", ip_protocol="tcp", from_port=22, to_port=22, cidr_ipv4=ANY[0]
)
policy = builder(aws.iam.Policy)
role_policy = builder(aws.iam.RolePolicy, role="r")
attachment = builder(aws.iam.RolePolicyAttachment, role="r", policy_arn="arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy")
role = builder(aws.iam.Role)
identity = builder(aws.eks.PodIdentityAssociation, cluster_name="c", namespace="n", service_account="s", role_arn="r")
key = builder(aws.kms.Key, enable_key_rotation=True)
bucket = builder(aws.s3.Bucket)
acl = builder(aws.s3.BucketAcl, bucket="b", acl="private")
block = builder(
    aws.s3.BucketPublicAccessBlock,
    bucket="b",
    block_public_acls=True,
    block_public_policy=True,
    ignore_public_acls=True,
    restrict_public_buckets=True,
)
encryption = builder(aws.s3.BucketServerSideEncryptionConfiguration, bucket="b")
versioning = builder(aws.s3.BucketVersioning, bucket="b", versioning_configuration={"status": "Enabled"})
bucket_policy = builder(aws.s3.BucketPolicy, bucket="b")
repository = builder(aws.ecr.Repository, image_tag_mutability="IMMUTABLE", image_scanning_configuration={"scan_on_push": True})


def allow(action: Any, resource: Any, effect: str = "Allow", **more: Any) -> dict[str, str]:
    return {"policy": json.dumps({"Statement": [{"Effect": effect, "Action": action, "Resource": resource, **more}]})}


def trust(condition: dict[str, Any] | None, principal: dict[str, str] | None = None, effect: str = "Allow") -> dict[str, str]:
    made: dict[str, Any] = {"Effect": effect, "Principal": principal or {"Federated": "arn:aws:iam::1:oidc-provider/t"}}
    if condition is not None:
        made["Condition"] = condition
    return {"assume_role_policy": json.dumps({"Statement": made})}


def tls(effect: str = "Deny", flag: Any = "false") -> dict[str, str]:
    condition = {"Bool": {"aws:SecureTransport": flag}}
    return {"policy": json.dumps({"Statement": [{"Effect": effect, "Principal": "*", "Condition": condition}]})}


def sse(algorithm: Any) -> dict[str, Any]:
    return {"rules": [{"apply_server_side_encryption_by_default": {"sse_algorithm": algorithm}}]}


def disk(*encrypted: Any) -> dict[str, Any]:
    return {"block_device_mappings": [{"device_name": f"/dev/{i}", "ebs": {"encrypted": e}} for i, e in enumerate(encrypted)]}


def ingress(*ranges: Any, ports: tuple[int, int] = (22, 22), protocol: str = "tcp", **more: Any) -> dict[str, Any]:
    low, high = ports
    one = {"protocol": protocol, "from_port": low, "to_port": high, "cidr_blocks": list(ranges), **more}
    return {"ingress": [one]}


BOUND = {"StringEquals": {"t:sub": "repo:o/r:environment:prod"}}
HOPS_2 = Settings(environment="prod", today=TODAY, limits=LimitsSpec(metadata_hops=2))
WAY_OUT = [(subnet, {}), (group, {})]
THREE = [(endpoint, {"service_name": f"com.amazonaws.us-east-1.{name}"}) for name in ("ecr.api", "ecr.dkr", "s3")]

CASES: dict[str, Case] = {
    "aws-eks-api-open": case(
        eks,
        {"vpc_config": {"public_access_cidrs": ["203.0.113.0/24", *ANY]}},
        {"vpc_config": {"public_access_cidrs": ANY, "endpoint_public_access": False}},
        False,
        {"vpc_config": {"public_access_cidrs": U}},
        ({"vpc_config": {"public_access_cidrs": GONE, "endpoint_public_access": GONE}}, True),
        ({"vpc_config": {"public_access_cidrs": ["::/0"]}}, True),
        ({"vpc_config": {"public_access_cidrs": [U, "203.0.113.0/24"]}}, False),
    ),
    "aws-eks-secrets-kms": case(
        eks,
        {"encryption_config": GONE},
        {"encryption_config": {"resources": []}},
        True,
        {"encryption_config": {"resources": [U]}},
    ),
    "aws-eks-logs": case(
        eks,
        {"enabled_cluster_log_types": LOGS[:4]},
        {"enabled_cluster_log_types": [*LOGS, "extra"]},
        False,
        {"enabled_cluster_log_types": [*LOGS[1:], U]},
        *[({"enabled_cluster_log_types": [x for x in LOGS if x != out]}, True) for out in LOGS],
        ({"enabled_cluster_log_types": GONE}, True),
    ),
    "aws-eks-version": case(eks, {"version": "1.20"}, {"version": GONE}, False, {"version": U}, ({"version": "1.99"}, True)),
    "aws-eks-access-entries": case(
        eks,
        {"access_config": {"authentication_mode": "CONFIG_MAP"}},
        {"access_config": {"authentication_mode": "API_AND_CONFIG_MAP"}},
        True,
        {"access_config": {"authentication_mode": U}},
        ({"access_config": GONE}, True),
    ),
    "aws-eks-pod-identity": Case(
        good=[(eks, {}), (policy, allow("s3:GetObject", "arn:x")), (identity, {})],
        bad=[(eks, {}), (policy, allow("s3:GetObject", "arn:x"))],
        edge=([(eks, {})], False),
        unknown=[(eks, {"version": U}), (identity, {}), (policy, {"policy": U})],
        more=(
            ([(eks, {}), (role_policy, allow("s3:GetObject", "arn:x"))], True),
            (
                [
                    (eks, {}),
                    (aws_oidc := builder(aws.iam.OpenIdConnectProvider, url="https://t", client_id_lists=["sts"]), {}),
                    (policy, {"policy": "{}"}),
                ],
                False,
            ),
            ([(eks, {}), (builder(aws.iam.UserPolicy, user="u"), allow("s3:*", "x"))], True),
        ),
    ),
    "aws-private-nodes-way-out": Case(
        good=[*WAY_OUT, (nat, {})],
        bad=WAY_OUT,
        edge=([*WAY_OUT, *THREE], False),
        unknown=[*WAY_OUT, (endpoint, {"service_name": U})],
        more=(
            *[([*WAY_OUT, *(e for e in THREE if e is not out)], True) for out in THREE],
            ([(subnet, {"map_public_ip_on_launch": True}), (group, {})], False),
            ([(group, {})], False),
        ),
    ),
    "aws-node-imdsv2": case(
        template,
        {"metadata_options": {"http_tokens": "optional"}},
        {"metadata_options": GONE},
        True,
        {"metadata_options": {"http_tokens": U}},
    ),
    "aws-node-metadata-hops": case(
        template,
        {"metadata_options": {"http_put_response_hop_limit": 2}},
        {"metadata_options": {"http_put_response_hop_limit": GONE}},
        False,
        {"metadata_options": {"http_put_response_hop_limit": U}},
        ({"metadata_options": {"http_put_response_hop_limit": 2}}, False),
        ({"metadata_options": {"http_put_response_hop_limit": 3}}, True),
        others={"more-0": HOPS_2, "more-1": HOPS_2},
    ),
    "aws-node-disk-encrypted": case(
        template,
        disk("true", "false"),
        {"block_device_mappings": GONE},
        False,
        disk(U, "true"),
        (disk(U, "false"), True),
        (disk(GONE), True),
    ),
    "aws-subnet-public-ip": case(
        subnet,
        {"map_public_ip_on_launch": True},
        {"map_public_ip_on_launch": False},
        False,
        {"map_public_ip_on_launch": U},
    ),
    "aws-vpc-flow-logs": Case(
        good=[(vpc, {}), (flow_log, {})],
        bad=[(vpc, {})],
        edge=([(vpc, {})], False),
        unknown=[(vpc, {"cidr_block": U}), (flow_log, {"vpc_id": U})],
        others={"edge": DEV},
    ),
    "aws-security-group-open": case(
        security_group,
        ingress("10.0.0.0/8", *ANY),
        ingress(*ANY, ports=(443, 443)),
        False,
        ingress(U),
        (ingress(*ANY, ports=(0, 0), protocol="-1"), True),
        (ingress(*ANY, ports=(443, 443), protocol="all"), True),
        (ingress(*ANY, ports=(23, 3389)), True),
        (ingress(*ANY, ports=(23, 3388)), False),
        (ingress(*ANY, ports=(3390, 9999)), False),
        (ingress(*ANY, ports=(0, 21)), False),
        (ingress(ipv6_cidr_blocks=["::/0"]), True),
        (ingress("10.0.0.0/8", ports=(0, 0), protocol="-1"), False),
        good=ingress("10.0.0.0/8"),
    ),
    "aws-iam-star": case(
        policy,
        allow("*", "*"),
        allow("*", "arn:x"),
        False,
        {"policy": U},
        (allow("s3:*", "*"), False),
        (allow(["s3:Get", "*"], ["arn:x", "*"]), True),
        (allow("*", "*", "Deny"), False),
        (allow("*", "*", Condition={"Bool": {"x": "y"}}), False),
        good=allow("s3:GetObject", "arn:x"),
    ),
    "aws-iam-climb": case(
        role_policy,
        allow("iam:PassRole", "*"),
        allow("iam:PassRole", "arn:aws:iam::1:role/n"),
        False,
        {"policy": U},
        *[
            (allow(["s3:GetObject", f"iam:{action}"], "*"), True)
            for action in (
                "CreatePolicyVersion",
                "AttachRolePolicy",
                "AttachUserPolicy",
                "PutRolePolicy",
                "PutUserPolicy",
                "UpdateAssumeRolePolicy",
                "CreateAccessKey",
                "*",
            )
        ],
        (allow("iam:GetRole", "*"), False),
        good=allow("s3:GetObject", "*"),
    ),
    "aws-iam-admin-attached": case(
        attachment,
        {"policy_arn": "arn:aws:iam::aws:policy/AdministratorAccess"},
        {"policy_arn": "arn:aws:iam::1:policy/NotAdministratorAccess"},
        False,
        {"policy_arn": U},
        ({"policy_arn": "arn:aws:iam::aws:policy/PowerUserAccess"}, True),
        ({"policy_arn": "arn:aws:iam::aws:policy/IAMFullAccess"}, True),
    ),
    "aws-oidc-trust-bound": case(
        role,
        trust({"StringEquals": {"t:aud": "sts"}}),
        trust({"StringLike": {"t:sub": "repo:o/r:*"}}),
        True,
        {"assume_role_policy": U},
        (trust(None), True),
        (trust({"StringEquals": {"t:sub": ["repo:o/r:ref:x", "*"]}}), True),
        (trust({"StringLike": {"t:sub": "repo:o/*"}}), True),
        (trust({"StringLike": {"t:sub": "repo:o/r:ref:refs/heads/v*"}}), False),
        (trust({"StringNotEquals": {"t:sub": "repo:o/r:x"}}), True),
        (trust(None, {"Service": "ec2.amazonaws.com"}), False),
        (trust(None, effect="Deny"), False),
        good=trust(BOUND),
    ),
    "aws-kms-rotation": case(
        key, {"enable_key_rotation": False}, {"enable_key_rotation": GONE}, True, {"enable_key_rotation": U}
    ),
    "aws-bucket-block-flags": case(
        block,
        {"block_public_policy": False},
        {"restrict_public_buckets": GONE},
        True,
        {"block_public_acls": U},
        ({"block_public_acls": False}, True),
        ({"ignore_public_acls": False}, True),
        ({"restrict_public_buckets": False}, True),
    ),
    "aws-bucket-blocked": Case(
        good=[(bucket, {}), (block, {})],
        bad=[(bucket, {})],
        edge=([(bucket, {}), (bucket, {}), (block, {})], True),
        unknown=[(bucket, {"bucket": U}), (block, {"bucket": U})],
    ),
    "aws-bucket-acl-public": case(
        acl,
        {"acl": "public-read"},
        {"acl": "log-delivery-write"},
        False,
        {"acl": U},
        *[({"acl": word}, True) for word in ("public-read-write", "authenticated-read", "website")],
    ),
    "aws-bucket-versioned": case(
        versioning,
        {"versioning_configuration": {"status": "Suspended"}},
        {"versioning_configuration": {"status": "Disabled"}},
        True,
        {"versioning_configuration": {"status": U}},
    ),
    "aws-bucket-tls": Case(
        good=[(bucket, {}), (bucket_policy, tls())],
        bad=[(bucket, {}), (bucket_policy, tls("Allow"))],
        edge=([(bucket, {}), (bucket, {}), (bucket_policy, tls())], True),
        unknown=[(bucket, {}), (bucket_policy, {"policy": U})],
        more=(([(bucket, {}), (bucket_policy, tls(flag="true"))], True), ([(bucket, {})], True)),
    ),
    "aws-bucket-own-key": case(
        encryption,
        sse("AES256"),
        sse("aws:kms:dsse"),
        False,
        sse(U),
        (sse("AES256"), False),
        good=sse("aws:kms"),
        others={"more-0": DEV},
    ),
    "aws-registry-immutable": case(
        repository,
        {"image_tag_mutability": "MUTABLE"},
        {"image_tag_mutability": GONE},
        True,
        {"image_tag_mutability": U},
        ({"image_tag_mutability": "IMMUTABLE_WITH_EXCLUSION"}, False),
    ),
    "aws-registry-scan": case(
        repository,
        {"image_scanning_configuration": {"scan_on_push": False}},
        {"image_scanning_configuration": GONE},
        True,
        {"image_scanning_configuration": {"scan_on_push": U}},
    ),
}
# Further resource types of the same rules.
MORE: dict[str, Case] = {
    "aws-security-group-open": case(
        security_rule,
        {},
        {"type": "egress"},
        False,
        {"cidr_blocks": U},
        good={"cidr_blocks": ["10.0.0.0/8"]},
    ),
    "aws-bucket-acl-public": case(bucket, {"acl": "public-read"}, {"acl": "private"}, False, {"acl": U}),
}
MORE_STILL: dict[str, Case] = {
    "aws-security-group-open": case(
        ingress_rule,
        {},
        {"from_port": 443, "to_port": 443},
        False,
        {"cidr_ipv4": U},
        ({"ip_protocol": "-1", "from_port": GONE, "to_port": GONE}, True),
        ({"ip_protocol": "-1", "from_port": 443, "to_port": 443}, True),
        ({"cidr_ipv4": GONE, "cidr_ipv6": "::/0"}, True),
        good={"cidr_ipv4": "10.0.0.0/8"},
    ),
}
ALL = (CASES, MORE, MORE_STILL)
__all__ = ["ALL", "PROD"]
