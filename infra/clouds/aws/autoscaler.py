"""What cluster-autoscaler may do in AWS: see all Auto Scaling groups, and move those that carry this cluster's tags.

Owns the role and who may take it; the autoscaler itself runs in the cluster (`infra/kubernetes/cluster_autoscaler.py`).
"""

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
_TAG = "aws:ResourceTag/k8s.io/cluster-autoscaler"


class EksAutoscalerRole(pulumi.ComponentResource):
    """A role for one service account, by Pod Identity; it can resize this cluster's groups and no other's.

    Attributes:
        env: what the autoscaler's container needs to know, for lack of instance metadata (hop limit 1).
    """

    role_arn: pulumi.Output[str]
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
            assume_role_policy=json.dumps(_trust(cluster.physical_name, namespace, service_account)),
            opts=child,
        )
        rights = aws.iam.RolePolicy(
            f"{name}-rights",
            name="autoscale",
            role=role.name,
            policy=json.dumps(autoscaler_policy(cluster.physical_name)),
            opts=child,
        )
        aws.eks.PodIdentityAssociation(
            f"{name}-association",
            cluster_name=cluster.cluster_name,
            namespace=namespace,
            service_account=service_account,
            role_arn=role.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[rights]),
        )
        self.role_arn, self.env = role.arn, {"AWS_REGION": region}
        self.register_outputs({"roleArn": self.role_arn})


def autoscaler_policy(cluster: str) -> dict[str, object]:
    """IAM policy for the cluster of that physical name; the tags are those that EKS and our pools set."""
    owned = {"StringEquals": {f"{_TAG}/enabled": "true", f"{_TAG}/{cluster}": "owned"}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            # Describe calls know no resource level.
            {"Effect": "Allow", "Action": list(_SEE), "Resource": "*"},
            {"Effect": "Allow", "Action": list(_MOVE), "Resource": "*", "Condition": owned},
        ],
    }


def _trust(cluster: str, namespace: str, service_account: str) -> dict[str, object]:
    """As in `identity`: the session tags that EKS sets, so that no other association in the account borrows the role."""
    tags = {
        "aws:RequestTag/eks-cluster-name": cluster,
        "aws:RequestTag/kubernetes-namespace": namespace,
        "aws:RequestTag/kubernetes-service-account": service_account,
    }
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {"StringEquals": tags},
            }
        ],
    }
