"""The least rights of Karpenter's controller: to start, tag and end machines that carry this cluster's tags, and to look.

After https://karpenter.sh/docs/reference/cloudformation/, without its rights over instance profiles.
"""

from __future__ import annotations

from typing import Any

import pulumi

# What a machine is started in and from, which is not Karpenter's own.
_FOUND = ("image/*", "snapshot/*", "security-group/*", "subnet/*", "capacity-reservation/*", "placement-group/*")
_MADE = ("fleet/*", "instance/*", "volume/*", "network-interface/*", "launch-template/*", "spot-instances-request/*")
_LOOK = (
    "ec2:DescribeCapacityReservations",
    "ec2:DescribeImages",
    "ec2:DescribeInstances",
    "ec2:DescribeInstanceStatus",
    "ec2:DescribeInstanceTypeOfferings",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeLaunchTemplates",
    "ec2:DescribePlacementGroups",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSpotPriceHistory",
    "ec2:DescribeSubnets",
)
_LAUNCH = ["ec2:RunInstances", "ec2:CreateFleet"]


def controller_policy(cluster: str, region: str, node_role: pulumi.Output[str], queue: pulumi.Output[str]) -> dict[str, object]:
    """IAM policy for the cluster of that physical name.

    Args:
        node_role: ARN of the one role that it may pass on, to EC2 alone. queue: ARN of the queue that it reads.
    """
    owned = f"kubernetes.io/cluster/{cluster}"
    any_pool = {"aws:ResourceTag/karpenter.sh/nodepool": "*"}
    ours = {"StringEquals": {f"aws:ResourceTag/{owned}": "owned"}, "StringLike": any_pool}
    asked = {f"aws:RequestTag/{owned}": "owned", "aws:RequestTag/eks:eks-cluster-name": cluster}
    named = {"aws:RequestTag/karpenter.sh/nodepool": "*"}
    creating = {"ec2:CreateAction": ["RunInstances", "CreateFleet", "CreateLaunchTemplate"]}
    # After a node registered: its names, and no other tag.
    renamed = {"ForAllValues:StringEquals": {"aws:TagKeys": ["eks:eks-cluster-name", "karpenter.sh/nodeclaim", "Name"]}}
    own_name = {"StringEqualsIfExists": {"aws:RequestTag/eks:eks-cluster-name": cluster}}
    to_ec2 = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            _allow("LaunchFrom", _LAUNCH, _ec2(region, *_FOUND)),
            _allow("LaunchByOwnTemplate", _LAUNCH, _ec2(region, "launch-template/*"), ours),
            _allow(
                "LaunchTagged",
                [*_LAUNCH, "ec2:CreateLaunchTemplate"],
                _ec2(region, *_MADE),
                {"StringEquals": asked, "StringLike": named},
            ),
            _allow(
                "TagAtLaunch",
                ["ec2:CreateTags"],
                _ec2(region, *_MADE),
                {"StringEquals": {**asked, **creating}, "StringLike": named},
            ),
            _allow("Rename", ["ec2:CreateTags"], _ec2(region, "instance/*"), {**ours, **own_name, **renamed}),
            _allow(
                "EndOwn",
                ["ec2:TerminateInstances", "ec2:DeleteLaunchTemplate"],
                _ec2(region, "instance/*", "launch-template/*"),
                ours,
            ),
            # Describe calls know no resource level.
            _allow("Look", list(_LOOK), ["*"], {"StringEquals": {"aws:RequestedRegion": region}}),
            _allow("FindImages", ["ssm:GetParameter"], [f"arn:aws:ssm:{region}::parameter/aws/service/*"]),
            _allow("KnowPrices", ["pricing:GetProducts"], ["*"]),
            _allow("HearWarnings", ["sqs:DeleteMessage", "sqs:GetQueueUrl", "sqs:ReceiveMessage"], [queue]),
            _allow("GiveNodesTheirRole", ["iam:PassRole"], [node_role], to_ec2),
            _allow("SeeTheProfile", ["iam:GetInstanceProfile"], ["arn:aws:iam::*:instance-profile/*"]),
            _allow("FindTheCluster", ["eks:DescribeCluster"], [f"arn:aws:eks:{region}:*:cluster/{cluster}"]),
        ],
    }


def _allow(
    sid: str, actions: list[str], resources: list[Any], condition: dict[str, dict[str, Any]] | None = None
) -> dict[str, object]:
    made: dict[str, object] = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}
    return {**made, "Condition": condition} if condition else made


def _ec2(region: str, *kinds: str) -> list[str]:
    """Images and snapshots belong to whoever made them: no account stands in their ARN."""
    return [f"arn:aws:ec2:{region}:{'' if kind.startswith(('image', 'snapshot')) else '*'}:{kind}" for kind in kinds]
