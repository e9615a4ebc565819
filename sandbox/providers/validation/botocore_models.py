"""AWS values, by botocore's service models: the operation that creates a resource says what its inputs may be.

Owns which operation belongs to a type token, and where the provider's names part from the API's. Reads the models as
files: importing botocore would cost more than all of them. A type that is not mapped has no opinion here.
"""

from __future__ import annotations

import functools
import gzip
import importlib.util
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from sandbox.providers.validation.failure import Failure
from sandbox.providers.validation.model import Aliases, Node, walk
from sandbox.providers.validation.names import normal

# Token module → botocore service, where they differ.
_SERVICES: Final[Mapping[str, str]] = {
    "alb": "elbv2",
    "appautoscaling": "application-autoscaling",
    "cloudwatch": "cloudwatch",
    "cognito": "cognito-idp",
    "ebs": "ec2",
    "cfg": "config",
    "lb": "elbv2",
    "msk": "kafka",
    "opensearch": "opensearch",
    "sfn": "stepfunctions",
    "vpc": "ec2",
}

# Type token → (service, operation, path to the part of its input that the properties mirror).
_OPERATIONS: Final[Mapping[str, tuple[str, str, str]]] = {
    "aws:ec2/instance:Instance": ("ec2", "RunInstances", ""),
    "aws:ec2/launchTemplate:LaunchTemplate": ("ec2", "CreateLaunchTemplate", "LaunchTemplateData"),
    "aws:ec2/spotInstanceRequest:SpotInstanceRequest": ("ec2", "RunInstances", ""),
    "aws:ec2/eip:Eip": ("ec2", "AllocateAddress", ""),
    "aws:autoscaling/group:Group": ("autoscaling", "CreateAutoScalingGroup", ""),
    "aws:cloudwatch/logGroup:LogGroup": ("logs", "CreateLogGroup", ""),
    "aws:cloudwatch/metricAlarm:MetricAlarm": ("cloudwatch", "PutMetricAlarm", ""),
    "aws:cloudwatch/eventRule:EventRule": ("events", "PutRule", ""),
    "aws:rds/instance:Instance": ("rds", "CreateDBInstance", ""),
    "aws:rds/cluster:Cluster": ("rds", "CreateDBCluster", ""),
    "aws:efs/mountTarget:MountTarget": ("efs", "CreateMountTarget", ""),
    "aws:ecs/taskDefinition:TaskDefinition": ("ecs", "RegisterTaskDefinition", ""),
    "aws:batch/jobDefinition:JobDefinition": ("batch", "RegisterJobDefinition", ""),
    "aws:ssm/parameter:Parameter": ("ssm", "PutParameter", ""),
    "aws:s3/bucketAcl:BucketAcl": ("s3", "PutBucketAcl", ""),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": (
        "s3",
        "PutBucketLifecycleConfiguration",
        "LifecycleConfiguration",
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": ("s3", "PutObject", ""),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": ("s3", "PutBucketOwnershipControls", "OwnershipControls"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": (
        "s3",
        "PutBucketEncryption",
        "ServerSideEncryptionConfiguration",
    ),
    "aws:s3/bucketVersioning:BucketVersioning": ("s3", "PutBucketVersioning", ""),
    "aws:sagemaker/endpointConfiguration:EndpointConfiguration": ("sagemaker", "CreateEndpointConfig", ""),
}

# Where the provider's names part from the API's; "" where a like-named member means something else.
_ALIASES: Final[Mapping[str, Aliases]] = {
    "aws:eks/cluster:Cluster": {
        "vpcConfig": "resourcesVpcConfig",
        "enabledClusterLogTypes": "logging.clusterLogging.types",
    },
    "aws:dynamodb/table:Table": {
        "attributes": "AttributeDefinitions",
        "attributes.name": "AttributeDefinitions.AttributeName",
        "attributes.type": "AttributeDefinitions.AttributeType",
        # Key schema is the provider's hash and range key.
        "name": "TableName",
    },
    "aws:lambda/function:Function": {"name": "FunctionName"},
    "aws:lb/loadBalancer:LoadBalancer": {"loadBalancerType": "Type"},
    "aws:ebs/volume:Volume": {"type": "VolumeType"},
    "aws:ec2/launchTemplate:LaunchTemplate": {"name": "", "description": ""},
    "aws:eks/nodeGroup:NodeGroup": {"nodeGroupName": "nodegroupName"},
}

# A value of an EC2 instance type, wherever the API itself takes any string.
_INSTANCE_TYPES: Final[Mapping[str, str]] = {
    "aws:eks/nodeGroup:NodeGroup": "instanceTypes",
    "aws:autoscaling/group:Group": "mixedInstancesPolicy.launchTemplate.overrides.instanceType",
}


def check_values(token: str, inputs: Mapping[str, Any]) -> Iterator[Failure]:
    """Failures of an aws resource's values."""
    root = input_node(token)
    if root is not None:
        yield from walk(inputs, root, _ALIASES.get(token, {}))
    if token in _INSTANCE_TYPES:
        yield from walk(inputs, _instance_types(_INSTANCE_TYPES[token]), {})


@functools.cache
def regions() -> frozenset[str]:
    """Every region of every partition that botocore knows."""
    partitions = json.loads((_data() / "partitions.json").read_text(encoding="utf-8"))["partitions"]
    return frozenset(name for p in partitions for name in p["regions"])


@functools.cache
def input_node(token: str) -> Node | None:
    """What the API takes for a type; None where no operation is sure to be the one."""
    if token in _OPERATIONS:
        service, operation, part = _OPERATIONS[token]
    else:
        _, module, name = token.split(":")
        service = module.split("/")[0]
        service, operation, part = _SERVICES.get(service, service), f"Create{name}", ""
    model = _model(service)
    # `CreateNodegroup` makes a NodeGroup.
    shape = model.inputs.get(normal(operation)) if model else None
    root = model.node(shape) if model and shape else None
    return root.descend(part) if root is not None and part else root


@functools.cache
def _instance_types(path: str) -> Node:
    model = _model("ec2")
    assert model is not None
    node = model.node("InstanceType")
    for name in reversed(path.split(".")):
        node = Node("object", members=functools.partial(dict, {normal(name): node}))
    return node


class _Model:
    """One service's model: shapes by name, made into nodes when reached."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._shapes = document["shapes"]
        self.inputs = {normal(k): op["input"]["shape"] for k, op in document["operations"].items() if "input" in op}
        self._nodes: dict[str, Node] = {}

    def node(self, shape: str) -> Node:
        if shape not in self._nodes:
            self._nodes[shape] = self._make(self._shapes[shape])
        return self._nodes[shape]

    def _make(self, shape: Mapping[str, Any]) -> Node:
        low, high = shape.get("min"), shape.get("max")
        match shape["type"]:
            case "structure":
                return Node("object", members=functools.cache(lambda: self._members(shape)))
            case "list":
                return Node("list", low=low, high=high, item=lambda: self.node(shape["member"]["shape"]))
            case "string":
                return Node("string", enum=tuple(shape.get("enum", ())), pattern=_pattern(shape), low=low, high=high)
            case "integer" | "long" | "float" | "double":
                return Node("number", low=low, high=high)
            case "map":
                return Node("map")
        return Node("other")

    def _members(self, shape: Mapping[str, Any]) -> Mapping[str, Node]:
        return {normal(name): self.node(member["shape"]) for name, member in shape["members"].items()}


def _pattern(shape: Mapping[str, Any]) -> str | None:
    """Only a pattern that begins at the beginning: of the others some services mean the whole and some a part."""
    pattern = shape.get("pattern")
    return pattern if isinstance(pattern, str) and pattern.startswith("^") else None


@functools.cache
def _model(service: str) -> _Model | None:
    versions = sorted((_data() / service).glob("*/service-2.json.gz"))
    if not versions:
        return None
    return _Model(json.loads(gzip.decompress(versions[-1].read_bytes())))


@functools.cache
def _data() -> Path:
    found = importlib.util.find_spec("botocore")
    if found is None or found.origin is None:
        raise RuntimeError("botocore is not installed: it carries AWS's API models; pip install -r requirements-dev.txt")
    return Path(found.origin).parent / "data"
