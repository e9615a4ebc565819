"""The EKS control plane: roles, secrets key, logs, who may enter, and the add-ons that need no node.

Owns the role of the nodes, too, but no node: pools are components of their own (pain 18: a pool inside a cluster
cannot change without the cluster). CoreDNS needs nodes to become active and belongs to the system pool.
"""

from __future__ import annotations

import json
import re

import pulumi
import pulumi_aws as aws

from fleet import naming
from infra.clouds.aws.fabric import way_out
from infra.clouds.aws.network import AwsNetwork
from infra.clouds.base import ClusterArgs

_LOGS = ["api", "audit", "authenticator", "controllerManager", "scheduler"]
_LOG_DAYS = 30
# vpc-cni before any node: without it none becomes Ready. The agent hands pods the credentials of Pod Identity.
_ADDONS = ("vpc-cni", "kube-proxy", "eks-pod-identity-agent")
# No bucket rights here: every pod of a node would have them (pain 15).
NODE_POLICIES = ("AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy", "AmazonEC2ContainerRegistryPullOnly")
_ADMIN_POLICY = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"


def trust(service: str) -> str:
    """Trust policy that lets one AWS service take a role."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def role_with(
    opts: pulumi.ResourceOptions, name: str, physical: str, policies: tuple[str, ...], service: str = "ec2.amazonaws.com"
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    """A role that one AWS service takes, with policies of AWS's own, and what its rights hang on."""
    role = aws.iam.Role(name, name=physical, assume_role_policy=trust(service), opts=opts)
    attachments: list[pulumi.Resource] = [
        aws.iam.RolePolicyAttachment(
            f"{name}-{policy}", role=role.name, policy_arn=f"arn:aws:iam::aws:policy/{policy}", opts=opts
        )
        for policy in policies
    ]
    return role, attachments


def addon(name: str, cluster: pulumi.Input[str], key: str, opts: pulumi.ResourceOptions) -> pulumi.Resource:
    """An add-on at AWS's default version for the cluster's Kubernetes; ours wins over what it finds there."""
    made: pulumi.Resource = aws.eks.Addon(
        name,
        cluster_name=cluster,
        addon_name=key,
        resolve_conflicts_on_create="OVERWRITE",
        resolve_conflicts_on_update="OVERWRITE",
        opts=opts,
    )
    return made


class EksCluster(pulumi.ComponentResource):
    """EKS cluster whose admins enter through access entries (never aws-auth) and whose kubeconfig holds no credential.

    Follows "Amazon EKS best practices: security". Secrets are encrypted with a key of the cluster's own, yearly rotated;
    control plane logs are kept 30 days. With `protect`, neither Pulumi nor EKS deletes it.

    Attributes:
        ready: what nodes wait for, and what outlives them: the add-ons without which none becomes Ready, the node
            role's rights, and the network's ways out, through which a node's first image comes.
    """

    cluster_name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    version: pulumi.Output[str]
    node_role_arn: pulumi.Output[str]
    security_group_id: pulumi.Output[str]

    def __init__(self, name: str, args: ClusterArgs[AwsNetwork], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:aws:EksCluster", name, {}, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.physical_name, self.network = args.name, args.network

        control_plane, attached = self._role("cluster", "eks.amazonaws.com", ("AmazonEKSClusterPolicy",))
        nodes, node_rights = self._role("node", "ec2.amazonaws.com", NODE_POLICIES)
        key = self._secrets_key()
        logs = aws.cloudwatch.LogGroup(
            f"{name}-logs", name=f"/aws/eks/{args.name}/cluster", retention_in_days=_LOG_DAYS, opts=self._child
        )
        cluster = aws.eks.Cluster(
            f"{name}-cluster",
            name=args.name,
            version=args.kubernetes,
            role_arn=control_plane.arn,
            vpc_config=self._vpc_config(),
            access_config=aws.eks.ClusterAccessConfigArgs(
                authentication_mode="API", bootstrap_cluster_creator_admin_permissions=True
            ),
            encryption_config=aws.eks.ClusterEncryptionConfigArgs(
                provider=aws.eks.ClusterEncryptionConfigProviderArgs(key_arn=key.arn), resources=["secrets"]
            ),
            enabled_cluster_log_types=_LOGS,
            # STANDARD: at the end of support AWS upgrades; EXTENDED would cost six times as much an hour.
            upgrade_policy=aws.eks.ClusterUpgradePolicyArgs(support_type="STANDARD"),
            bootstrap_self_managed_addons=False,
            deletion_protection=args.protect,
            # The log group first: EKS makes one without retention where it finds none, and again after a destroy.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[*attached, logs], protect=args.protect),
        )
        self.cluster_name, self.endpoint, self.version = cluster.name, cluster.endpoint, cluster.version
        self.node_role_arn = nodes.arn
        self.security_group_id = cluster.vpc_config.cluster_security_group_id
        if args.fabric:
            way_out(name, self.security_group_id, self._child)
        self.kubeconfig = pulumi.Output.json_dumps(self._kubeconfig(cluster))
        for arn in args.admins:
            self._admin(arn)
        addons = [addon(f"{name}-{key}", self.cluster_name, key, self._child) for key in _ADDONS]
        self.ready = [*addons, *node_rights, args.network]
        self.register_outputs(
            {
                "clusterName": self.cluster_name,
                "endpoint": self.endpoint,
                "kubeconfig": self.kubeconfig,
                "version": self.version,
                "nodeRoleArn": self.node_role_arn,
            }
        )

    def _role(self, key: str, service: str, policies: tuple[str, ...]) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
        physical = naming.physical(self._args.name, key, limit=64)
        return role_with(self._child, f"{self._name}-{key}", physical, policies, service)

    def _secrets_key(self) -> aws.kms.Key:
        key = aws.kms.Key(
            f"{self._name}-secrets",
            description=f"Kubernetes secrets of the EKS cluster {self._args.name}",
            enable_key_rotation=True,
            deletion_window_in_days=30 if self._args.protect else 7,
            tags={"Name": naming.physical(self._args.name, "secrets")},
            # Without the key the cluster's secrets, in use or in a backup, are lost for good.
            opts=pulumi.ResourceOptions(parent=self, protect=self._args.protect),
        )
        aws.kms.Alias(
            f"{self._name}-secrets",
            name=f"alias/{naming.physical(self._args.name, 'secrets')}",
            target_key_id=key.key_id,
            opts=self._child,
        )
        return key

    def _vpc_config(self) -> aws.eks.ClusterVpcConfigArgs:
        """Nodes always take the private way to the API; others only where it is public."""
        api = self._args.api
        return aws.eks.ClusterVpcConfigArgs(
            subnet_ids=list(self.network.private_subnet_ids.values()),
            endpoint_private_access=True,
            endpoint_public_access=not api.private,
            public_access_cidrs=None if api.private else [str(c) for c in api.allowed_cidrs] or ["0.0.0.0/0"],
        )

    def _admin(self, arn: str) -> None:
        # Account, kind and name tell principals apart: `111122223333-role-Platform`.
        key = re.sub(r"[^A-Za-z0-9]+", "-", arn.split(":", 4)[-1])
        entry = aws.eks.AccessEntry(
            f"{self._name}-admin-{key}", cluster_name=self.cluster_name, principal_arn=arn, opts=self._child
        )
        aws.eks.AccessPolicyAssociation(
            f"{self._name}-admin-{key}",
            cluster_name=self.cluster_name,
            principal_arn=entry.principal_arn,
            policy_arn=_ADMIN_POLICY,
            access_scope=aws.eks.AccessPolicyAssociationAccessScopeArgs(type="cluster"),
            opts=self._child,
        )

    def _kubeconfig(self, cluster: aws.eks.Cluster) -> dict[str, object]:
        """What `aws eks update-kubeconfig` writes: a command that fetches a token of fifteen minutes, no token."""
        name = self._args.name
        command = {
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "command": "aws",
            "args": ["eks", "get-token", "--cluster-name", name, "--region", self._args.region, "--output", "json"],
            "interactiveMode": "Never",
        }
        reach = {"server": cluster.endpoint, "certificate-authority-data": cluster.certificate_authority.data}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": reach}],
            "users": [{"name": name, "user": {"exec": command}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
