"""EKS Pod Identity: one Kubernetes service account gets a role of its own, without a key and without the node's role.

Grants a model's pods reading and nothing else. Makes no service account; the pod needs no annotation, for EKS knows the
association.
"""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from fleet import naming
from infra.clouds.aws.cluster import EksCluster
from infra.clouds.aws.object_store import S3Store
from infra.clouds.base import WorkloadIdentityArgs


class EksPodIdentity(pulumi.ComponentResource):
    """A role that pods of one service account of one cluster take (pain 15), after "EKS Pod Identity"."""

    role_arn: pulumi.Output[str]
    service_account_annotations: pulumi.Output[dict[str, str]]
    pod_labels: dict[str, str]

    def __init__(
        self, name: str, args: WorkloadIdentityArgs[EksCluster, S3Store], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:aws:EksPodIdentity", name, {}, opts)
        role = role_of_pods(
            self,
            name,
            cluster=args.cluster,
            namespace=args.namespace,
            service_account=args.service_account,
            role_name=naming.physical(args.cluster.physical_name, args.namespace, args.service_account, limit=64),
            rights=("read-store", pulumi.Output.json_dumps(_read_only(args.store.bucket_arn))),
        )
        self.role_arn = role.arn
        self.service_account_annotations = pulumi.Output.from_input({})
        self.pod_labels = {}
        self.register_outputs({"roleArn": self.role_arn, "serviceAccountAnnotations": self.service_account_annotations})


def role_of_pods(
    parent: pulumi.Resource,
    name: str,
    *,
    cluster: EksCluster,
    namespace: str,
    service_account: str,
    role_name: str,
    rights: tuple[str, pulumi.Input[str]],
) -> aws.iam.Role:
    """A role with one inline policy (`rights`: its name and JSON) that one service account's pods of one cluster take."""
    child = pulumi.ResourceOptions(parent=parent)
    trust = json.dumps(_trust(cluster.physical_name, namespace, service_account))
    role = aws.iam.Role(f"{name}-role", name=role_name, assume_role_policy=trust, opts=child)
    title, policy = rights
    granted = aws.iam.RolePolicy(f"{name}-rights", name=title, role=role.name, policy=policy, opts=child)
    aws.eks.PodIdentityAssociation(
        f"{name}-association",
        cluster_name=cluster.cluster_name,
        namespace=namespace,
        service_account=service_account,
        role_arn=role.arn,
        # A pod that starts between the two would hold a role without rights.
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[granted]),
    )
    return role


def _trust(cluster: str, namespace: str, service_account: str) -> dict[str, object]:
    """https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html

    By the session tags that EKS sets, so that no other association in the account can borrow the role.
    """
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


def _read_only(bucket: pulumi.Output[str]) -> dict[str, object]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation"], "Resource": bucket},
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": pulumi.Output.concat(bucket, "/*")},
        ],
    }
