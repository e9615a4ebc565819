"""Finds AWS resources whose ids are random, by the tags that make them ours, through the AWS command line.

The command line and not boto3: a machine that reaches an EKS cluster has it already (`aws eks get-token`), and it finds
credentials as its user set them up. Describe calls and not the tagging API, which lags behind by minutes.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from typing import Any

# Type -> the describe command, the flag it filters with, and where ids are in its answer (JMESPath).
_BY_NAME_TAG = {
    "aws:ec2/eip:Eip": ("describe-addresses", "--filters", "Addresses[].AllocationId"),
    "aws:ec2/internetGateway:InternetGateway": (
        "describe-internet-gateways",
        "--filters",
        "InternetGateways[].InternetGatewayId",
    ),
    "aws:ec2/launchTemplate:LaunchTemplate": ("describe-launch-templates", "--filters", "LaunchTemplates[].LaunchTemplateId"),
    "aws:ec2/natGateway:NatGateway": (
        "describe-nat-gateways",
        "--filter",
        # A deleted gateway is still described, for about an hour.
        "NatGateways[?State=='pending' || State=='available'].NatGatewayId",
    ),
    "aws:ec2/routeTable:RouteTable": ("describe-route-tables", "--filters", "RouteTables[].RouteTableId"),
    "aws:ec2/securityGroup:SecurityGroup": ("describe-security-groups", "--filters", "SecurityGroups[].GroupId"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": (
        "describe-security-group-rules",
        "--filters",
        "SecurityGroupRules[].SecurityGroupRuleId",
    ),
    "aws:ec2/subnet:Subnet": ("describe-subnets", "--filters", "Subnets[].SubnetId"),
    "aws:ec2/vpc:Vpc": ("describe-vpcs", "--filters", "Vpcs[].VpcId"),
    "aws:ec2/vpcEndpoint:VpcEndpoint": ("describe-vpc-endpoints", "--filters", "VpcEndpoints[?State!='deleted'].VpcEndpointId"),
}
_LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
_KEY = "aws:kms/key:Key"
_POD_IDENTITY = "aws:eks/podIdentityAssociation:PodIdentityAssociation"
TYPES = frozenset({*_BY_NAME_TAG, _KEY, _POD_IDENTITY})


def find(stack: str, type_: str, inputs: Mapping[str, Any], region: str, env: Mapping[str, str]) -> list[str] | None:
    """Ids of the stack's resources of that type and name; None for a type or inputs that AWS cannot be asked about.

    Raises:
        RuntimeError: the command line is missing or was refused; the message says how to look by hand.
    """
    name = (inputs.get("tags") or {}).get("Name")
    if type_ == _LAUNCH_TEMPLATE and inputs.get("name"):
        by = f"Name=launch-template-name,Values={inputs.get('name')}"
        command, flag, query = _BY_NAME_TAG[type_]
        return _ask(["ec2", command, flag, by, "--query", query], region, env)
    if type_ in _BY_NAME_TAG and name:
        command, flag, query = _BY_NAME_TAG[type_]
        tags = [f"Name=tag:Name,Values={name}", f"Name=tag:accelfleet-stack,Values={stack}"]
        return _ask(["ec2", command, flag, *tags, "--query", query], region, env)
    if type_ == _KEY and name:
        tags = [f"Key=Name,Values={name}", f"Key=accelfleet-stack,Values={stack}"]
        query = "ResourceTagMappingList[].ResourceARN"
        command_ = ["resourcegroupstaggingapi", "get-resources", "--resource-type-filters", "kms:key", "--tag-filters", *tags]
        return [arn.rpartition("/")[2] for arn in _ask([*command_, "--query", query], region, env)]
    if type_ == _POD_IDENTITY and all(inputs.get(k) for k in ("clusterName", "namespace", "serviceAccount")):
        flags = ["--cluster-name", inputs["clusterName"], "--namespace", inputs["namespace"]]
        flags += ["--service-account", inputs["serviceAccount"], "--query", "associations[].associationId"]
        found = _ask(["eks", "list-pod-identity-associations", *flags], region, env, absent="ResourceNotFoundException")
        return [f"{inputs['clusterName']},{id_}" for id_ in found]
    return None


def _ask(arguments: list[str], region: str, env: Mapping[str, str], absent: str = "\0") -> list[str]:
    command = ["aws", *arguments, "--output", "json", *(["--region", region] if region else [])]
    try:
        done = subprocess.run(command, env=dict(env), capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError:
        raise RuntimeError(
            "a killed run left resources unfinished, and finding them needs the AWS command line, which is not on PATH: "
            "install it (https://docs.aws.amazon.com/cli/), then run again"
        ) from None
    if absent in done.stderr:
        return []
    if done.returncode != 0:
        raise RuntimeError(f"looking for unfinished resources: `{' '.join(command)}` was refused: {done.stderr.strip()}")
    return [str(id_) for id_ in json.loads(done.stdout or "[]") or []]
