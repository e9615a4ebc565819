"""The GKE control plane: secrets key, who may enter, and the account that nodes run as.

Owns no node: pools are components of their own (pain 18), and GKE's default pool is removed at once. Enables no API:
the project has container.googleapis.com and cloudkms.googleapis.com on before the first `up`.
"""

from __future__ import annotations

import re

import pulumi
import pulumi_gcp as gcp

from fleet import naming
from fleet.contract import AcceleratorPool
from infra.clouds.base import ClusterArgs
from infra.clouds.gcp.fabric import GpuDirectNetworks
from infra.clouds.gcp.network import PODS_PER_NODE, GcpNetwork
from infra.clouds.gcp.provisioning import auto_creation

_KEY_ROTATION = "7776000s"  # 90 days
# No bucket role here: every pod of a node would have it (pain 15).
_NODE_ROLE = "roles/container.defaultNodeServiceAccount"
# The account's role is the limit, not the scope, which is the old way to set one.
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
_CLUSTER_PATH = "projects/{0}/locations/{1}/clusters/{2}"


class GkeCluster(pulumi.ComponentResource):
    """Regional GKE cluster with private nodes, Dataplane V2, workload identity and encrypted secrets.

    Follows "Harden your cluster's security" and "Encrypt secrets at the application layer". The control plane is
    regional, nodes are in the network's zones. With `protect`, neither Pulumi nor GKE deletes it.

    Attributes:
        node_account: email of the service account that every node runs as.
        workload_pool: `<project>.svc.id.goog`, known once the cluster stands: a project has none before its first one,
            and IAM refuses principals of a pool that is not there (terraform-google-kubernetes-engine#916).
    """

    cluster_name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    node_account: pulumi.Output[str]
    project: pulumi.Output[str]
    project_number: pulumi.Output[str]
    workload_pool: pulumi.Output[str]

    def __init__(self, name: str, args: ClusterArgs[GcpNetwork], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:gcp:GkeCluster", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        self._name, self.physical_name = name, args.name
        self.region = args.region
        self.network = args.network
        # By the pool's name: its rungs are node pools of their own, in the same further networks.
        self.fabrics: dict[str, GpuDirectNetworks] = {}
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
        life = args.network.number if args.network.number is not None else account.unique_id
        key, may_encrypt = self._secrets_key(name, args, life)
        cluster = gcp.container.Cluster(
            f"{name}-cluster",
            name=args.name,
            location=args.region,
            node_locations=list(args.network.zones),
            network=args.network.network_id,
            subnetwork=args.network.subnetwork_id,
            min_master_version=args.kubernetes,
            release_channel=gcp.container.ClusterReleaseChannelArgs(channel="REGULAR"),
            # GKE insists on a first pool; it goes again before anything runs there. It runs as our account all the
            # same: the project's default one is often switched off, and then no cluster comes (provider-google#17511).
            remove_default_node_pool=True,
            initial_node_count=1,
            node_config=gcp.container.ClusterNodeConfigArgs(
                service_account=account.email, oauth_scopes=SCOPES, disk_type="pd-standard", disk_size_gb=30
            ),
            cluster_autoscaling=None
            if args.provisioned is None
            else auto_creation(
                args.provisioned,
                system=(args.system_machine, args.system_nodes[1]),
                zones=args.network.zones,
                account=account.email,
                scopes=SCOPES,
            ),
            networking_mode="VPC_NATIVE",
            datapath_provider="ADVANCED_DATAPATH",  # brings network policies with it
            # Only where a pool has further networks: GKE makes another cluster for a change of it.
            enable_multi_networking=args.fabric or None,
            default_max_pods_per_node=PODS_PER_NODE,
            ip_allocation_policy=gcp.container.ClusterIpAllocationPolicyArgs(
                cluster_secondary_range_name=args.network.pods, services_secondary_range_name=args.network.services
            ),
            private_cluster_config=gcp.container.ClusterPrivateClusterConfigArgs(
                enable_private_nodes=True, enable_private_endpoint=args.api.private
            ),
            master_authorized_networks_config=gcp.container.ClusterMasterAuthorizedNetworksConfigArgs(
                # Else any VM of any customer of Google Cloud may knock.
                gcp_public_cidrs_access_enabled=False,
                cidr_blocks=[
                    gcp.container.ClusterMasterAuthorizedNetworksConfigCidrBlockArgs(cidr_block=str(block))
                    for block in args.api.allowed_cidrs
                ],
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
            # https://docs.cloud.google.com/kubernetes-engine/docs/how-to/deploying-gateways#enable-gateway
            gateway_api_config=gcp.container.ClusterGatewayApiConfigArgs(channel="CHANNEL_STANDARD") if args.routes else None,
            cost_management_config=gcp.container.ClusterCostManagementConfigArgs(enabled=True),
            deletion_protection=args.protect,
            resource_labels=args.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[may_encrypt, rights],
                protect=args.protect,
                # Once the first pool is gone GKE shows another one's settings there, and a difference would replace
                # the cluster (pulumi-gcp#744, provider-google#3409).
                ignore_changes=["nodeConfig", "nodePools"],
            ),
        )
        self._admins(name, args)
        self.cluster_name = cluster.name
        self.workload_pool = cluster.workload_identity_config.workload_pool
        self.endpoint = pulumi.Output.concat("https://", cluster.endpoint)
        self.kubeconfig = pulumi.Output.json_dumps(
            _kubeconfig(args.name, self.endpoint, cluster.master_auth.cluster_ca_certificate)
        )
        self.register_outputs(
            {
                "clusterName": self.cluster_name,
                "endpoint": self.endpoint,
                "kubeconfig": self.kubeconfig,
                "nodeAccount": self.node_account,
                "workloadPool": self.workload_pool,
            }
        )

    def fabric_of(self, pool: AcceleratorPool) -> GpuDirectNetworks | None:
        """The further networks of a pool, made for the first of its rungs; None for a pool without."""
        if pool.fabric is not None and pool.name not in self.fabrics:
            name = f"{self._name}-{pool.name}-fabric"
            child = pulumi.ResourceOptions(parent=self)
            self.fabrics[pool.name] = GpuDirectNetworks(name, self.physical_name, pool, self.project, child)
        return self.fabrics.get(pool.name)

    def _secrets_key(
        self, name: str, args: ClusterArgs[GcpNetwork], life: pulumi.Output[str]
    ) -> tuple[gcp.kms.CryptoKey, gcp.kms.CryptoKeyIAMMember]:
        """A key of the cluster's own, and GKE's right to use it.

        Google never deletes a key ring or a key, so a name serves once: made again after a destroy, it answers 409
        (provider-google#1214). `life`, the number of the network or of the nodes' account, tells one life of the cluster
        from the next, and is the same again when a broken run goes on.
        """
        child = pulumi.ResourceOptions(parent=self)
        ring = gcp.kms.KeyRing(
            f"{name}-ring",
            name=life.apply(lambda number: naming.physical(args.name, str(number or ""))),
            location=args.region,
            opts=child,
        )
        key = gcp.kms.CryptoKey(
            f"{name}-secrets",
            name="secrets",
            key_ring=ring.id,
            purpose="ENCRYPT_DECRYPT",
            rotation_period=_KEY_ROTATION,
            labels=args.tags,
            # Without the key the cluster's secrets, in use or in a backup, are lost for good.
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
        """Admin rights in this cluster alone: without the condition, two clusters of a project would share one grant,
        and the destruction of either would take it from both.

        https://cloud.google.com/iam/docs/conditions-resource-attributes
        """
        path = pulumi.Output.format(_CLUSTER_PATH, self.project, args.region, args.name)
        for admin in args.admins:
            gcp.projects.IAMMember(
                f"{name}-admin-{re.sub(r'[^A-Za-z0-9]+', '-', admin)}",
                project=self.project,
                role="roles/container.admin",
                member=principal(admin),
                condition=gcp.projects.IAMMemberConditionArgs(
                    title=args.name,
                    description=f"The GKE cluster {args.name}",
                    expression=pulumi.Output.format('resource.name == "{0}" || resource.name.startsWith("{0}/")', path),
                ),
                opts=pulumi.ResourceOptions(parent=self),
            )


def principal(admin: str) -> str:
    """An address as IAM writes it. A group unless it says otherwise (`user:ada@example.com`): addresses look alike."""
    if ":" in admin:
        return admin
    return f"serviceAccount:{admin}" if admin.endswith(".gserviceaccount.com") else f"group:{admin}"


def _kubeconfig(name: str, endpoint: pulumi.Output[str], ca: pulumi.Output[str]) -> dict[str, object]:
    """https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-access-for-kubectl"""
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "gke-gcloud-auth-plugin",
        "installHint": "gke-gcloud-auth-plugin is missing: gcloud components install gke-gcloud-auth-plugin",
        "provideClusterInfo": True,
        "interactiveMode": "Never",
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": endpoint, "certificate-authority-data": ca}}],
        "users": [{"name": name, "user": {"exec": plugin}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
