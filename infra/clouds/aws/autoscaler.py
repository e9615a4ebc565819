"""What cluster-autoscaler may do in AWS: see all Auto Scaling groups, and move those that carry this cluster's tag."""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from infra import naming
from infra.clouds.aws.cluster import EksCluster

# https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/cloudprovider/aws/README.md
_SEE = (
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeAutoScalingInstances",
    "autoscaling:DescribeLaunchConfigurations",
    "autoscaling:DescribeScalingActivities",
    "autoscaling:DescribeTags",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeLaunchTemplateVersions",
    "ec2:GetInstanceTypesFromInstanceRequirements",
    "eks:DescribeNodegroup",
)
_MOVE = ("autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup")


class EksAutoscalerRole(pulumi.ComponentResource):
    """A role for one service account, by Pod Identity; it can resize this cluster's groups and no other's.

    Attributes:
        env: what the autoscaler's container needs to know, for lack of instance metadata (hop limit 1).
    """

    env: dict[str, str]

    def __init__(
        self,
        name: str,
        *,
        cluster: EksCluster,
        region: str,
        namespace: str,
        service_account: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("accelfleet:aws:EksAutoscalerRole", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-role",
            name=naming.physical(cluster.physical_name, service_account, limit=64),
            assume_role_policy=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "pods.eks.amazonaws.com"},
                            "Action": ["sts:AssumeRole", "sts:TagSession"],
                        }
                    ],
                }
            ),
            opts=child,
        )
        rights = aws.iam.RolePolicy(
            f"{name}-rights", name="autoscale", role=role.name, policy=json.dumps(_policy(cluster.physical_name)), opts=child
        )
        aws.eks.PodIdentityAssociation(
            f"{name}-association",
            cluster_name=cluster.cluster_name,
            namespace=namespace,
            service_account=service_account,
            role_arn=role.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[rights]),
        )
        self.env = {"AWS_REGION": region}
        self.register_outputs({})


def _policy(cluster: str) -> dict[str, object]:
    owned = {"StringEquals": {f"aws:ResourceTag/k8s.io/cluster-autoscaler/{cluster}": "owned"}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": list(_SEE), "Resource": "*"},
            {"Effect": "Allow", "Action": list(_MOVE), "Resource": "*", "Condition": owned},
        ],
    }
