"""An AKS cluster with its system pool, the identity it acts as, its secrets' key and its control plane's log.

Owns the one pool AKS requires inside the cluster. Refuses accelerator pools in there: AKS cannot change one inline
without touching all of them, and older azure-native replaced the whole cluster for it (pain 18; azure-native#1808,
#4264). The system pool bears no `CriticalAddonsOnly` taint, because it is the only CPU pool: KEDA, Karpenter and the
monitoring have nowhere else to go, and accelerator pods select their own pool anyway.
https://learn.microsoft.com/azure/aks/concepts-identity, https://learn.microsoft.com/azure/aks/azure-cni-powered-by-cilium
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network

import pulumi
from pulumi_azure_native import authorization, containerservice, managedidentity, monitor, operationalinsights

from fleet.naming import physical
from fleet.spec_network import Nat
from infra.clouds.azure.encryption import EtcdKey
from infra.clouds.azure.kubeconfig import with_azure_cli_login
from infra.clouds.azure.network import DNS_SERVICE_IP, POD_CIDR, SERVICE_CIDR, AzureNetwork
from infra.clouds.azure.roles import Role, grant
from infra.clouds.base import ClusterArgs

SYSTEM_POOL = "system"
LOG_CATEGORIES = ("kube-audit-admin", "guard", "kube-apiserver", "kube-controller-manager")
LOG_RETENTION_DAYS = 30


def authorized_ranges(allowed: Sequence[IPv4Network], egress_ips: Sequence[str]) -> list[str]:
    """Who may reach a public API: the ranges asked for, and the nodes themselves, whose NAT addresses AKS does not add.

    Empty means everyone, so it stays empty when nothing was asked for.
    https://learn.microsoft.com/azure/aks/api-server-authorized-ip-ranges
    """
    return [*(str(cidr) for cidr in allowed), *(f"{ip}/32" for ip in egress_ips)] if allowed else []


class AksCluster(pulumi.ComponentResource):
    """AKS with Entra ID sign-in only, workload identity, overlay networking on Cilium and encrypted secrets.

    Attributes:
        kubeconfig: names kubelogin, holds no credential.
        oidc_issuer_url: what a federated credential of this cluster's service accounts trusts.
        name, region, kubernetes, network, resource_group_name: for the components that stand on the cluster.

    Raises:
        ValueError: no NAT with a public API: nodes without a way out would never find it.
    """

    cluster_name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]
    oidc_issuer_url: pulumi.Output[str]

    def __init__(self, name: str, args: ClusterArgs[AzureNetwork], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:azure:AksCluster", name, None, opts)
        self.args = args
        self.network = args.network
        self.name, self.region, self.kubernetes = args.name, args.region, args.kubernetes
        self.resource_group_name = args.network.resource_group_name
        self._isolated = args.network.args.nat is Nat.NONE
        self._provisions = args.provisioned is not None
        if self._isolated and not args.api.private:
            raise ValueError(
                f"cluster {args.name}: network.nat is none, so its nodes cannot reach a public API: "
                "set api.private to true, or network.nat to single"
            )
        identity = managedidentity.UserAssignedIdentity(
            name,
            resource_name_=physical(args.name, "control-plane", limit=128),
            resource_group_name=self.resource_group_name,
            location=args.region,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        joins = [
            grant(
                f"{name}-subnet-{zone}",
                scope=subnet.id,
                principal_id=identity.principal_id,
                role=Role.NETWORK_CONTRIBUTOR,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for zone, subnet in args.network.subnets.items()
        ]
        key = EtcdKey(
            name,
            cluster=args.name,
            region=args.region,
            resource_group_name=self.resource_group_name,
            principal_id=identity.principal_id,
            protect=args.protect,
            tags=args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        cluster = self._cluster(name, identity, key, [*joins, key.granted])
        self._log(name, cluster)
        deployer = self._deployer(name, cluster)
        credentials = containerservice.list_managed_cluster_user_credentials_output(
            resource_group_name=self.resource_group_name,
            resource_name=cluster.name,
            format="exec",
            opts=pulumi.InvokeOutputOptions(parent=self, depends_on=[deployer]),
        )
        self.cluster_name = cluster.name
        self.kubeconfig = credentials.apply(lambda answer: with_azure_cli_login(answer.kubeconfigs[0].value))
        self.endpoint = pulumi.Output.all(cluster.private_fqdn, cluster.fqdn).apply(
            lambda names: f"https://{names[0] or names[1]}:443"
        )
        self.oidc_issuer_url = cluster.oidc_issuer_profile.issuer_url
        self.register_outputs(
            {
                "cluster_name": self.cluster_name,
                "endpoint": self.endpoint,
                "kubeconfig": self.kubeconfig,
                "oidc_issuer_url": self.oidc_issuer_url,
            }
        )

    def _cluster(
        self,
        name: str,
        identity: managedidentity.UserAssignedIdentity,
        key: EtcdKey,
        needed: Sequence[pulumi.Resource],
    ) -> containerservice.ManagedCluster:
        args = self.args
        return containerservice.ManagedCluster(
            name,
            resource_name_=args.name,
            resource_group_name=self.resource_group_name,
            location=args.region,
            dns_prefix=physical(args.name, limit=54),
            node_resource_group=physical(args.name, "nodes", limit=80),
            kubernetes_version=args.kubernetes,
            sku=containerservice.ManagedClusterSKUArgs(name="Base", tier="Standard" if args.protect else "Free"),
            identity=containerservice.ManagedClusterIdentityArgs(
                type=containerservice.ResourceIdentityType.USER_ASSIGNED, user_assigned_identities=[identity.id]
            ),
            agent_pool_profiles=[self._system_pool()],
            enable_rbac=True,
            disable_local_accounts=True,
            aad_profile=containerservice.ManagedClusterAADProfileArgs(
                managed=True, enable_azure_rbac=True, admin_group_object_ids=list(args.admins)
            ),
            api_server_access_profile=self._api(),
            oidc_issuer_profile=containerservice.ManagedClusterOIDCIssuerProfileArgs(enabled=True),
            security_profile=containerservice.ManagedClusterSecurityProfileArgs(
                workload_identity=containerservice.ManagedClusterSecurityProfileWorkloadIdentityArgs(enabled=True),
                azure_key_vault_kms=containerservice.AzureKeyVaultKmsArgs(
                    enabled=True, key_id=key.key_id, key_vault_network_access="Public"
                ),
                # Weekly: image layers of model servers are gigabytes, and a removed one is a cold start.
                image_cleaner=containerservice.ManagedClusterSecurityProfileImageCleanerArgs(enabled=True, interval_hours=168),
            ),
            auto_scaler_profile=containerservice.ManagedClusterPropertiesAutoScalerProfileArgs(expander="priority")
            if args.by_priority and not self._provisions
            else None,
            node_provisioning_profile=_provisioning(self._provisions),
            network_profile=containerservice.ContainerServiceNetworkProfileArgs(
                network_plugin="azure",
                network_plugin_mode="overlay",
                network_dataplane="cilium",
                network_policy="cilium",
                pod_cidr=POD_CIDR,
                service_cidr=SERVICE_CIDR,
                dns_service_ip=DNS_SERVICE_IP,
                load_balancer_sku="standard",
                outbound_type=args.network.outbound_type,
            ),
            # Nodes that cannot reach Microsoft's registry get AKS's images from a cache inside the network.
            bootstrap_profile=containerservice.ManagedClusterBootstrapProfileArgs(artifact_source="Cache")
            if self._isolated
            else None,
            storage_profile=containerservice.ManagedClusterStorageProfileArgs(
                blob_csi_driver=containerservice.ManagedClusterStorageProfileBlobCSIDriverArgs(enabled=True)
            ),
            auto_upgrade_profile=containerservice.ManagedClusterAutoUpgradeProfileArgs(
                upgrade_channel="patch", node_os_upgrade_channel="NodeImage"
            ),
            tags=args.tags,
            # The system pool's size is the autoscaler's (pain 11). Not all of `agentPoolProfiles`: a refresh writes
            # our separate pools into that list, and ignoring it would send them back for ever, those since deleted
            # too, which AKS refuses (azure-native#2719). Left alone, the next update drops them from the state only.
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                depends_on=list(needed),
                ignore_changes=None if self._provisions else ["agentPoolProfiles[0].count"],
            ),
        )

    def _system_pool(self) -> containerservice.ManagedClusterAgentPoolProfileArgs:
        args, zones = self.args, self.network.args.zones
        low, high = args.system_nodes
        # AKS has a cluster autoscaler or provisions nodes, not both: what the pool may grow by is a NodePool then.
        bounds = {} if self._provisions else {"min_count": low, "max_count": high}
        return containerservice.ManagedClusterAgentPoolProfileArgs(
            name=SYSTEM_POOL,
            mode="System",
            type="VirtualMachineScaleSets",
            os_type="Linux",
            os_sku="Ubuntu",
            orchestrator_version=args.kubernetes,
            vm_size=args.system_machine,
            availability_zones=list(zones),
            vnet_subnet_id=self.network.subnet_for(zones).id,
            enable_auto_scaling=not self._provisions,
            count=low,
            tags=args.tags,
            **bounds,
        )

    def _api(self) -> containerservice.ManagedClusterAPIServerAccessProfileArgs:
        api = self.args.api
        if api.private:  # authorized ranges exist for public endpoints only
            return containerservice.ManagedClusterAPIServerAccessProfileArgs(
                enable_private_cluster=True, enable_private_cluster_public_fqdn=False, private_dns_zone="system"
            )
        return containerservice.ManagedClusterAPIServerAccessProfileArgs(
            enable_private_cluster=False,
            authorized_ip_ranges=self.network.egress_ips.apply(lambda ips: authorized_ranges(api.allowed_cidrs, ips))
            if api.allowed_cidrs
            else None,
        )

    def _deployer(self, name: str, cluster: containerservice.ManagedCluster) -> authorization.RoleAssignment:
        """With Entra RBAC an owner of the subscription still may not touch objects inside; whoever creates the cluster may.

        Later deployers come in through `admins`, so another's `up` changes nothing here.
        """
        client = authorization.get_client_config_output(opts=pulumi.InvokeOutputOptions(parent=self))
        return grant(
            f"{name}-deployer",
            scope=cluster.id,
            principal_id=client.object_id,
            role=Role.AKS_CLUSTER_ADMIN,
            principal_type=None,
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["principalId", "roleAssignmentName"]),
        )

    def _log(self, name: str, cluster: containerservice.ManagedCluster) -> None:
        """The control plane's log. `kube-audit-admin` leaves out reads, which are most of the bill of `kube-audit`."""
        workspace = operationalinsights.Workspace(
            name,
            workspace_name=physical(self.args.name, "logs"),
            resource_group_name=self.resource_group_name,
            location=self.args.region,
            sku=operationalinsights.WorkspaceSkuArgs(name="PerGB2018"),
            retention_in_days=LOG_RETENTION_DAYS,
            tags=self.args.tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        monitor.DiagnosticSetting(
            name,
            name="control-plane",
            resource_uri=cluster.id,
            workspace_id=workspace.id,
            log_analytics_destination_type="Dedicated",
            logs=[
                monitor.DiagnosticsLogSettingsArgs(category=category, enabled=True)
                for category in (*LOG_CATEGORIES, "karpenter-events" if self._provisions else "cluster-autoscaler")
            ],
            opts=pulumi.ResourceOptions(parent=self),
        )


def _provisioning(wanted: bool) -> containerservice.ManagedClusterNodeProvisioningProfileArgs | None:
    """NodePools are the stack file's alone: Azure's own would make nodes that nobody asked for there."""
    if not wanted:
        return None
    return containerservice.ManagedClusterNodeProvisioningProfileArgs(mode="Auto", default_node_pools="None")
