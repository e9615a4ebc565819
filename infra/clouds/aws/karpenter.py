"""What Karpenter needs of AWS: its own role, the role of the nodes it makes, and the queue that tells it of interruptions.

Owns no node and no rule of what to make: those are NodePools in the cluster (`infra/kubernetes/karpenter.py`). Karpenter gets
no right over roles and instance profiles, as the documented policy would give it: the one profile it passes on is made here.
https://karpenter.sh/docs/reference/cloudformation/
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from fleet import naming
from fleet.contract import AcceleratorPool
from infra.clouds.aws import fabric
from infra.clouds.aws.cluster import NODE_POLICIES, EksCluster, role_with
from infra.clouds.aws.identity import role_of_pods
from infra.clouds.aws.karpenter_policy import controller_policy
from infra.clouds.aws.network import DISCOVERY_TAG
from infra.clouds.aws.user_data import parts

# What an event says that a node will not stay: https://karpenter.sh/docs/concepts/disruption/#interruption
_EVENTS = {
    "health": ("aws.health", "AWS Health Event"),
    "spot": ("aws.ec2", "EC2 Spot Instance Interruption Warning"),
    "rebalance": ("aws.ec2", "EC2 Instance Rebalance Recommendation"),
    "state": ("aws.ec2", "EC2 Instance State-change Notification"),
    "reserved": ("aws.ec2", "EC2 Capacity Reservation Instance Interruption Warning"),
}
_RETENTION_S = 300


class EksKarpenter(pulumi.ComponentResource):
    """Karpenter's place in the account, for one cluster; its pods take the role by Pod Identity.

    Attributes:
        discovery: the tag by which its nodes' subnets and security group are found.
        queue: name of the SQS queue with EC2's warnings.
        instance_profile: what its nodes start with; may join this cluster and do what any node does.
        placement_groups: by a rung's physical name, for rungs whose nodes stand side by side.
        user_data: by a rung's physical name, MIME parts that Karpenter puts after its own.
        env: what the controller's container needs to know, for lack of instance metadata (hop limit 1).
    """

    discovery: dict[str, str]
    queue: pulumi.Output[str]
    instance_profile: pulumi.Output[str]
    placement_groups: dict[str, pulumi.Output[str]]
    user_data: dict[str, str]
    env: dict[str, str]

    def __init__(
        self,
        name: str,
        *,
        cluster: EksCluster,
        region: str,
        namespace: str,
        service_account: str,
        rungs: Sequence[AcceleratorPool],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("accelfleet:aws:EksKarpenter", name, {}, opts)
        self._name, self._cluster = name, cluster
        self._child = pulumi.ResourceOptions(parent=self)
        self.env, self.discovery = {"AWS_REGION": region}, {DISCOVERY_TAG: cluster.physical_name}
        node_role, joined = self._node_role()
        queue, heard = self._queue()
        role = role_of_pods(
            self,
            name,
            cluster=cluster,
            namespace=namespace,
            service_account=service_account,
            role_name=naming.physical(cluster.physical_name, service_account, limit=64),
            rights=(
                "provision",
                pulumi.Output.json_dumps(controller_policy(cluster.physical_name, region, node_role.arn, queue.arn)),
            ),
        )
        profile = aws.iam.InstanceProfile(
            f"{name}-nodes",
            name=naming.physical(cluster.physical_name, "karpenter-node", limit=64),
            role=node_role.name,
            # Nodes that start before their role may join would be given up after a quarter of an hour.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*joined, *heard]),
        )
        aws.ec2.Tag(
            f"{name}-discovery",
            resource_id=cluster.security_group_id,
            key=DISCOVERY_TAG,
            value=cluster.physical_name,
            opts=self._child,
        )
        groups = {r.physical_name: fabric.placement_group(self, r.physical_name, cluster.physical_name, r) for r in rungs}
        self.placement_groups = {key: group.name for key, group in groups.items() if group is not None}
        told = {r.physical_name: parts(r.sharing, r.numa) for r in rungs}
        self.user_data = {key: text for key, text in told.items() if text is not None}
        self.queue, self.instance_profile = queue.name, profile.name
        self.register_outputs({"roleArn": role.arn, "queue": self.queue, "instanceProfile": self.instance_profile})

    def _node_role(self) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        """A role of their own: EKS lets the nodes of a group in by itself, and takes that leave back with the group."""
        physical = self._cluster.physical_name
        role, rights = role_with(
            self._child, f"{self._name}-node", naming.physical(physical, "karpenter-node", limit=64), NODE_POLICIES
        )
        entry = aws.eks.AccessEntry(
            f"{self._name}-node",
            cluster_name=self._cluster.cluster_name,
            principal_arn=role.arn,
            type="EC2_LINUX",
            opts=self._child,
        )
        return role, [*rights, entry]

    def _queue(self) -> tuple[aws.sqs.Queue, list[pulumi.Resource]]:
        physical = self._cluster.physical_name
        queue = aws.sqs.Queue(
            f"{self._name}-events",
            name=naming.physical(physical, "karpenter", limit=80),
            message_retention_seconds=_RETENTION_S,
            sqs_managed_sse_enabled=True,
            opts=self._child,
        )
        allowed = aws.sqs.QueuePolicy(
            f"{self._name}-events",
            queue_url=queue.url,
            policy=queue.arn.apply(lambda arn: json.dumps(_queue_policy(arn))),
            opts=self._child,
        )
        heard: list[pulumi.Resource] = [allowed]
        for key, (source, kind) in _EVENTS.items():
            rule = aws.cloudwatch.EventRule(
                f"{self._name}-{key}",
                name=naming.physical(physical, "karpenter", key, limit=64),
                event_pattern=json.dumps({"source": [source], "detail-type": [kind]}),
                opts=self._child,
            )
            target = aws.cloudwatch.EventTarget(
                f"{self._name}-{key}", rule=rule.name, target_id="karpenter", arn=queue.arn, opts=self._child
            )
            heard.append(target)
        return queue, heard


def _queue_policy(arn: str) -> dict[str, object]:
    """EventBridge may write, and nobody without TLS."""
    services = ["events.amazonaws.com", "sqs.amazonaws.com"]
    plain = {"Bool": {"aws:SecureTransport": "false"}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sqs:SendMessage", "Resource": arn},
            {
                "Sid": "DenyWithoutTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sqs:*",
                "Resource": arn,
                "Condition": plain,
            },
        ],
    }
