"""What cluster-autoscaler may do in AWS: see all Auto Scaling groups, and move those that carry this cluster's tags.

Owns the role and who may take it; the autoscaler itself runs in the cluster (`infra/kubernetes/cluster_autoscaler.py`).
"""

from __future__ import annotations

import json

import pulumi

from fleet import naming
from infra.clouds.aws.cluster import EksCluster
from infra.clouds.aws.identity import role_of_pods

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
        role = role_of_pods(
            self,
            name,
            cluster=cluster,
            namespace=namespace,
            service_account=service_account,
            role_name=naming.physical(cluster.physical_name, service_account, limit=64),
            rights=("autoscale", json.dumps(autoscaler_policy(cluster.physical_name))),
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
