"""AWS as far as a platform notices: ids, ARNs, EKS with its pools, what holds what, S3.

Follows the EKS, EC2 and IAM API references; ids look like AWS's own so that programs may parse them.
"""

from __future__ import annotations

import base64
import hashlib
import re
import urllib.parse
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sandbox.cloud.behaviour import AWS_ACCOUNT, Behaviour, ask_store, bytes_of, own_id, serial
from sandbox.cloud.pools import integer
from sandbox.cloud.records import Record

if TYPE_CHECKING:
    from sandbox.cloud.world import World

_GLOBAL_SERVICES = ("iam", "s3")


def region(record: Record) -> str:
    return str(record.inputs.get("region") or record.config.get("region") or "us-east-1")


@dataclass(frozen=True)
class Aws(Behaviour):
    """An AWS resource. `arn` is the part after the account, with `{id}` and `{name}`; None where AWS has no ARN."""

    arn: str | None = None
    service: str = "ec2"

    def outputs(self, world: World, record: Record) -> dict[str, Any]:
        out: dict[str, Any] = {"region": region(record)}
        tags = {**(record.config.get("defaultTags") or {}), **(record.inputs.get("tags") or {})}
        if tags:
            out["tagsAll"] = tags
        if self.arn is not None:
            out["arn"] = self.arn_of(record)
        return out | self.computed(world, record)

    def arn_of(self, record: Record) -> str:
        where = "" if self.service in _GLOBAL_SERVICES else region(record)
        account = "" if self.service == "s3" else AWS_ACCOUNT
        path = (self.arn or "{id}").format(id=record.id, name=record.inputs.get("name", record.id))
        return f"arn:aws:{self.service}:{where}:{account}:{path}"

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        """Outputs of this type alone."""
        return {}


class Unmodelled(Aws):
    """A type of which nothing is known: an ARN in the usual form where the SDK promises one, as policies need it."""

    def identify(self, world: World, record: Record) -> str:
        return own_id(world, record)

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        if record.outputs.get("arn") != "":
            return {}
        service = record.type.split(":")[1].split("/")[0]
        return {"arn": replace(self, service=service).arn_of(record)}


class Vpc(Aws):
    def computed(self, world: World, record: Record) -> dict[str, Any]:
        return {
            "mainRouteTableId": "rtb-" + serial(record.id, "main"),
            "defaultRouteTableId": "rtb-" + serial(record.id, "main"),
            "defaultSecurityGroupId": "sg-" + serial(record.id, "default"),
            "defaultNetworkAclId": "acl-" + serial(record.id, "default"),
            "ownerId": AWS_ACCOUNT,
        }


class Role(Aws):
    def computed(self, world: World, record: Record) -> dict[str, Any]:
        return {"uniqueId": "AROA" + serial(record.id).upper(), "createDate": "2026-01-01T00:00:00Z"}


class KmsKey(Aws):
    def computed(self, world: World, record: Record) -> dict[str, Any]:
        return {"keyId": record.id}


class LaunchTemplate(Aws):
    def computed(self, world: World, record: Record) -> dict[str, Any]:
        return {"latestVersion": 1, "defaultVersion": 1}

    def updated(self, world: World, record: Record, old: dict[str, Any]) -> dict[str, Any]:
        version = integer(record.outputs.get("latestVersion"), 1) + 1
        return {"latestVersion": version}


class Cluster(Aws):
    """EKS cluster: a real control plane."""

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        issuer = f"https://oidc.eks.{region(record)}.amazonaws.com/id/{serial(record.id, length=32).upper()}"
        vpc = dict(record.inputs.get("vpcConfig") or {})
        return {
            "status": "ACTIVE",
            "platformVersion": "eks.1",
            "identities": [{"oidcs": [{"issuer": issuer}]}],
            "vpcConfig": {**vpc, "clusterSecurityGroupId": "sg-" + serial(record.id, "cluster")},
            "createdAt": "2026-01-01T00:00:00Z",
        }

    def created(self, world: World, record: Record) -> dict[str, Any]:
        about = world.clusters.start("aws", record.id)
        ca = base64.b64encode(about["ca"].encode()).decode()
        return {"endpoint": about["endpoint"], "certificateAuthority": {"data": ca}, "certificateAuthorities": [{"data": ca}]}

    def updated(self, world: World, record: Record, old: dict[str, Any]) -> dict[str, Any]:
        kept = ("endpoint", "certificateAuthority", "certificateAuthorities")
        return {k: record.outputs[k] for k in kept if k in record.outputs}

    def deleting(self, world: World, record: Record) -> None:
        world.clusters.delete("aws", record.id)


class Instance(Aws):
    """EC2 instance: addresses, and no machine behind them."""

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        # Documentation addresses (RFC 5737): nothing answers there, and nobody else's machine does.
        number = int(serial(record.id, length=4), 16)
        private, public = f"172.31.{number % 16}.{number % 250 + 4}", f"203.0.113.{number % 254 + 1}"
        where = region(record)
        return {
            "privateIp": private,
            "privateDns": f"ip-{private.replace('.', '-')}.{where}.compute.internal",
            "publicIp": public,
            "publicDns": f"ec2-{public.replace('.', '-')}.{where}.compute.amazonaws.com",
            "instanceState": "running",
            "primaryNetworkInterfaceId": "eni-" + serial(record.id),
            "availabilityZone": record.inputs.get("availabilityZone") or where + "a",
        }


class Function(Aws):
    """Lambda function: it is there and runs nothing."""

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        arn, where = self.arn_of(record), region(record)
        return {
            "invokeArn": f"arn:aws:apigateway:{where}:lambda:path/2015-03-31/functions/{arn}/invocations",
            "qualifiedArn": f"{arn}:$LATEST",
            "version": "$LATEST",
            "lastModified": "2026-01-01T00:00:00.000+0000",
        }


class Queue(Aws):
    """SQS queue; its id is its URL."""

    def identify(self, world: World, record: Record) -> str:
        return f"https://sqs.{region(record)}.amazonaws.com/{AWS_ACCOUNT}/{record.inputs.get('name')}"

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        return {"url": record.id}


class Topic(Aws):
    """SNS topic; its id is its ARN."""

    def identify(self, world: World, record: Record) -> str:
        return self.arn_of(record)

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        return {"owner": AWS_ACCOUNT}


class Subscription(Aws):
    """SNS subscription; an ARN below its topic's."""

    def identify(self, world: World, record: Record) -> str:
        return f"{record.inputs['topic']}:{uuid.UUID(serial(record.urn, world.next_serial(record.urn), length=32))}"

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        # A queue of the same account confirms by itself.
        return {
            "arn": record.id,
            "ownerId": AWS_ACCOUNT,
            "pendingConfirmation": record.inputs.get("protocol") not in ("sqs", "lambda", "firehose"),
            "confirmationWasAuthenticated": True,
        }


class Website(Aws):
    def computed(self, world: World, record: Record) -> dict[str, Any]:
        domain = f"s3-website-{region(record)}.amazonaws.com"
        return {"websiteDomain": domain, "websiteEndpoint": f"{record.inputs['bucket']}.{domain}"}


class Object(Aws):
    """S3 object, its bytes in the bucket."""

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        return {
            "etag": hashlib.md5(_body(record)).hexdigest(),  # noqa: S324 - S3's own etag
            "versionId": "",
            "contentType": record.inputs.get("contentType") or "application/octet-stream",
        }

    def created(self, world: World, record: Record) -> dict[str, Any]:
        _s3(world, "PUT", _path(record), _body(record), content_type=record.outputs["contentType"])
        return {}

    def updated(self, world: World, record: Record, old: dict[str, Any]) -> dict[str, Any]:
        return self.created(world, record)

    def deleting(self, world: World, record: Record) -> None:
        _s3(world, "DELETE", _path(record))


def _s3(world: World, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
    """A call as the account's owner: an anonymous one may not touch what is there. moto does not check the signature."""
    signed = "AWS4-HMAC-SHA256 Credential=sandbox/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    return ask_store(method, f"{world.buckets.s3.endpoint}/{path}", body, authorization=signed, **headers)


def _path(record: Record) -> str:
    return f"{record.inputs['bucket']}/{urllib.parse.quote(record.inputs['key'])}"


def _body(record: Record) -> bytes:
    if isinstance(encoded := record.inputs.get("contentBase64"), str):
        return base64.b64decode(encoded)
    content = record.inputs.get("content")
    return content.encode() if isinstance(content, str) else bytes_of(record) or b""


class Bucket(Aws):
    """S3 bucket, with bytes behind it where moto can be had."""

    def identify(self, world: World, record: Record) -> str:
        return str(record.inputs.get("bucket") or f"bucket-{world.next_serial(record.urn)}")

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        domain = f"{record.id}.s3.{region(record)}.amazonaws.com"
        return {"bucket": record.id, "bucketDomainName": f"{record.id}.s3.amazonaws.com", "bucketRegionalDomainName": domain}

    def created(self, world: World, record: Record) -> dict[str, Any]:
        world.buckets.server("aws").create(record.id)
        return {}

    def deleting(self, world: World, record: Record) -> None:
        listing = f"{record.id}?list-type=2&encoding-type=url"
        while record.inputs.get("forceDestroy") and (
            keys := re.findall(r"<Key>(.*?)</Key>", _s3(world, "GET", listing).decode())
        ):
            for key in keys:
                _s3(world, "DELETE", f"{record.id}/{key}")
        world.buckets.server("aws").delete(record.id, force=False)


_IN_VPC = tuple(
    (t, "vpcId")
    for t in (
        "aws:ec2/subnet:Subnet",
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:ec2/routeTable:RouteTable",
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        "aws:ec2/internetGateway:InternetGateway",
    )
)
_IN_SUBNET = (
    ("aws:ec2/natGateway:NatGateway", "subnetId"),
    ("aws:ec2/networkInterface:NetworkInterface", "subnetId"),
    ("aws:ec2/instance:Instance", "subnetId"),
    ("aws:lb/loadBalancer:LoadBalancer", "subnets"),
    ("aws:eks/nodeGroup:NodeGroup", "subnetIds"),
    ("aws:eks/cluster:Cluster", "vpcConfig.subnetIds"),
    ("aws:ec2/vpcEndpoint:VpcEndpoint", "subnetIds"),
)

TYPES: dict[str, Behaviour] = {
    "aws:ec2/vpc:Vpc": Vpc(prefix="vpc-", arn="vpc/{id}", holds=_IN_VPC, immutable=("cidrBlock",)),
    "aws:ec2/subnet:Subnet": Aws(
        prefix="subnet-", arn="subnet/{id}", holds=_IN_SUBNET, immutable=("cidrBlock", "availabilityZone", "vpcId")
    ),
    "aws:ec2/internetGateway:InternetGateway": Aws(prefix="igw-", arn="internet-gateway/{id}"),
    "aws:ec2/eip:Eip": Aws(
        prefix="eipalloc-", arn="elastic-ip/{id}", holds=(("aws:ec2/natGateway:NatGateway", "allocationId"),)
    ),
    "aws:ec2/natGateway:NatGateway": Aws(prefix="nat-", arn="natgateway/{id}", immutable=("subnetId", "allocationId")),
    "aws:ec2/routeTable:RouteTable": Aws(prefix="rtb-", arn="route-table/{id}", immutable=("vpcId",)),
    "aws:ec2/route:Route": Aws(
        key=("routeTableId", "destinationCidrBlock", "destinationPrefixListId"),
        immutable=("routeTableId", "destinationCidrBlock"),
    ),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": Aws(key=("subnetId", "gatewayId"), immutable=("subnetId",)),
    "aws:ec2/vpcEndpoint:VpcEndpoint": Aws(prefix="vpce-", arn="vpc-endpoint/{id}", immutable=("vpcId", "serviceName")),
    "aws:ec2/securityGroup:SecurityGroup": Aws(
        prefix="sg-", arn="security-group/{id}", immutable=("name", "vpcId", "description")
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": Aws(key=("vpcId",), arn="security-group/{id}", immutable=("vpcId",)),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": Aws(prefix="sgr-", arn="security-group-rule/{id}"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": Aws(prefix="sgr-", arn="security-group-rule/{id}"),
    "aws:ec2/networkInterface:NetworkInterface": Aws(prefix="eni-", arn="network-interface/{id}"),
    "aws:ec2/instance:Instance": Instance(prefix="i-", arn="instance/{id}", immutable=("ami", "subnetId", "availabilityZone")),
    "aws:ec2/launchTemplate:LaunchTemplate": LaunchTemplate(prefix="lt-", arn="launch-template/{id}", immutable=("name",)),
    "aws:ec2/placementGroup:PlacementGroup": Aws(key=("name",), arn="placement-group/{id}", immutable=("name", "strategy")),
    "aws:ec2/flowLog:FlowLog": Aws(prefix="fl-", arn="vpc-flow-log/{id}"),
    "aws:lb/loadBalancer:LoadBalancer": Aws(service="elasticloadbalancing", arn="loadbalancer/app/{name}", immutable=("name",)),
    "aws:kms/key:Key": KmsKey(service="kms", prefix="key-", arn="key/{id}"),
    "aws:kms/alias:Alias": Aws(service="kms", key=("name",), arn="{id}", immutable=("name",)),
    "aws:iam/role:Role": Role(service="iam", arn="role/{name}", immutable=("name",)),
    "aws:iam/policy:Policy": Aws(service="iam", arn="policy/{name}", immutable=("name",)),
    "aws:iam/instanceProfile:InstanceProfile": Aws(service="iam", arn="instance-profile/{name}", immutable=("name",)),
    "aws:iam/rolePolicy:RolePolicy": Aws(key=("role", "name"), immutable=("role", "name")),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": Aws(key=("role", "policyArn"), immutable=("role", "policyArn")),
    "aws:autoscaling/schedule:Schedule": Aws(
        key=("autoscalingGroupName", "scheduledActionName"), immutable=("autoscalingGroupName", "scheduledActionName")
    ),
    "aws:cloudwatch/logGroup:LogGroup": Aws(service="logs", arn="log-group:{name}", immutable=("name",)),
    "aws:eks/cluster:Cluster": Cluster(
        service="eks",
        arn="cluster/{id}",
        holds=(("aws:eks/nodeGroup:NodeGroup", "clusterName"), ("aws:eks/fargateProfile:FargateProfile", "clusterName")),
        immutable=("name", "roleArn"),
    ),
    "aws:eks/accessEntry:AccessEntry": Aws(
        service="eks", key=("clusterName", "principalArn"), immutable=("clusterName", "principalArn")
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": Aws(
        key=("clusterName", "principalArn", "policyArn"), immutable=("clusterName", "principalArn", "policyArn")
    ),
    "aws:eks/addon:Addon": Aws(
        service="eks", key=("clusterName", "addonName"), arn="addon/{id}", immutable=("clusterName", "addonName")
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": Aws(
        service="eks",
        key=("clusterName", "namespace", "serviceAccount"),
        immutable=("clusterName", "namespace", "serviceAccount"),
    ),
    "aws:s3/bucket:Bucket": Bucket(service="s3", arn="{id}", immutable=("bucket",)),
    **{
        f"aws:s3/{name[0].lower()}{name[1:]}:{name}": Aws(key=("bucket",), immutable=("bucket",))
        for name in (
            "BucketPublicAccessBlock",
            "BucketVersioning",
            "BucketServerSideEncryptionConfiguration",
            "BucketLifecycleConfiguration",
            "BucketPolicy",
            "BucketOwnershipControls",
            "BucketNotification",
        )
    },
    "aws:s3/bucketWebsiteConfiguration:BucketWebsiteConfiguration": Website(key=("bucket",), immutable=("bucket",)),
    **{
        f"aws:s3/{name[0].lower()}{name[1:]}:{name}": Object(
            service="s3", arn="{id}", key=("bucket", "key"), immutable=("bucket", "key")
        )
        for name in ("BucketObject", "BucketObjectv2")
    },
    "aws:sqs/queue:Queue": Queue(service="sqs", arn="{name}", immutable=("name",)),
    "aws:cloudwatch/eventRule:EventRule": Aws(service="events", arn="rule/{name}", immutable=("name",)),
    "aws:cloudwatch/eventTarget:EventTarget": Aws(key=("rule", "targetId"), immutable=("rule", "targetId")),
    "aws:ec2/tag:Tag": Aws(key=("resourceId", "key"), immutable=("resourceId", "key")),
    "aws:sqs/queuePolicy:QueuePolicy": Aws(key=("queueUrl",), immutable=("queueUrl",)),
    "aws:sns/topic:Topic": Topic(service="sns", arn="{name}", immutable=("name",)),
    "aws:sns/topicSubscription:TopicSubscription": Subscription(prefix="", immutable=("topic", "protocol", "endpoint")),
    "aws:lambda/function:Function": Function(service="lambda", arn="function:{name}", immutable=("name",)),
    "aws:dynamodb/table:Table": Aws(service="dynamodb", arn="table/{name}", immutable=("name",)),
    "aws:ecr/repository:Repository": Aws(service="ecr", arn="repository/{name}", immutable=("name",)),
}

# Found again by tags or content and not by name: `prefix` says that the cloud gives the id out.
UNMODELLED = Unmodelled(prefix="")
