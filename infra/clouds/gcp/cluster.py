"""The GKE control plane: secrets key, who may enter, and the account that nodes run as.

Owns no node: pools are components of their own (pain 18), and GKE's default pool is removed at once.
"""

from __future__ import annotations

import json

import pulumi
import pulumi_gcp as gcp

from infra import naming
from infra.clouds.base import ClusterArgs
from infra.clouds.gcp.network import PODS, SERVICES, GcpNetwork

_KEY_ROTATION = "7776000s"  # 90 days
# No bucket role here: every pod of a node would have it (pain 15).
_NODE_ROLE = "roles/container.defaultNodeServiceAccount"


class GkeCluster(pulumi.ComponentResource):
    """Regional GKE cluster with private nodes, Dataplane V2, workload identity and encrypted secrets.

    Follows "Harden your cluster's security" and "Encrypt secrets at the application layer". The key ring keeps its name
    for ever, as Google deletes none; a cluster made again finds it and takes it over (docs: "Cloud KMS object lifetime").

    Attributes:
        node_account: email of the service account that every node runs as.
        workload_pool: `<project>.svc.id.goog`.
    """

    cluster_name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    node_account: pulumi.Output[str]
    project: pulumi.Output[str]
    project_number: pulumi.Output[str]

    def __init__(self, name: str, args: ClusterArgs[GcpNetwork], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:gcp:GkeCluster", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.physical_name = args.name
        self.region = args.region
        self.network = args.network
        project = gcp.organizations.get_project_output(opts=pulumi.InvokeOutputOptions(parent=self))
        self.project = project.project_id
        self.project_number = project.number
        account = gcp.serviceaccount.Account(
            f"{name}-nodes",
            account_id=naming.physical(args.name, "nodes", limit=30),
            display_name=f"Nodes of {args.name}",
            opts=child,
        )
        rights = gcp.projects.IAMMember(
            f"{name}-nodes-role", project=self.project, role=_NODE_ROLE, member=account.member, opts=child
        )
        self.node_account = account.email
        key, may_encrypt = self._secrets_key(name, args)
        cluster = gcp.container.Cluster(
            f"{name}-cluster",
            name=args.name,
            location=args.region,
            node_locations=list(args.network.zones),
            network=args.network.network_id,
            subnetwork=args.network.subnetwork_id,
            min_master_version=args.kubernetes,
            release_channel=gcp.container.ClusterReleaseChannelArgs(channel="REGULAR"),
            # GKE insists on a first pool; it goes again before anything runs there.
            remove_default_node_pool=True,
            initial_node_count=1,
            networking_mode="VPC_NATIVE",
            datapath_provider="ADVANCED_DATAPATH",
            ip_allocation_policy=gcp.container.ClusterIpAllocationPolicyArgs(
                cluster_secondary_range_name=PODS, services_secondary_range_name=SERVICES
            ),
            private_cluster_config=gcp.container.ClusterPrivateClusterConfigArgs(
                enable_private_nodes=True, enable_private_endpoint=args.api.private
            ),
            master_authorized_networks_config=gcp.container.ClusterMasterAuthorizedNetworksConfigArgs(
                cidr_blocks=[
                    gcp.container.ClusterMasterAuthorizedNetworksConfigCidrBlockArgs(cidr_block=str(block))
                    for block in args.api.allowed_cidrs
                ]
            ),
            workload_identity_config=gcp.container.ClusterWorkloadIdentityConfigArgs(
                workload_pool=pulumi.Output.concat(self.project, ".svc.id.goog")
            ),
            database_encryption=gcp.container.ClusterDatabaseEncryptionArgs(state="ENCRYPTED", key_name=key.id),
            enable_shielded_nodes=True,
            logging_config=gcp.container.ClusterLoggingConfigArgs(
                enable_components=["SYSTEM_COMPONENTS", "WORKLOADS", "APISERVER", "SCHEDULER", "CONTROLLER_MANAGER"]
            ),
            monitoring_config=gcp.container.ClusterMonitoringConfigArgs(
                enable_components=["SYSTEM_COMPONENTS"],
                managed_prometheus=gcp.container.ClusterMonitoringConfigManagedPrometheusArgs(enabled=True),
            ),
            addons_config=gcp.container.ClusterAddonsConfigArgs(
                gcs_fuse_csi_driver_config=gcp.container.ClusterAddonsConfigGcsFuseCsiDriverConfigArgs(enabled=True)
            ),
            cost_management_config=gcp.container.ClusterCostManagementConfigArgs(enabled=True),
            deletion_protection=args.protect,
            resource_labels=args.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[may_encrypt, rights],
                protect=args.protect,
                # The release channel moves the version, and the removed pool's settings come back as drift (pulumi-gcp#2247).
                ignore_changes=["minMasterVersion", "nodeConfig", "nodePools"],
            ),
        )
        self._admins(name, args)
        self.cluster_id = cluster.id
        self.cluster_name = cluster.name
        self.endpoint = pulumi.Output.concat("https://", cluster.endpoint)
        self.kubeconfig = pulumi.Output.all(
            cluster.name, self.endpoint, cluster.master_auth.apply(lambda auth: auth.cluster_ca_certificate)
        ).apply(lambda made: _kubeconfig(*made))
        self.register_outputs({"clusterName": self.cluster_name, "endpoint": self.endpoint, "kubeconfig": self.kubeconfig})

    def _secrets_key(self, name: str, args: ClusterArgs[GcpNetwork]) -> tuple[gcp.kms.CryptoKey, gcp.kms.CryptoKeyIAMMember]:
        child = pulumi.ResourceOptions(parent=self)
        ring = gcp.kms.KeyRing(f"{name}-ring", name=args.name, location=args.region, opts=child)
        key = gcp.kms.CryptoKey(
            f"{name}-secrets",
            name="secrets",
            key_ring=ring.id,
            purpose="ENCRYPT_DECRYPT",
            rotation_period=_KEY_ROTATION,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        agent = self.project_number.apply(
            lambda number: f"serviceAccount:service-{number}@container-engine-robot.iam.gserviceaccount.com"
        )
        may_encrypt = gcp.kms.CryptoKeyIAMMember(
            f"{name}-secrets-agent",
            crypto_key_id=key.id,
            role="roles/cloudkms.cryptoKeyEncrypterDecrypter",
            member=agent,
            opts=child,
        )
        return key, may_encrypt

    def _admins(self, name: str, args: ClusterArgs[GcpNetwork]) -> None:
        for admin in args.admins:
            kind = "serviceAccount" if admin.endswith(".gserviceaccount.com") else "group"
            gcp.projects.IAMMember(
                f"{name}-admin-{admin}",
                project=self.project,
                role="roles/container.admin",
                member=f"{kind}:{admin}",
                opts=pulumi.ResourceOptions(parent=self),
            )


def _kubeconfig(name: str, endpoint: str, ca: str) -> str:
    """https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl"""
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "gke-gcloud-auth-plugin",
        "provideClusterInfo": True,
        "interactiveMode": "Never",
    }
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {"server": endpoint, "certificate-authority-data": ca}}],
            "users": [{"name": name, "user": {"exec": plugin}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        }
    )
