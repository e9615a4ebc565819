"""EKS Pod Identity: one Kubernetes service account reads one bucket, without a key and without the node's role.

Grants reading only. Makes no service account; the pod needs no annotation, for EKS knows the association.
"""

from __future__ import annotations

import json

import pulumi
import pulumi_aws as aws

from infra import naming
from infra.clouds.aws.cluster import EksCluster
from infra.clouds.aws.object_store import S3Store
from infra.clouds.base import WorkloadIdentityArgs


class EksPodIdentity(pulumi.ComponentResource):
    """A role that pods of one service account of one cluster take (pain 15), after "EKS Pod Identity".

    The trust names cluster, namespace and service account by the session tags that EKS sets, so that no other
    association in the account can borrow the role.
    """

    role_arn: pulumi.Output[str]
    service_account_annotations: pulumi.Output[dict[str, str]]
    pod_labels: dict[str, str]

    def __init__(
        self, name: str, args: WorkloadIdentityArgs[EksCluster, S3Store], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:aws:EksPodIdentity", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        role = aws.iam.Role(
            f"{name}-role",
            name=naming.physical(args.cluster.physical_name, args.namespace, args.service_account, limit=64),
            assume_role_policy=json.dumps(_trust(args)),
            opts=child,
        )
        rights = aws.iam.RolePolicy(
            f"{name}-read",
            name="read-store",
            role=role.name,
            policy=pulumi.Output.json_dumps(_read_only(args.store.bucket_arn)),
            opts=child,
        )
        aws.eks.PodIdentityAssociation(
            f"{name}-association",
            cluster_name=args.cluster.cluster_name,
            namespace=args.namespace,
            service_account=args.service_account,
            role_arn=role.arn,
            # A pod that starts between the two would hold a role without rights.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[rights]),
        )
        self.role_arn = role.arn
        self.service_account_annotations = pulumi.Output.from_input({})
        self.pod_labels = {}
        self.register_outputs({"roleArn": self.role_arn, "serviceAccountAnnotations": self.service_account_annotations})


def _trust(args: WorkloadIdentityArgs[EksCluster, S3Store]) -> dict[str, object]:
    """https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html"""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "pods.eks.amazonaws.com"},
                "Action": ["sts:AssumeRole", "sts:TagSession"],
                "Condition": {
                    "StringEquals": {
                        "aws:RequestTag/eks-cluster-name": args.cluster.physical_name,
                        "aws:RequestTag/kubernetes-namespace": args.namespace,
                        "aws:RequestTag/kubernetes-service-account": args.service_account,
                    }
                },
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
