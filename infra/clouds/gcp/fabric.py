"""GPUDirect on GKE: the further VPCs that a pool's nodes have an interface in each, and what the pool must be told.

Owns those networks; what pods ask for is `fleet.catalog.fabric`'s, the Network objects are `infra.kubernetes.gpudirect`'s.
All rungs of a pool share them. A project has fifteen VPCs until it asks for more, and TCPXO takes eight.
https://cloud.google.com/kubernetes-engine/docs/how-to/gpu-bandwidth-gpudirect-tcpx
https://cloud.google.com/vpc/docs/rdma-network-profiles
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_gcp as gcp

from fleet.catalog.fabric import GPUDIRECT_RANGE, NodeNetwork
from fleet.contract import AcceleratorPool
from fleet.naming import fabric_network

_SUBNETS = tuple(str(part) for part in GPUDIRECT_RANGE.subnets(4))


class GpuDirectNetworks(pulumi.ComponentResource):
    """The VPCs and subnets of one pool.

    Attributes:
        interfaces: the pool's additional node networks, in the order in which GKE is to number them.
    """

    interfaces: list[gcp.container.NodePoolNetworkConfigAdditionalNodeNetworkConfigArgs]

    def __init__(
        self,
        name: str,
        cluster: str,
        pool: AcceleratorPool,
        project: pulumi.Output[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("accelfleet:gcp:GpuDirectNetworks", name, {}, opts)
        assert pool.fabric is not None, f"pool {pool.name} has no fabric"
        self._name, self._cluster, self._pool, self._project = name, cluster, pool, project
        vpcs: dict[str, gcp.compute.Network] = {}
        self.interfaces = []
        for network, cidr in zip(pool.fabric.networks, _SUBNETS, strict=False):
            if network.vpc not in vpcs:
                vpcs[network.vpc] = self._vpc(network, pool.fabric.mtu, cidr)
            vpc = vpcs[network.vpc]
            subnet = gcp.compute.Subnetwork(
                f"{name}-{network.name}",
                name=fabric_network(cluster, pool.name, network.name),
                region=pool.region,
                network=vpc.id,
                ip_cidr_range=cidr,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.interfaces.append(
                gcp.container.NodePoolNetworkConfigAdditionalNodeNetworkConfigArgs(network=vpc.name, subnetwork=subnet.name)
            )
        self.register_outputs({})

    def _vpc(self, network: NodeNetwork, mtu: int, cidr: str) -> gcp.compute.Network:
        """A VPC; one of the RDMA profile belongs to a zone and takes no firewall rule, any other lets its own nodes in."""
        child = pulumi.ResourceOptions(parent=self)
        profile = f"{self._pool.zones[0]}-vpc-roce" if network.rdma else None
        vpc = gcp.compute.Network(
            f"{self._name}-{network.vpc}-vpc",
            name=fabric_network(self._cluster, self._pool.name, network.vpc),
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            mtu=mtu,
            network_profile=pulumi.Output.format("projects/{0}/global/networkProfiles/{1}", self._project, profile)
            if profile
            else None,
            opts=child,
        )
        if not network.rdma:
            gcp.compute.Firewall(
                f"{self._name}-{network.vpc}-inside",
                name=fabric_network(self._cluster, self._pool.name, network.vpc),
                network=vpc.id,
                source_ranges=[cidr],
                allows=[gcp.compute.FirewallAllowArgs(protocol=protocol) for protocol in ("tcp", "udp", "icmp")],
                opts=child,
            )
        return vpc


def node_pool_args(pool: AcceleratorPool, networks: GpuDirectNetworks | None) -> dict[str, Any]:
    """The node pool's part; empty without the fabric."""
    if networks is None:
        return {}
    made: dict[str, Any] = {
        "network_config": gcp.container.NodePoolNetworkConfigArgs(
            additional_node_network_configs=networks.interfaces,
            # Said again, for what stands here replaces what the cluster says.
            enable_private_nodes=True,
        )
    }
    # What was reserved or queued for has its place already, and GKE refuses such nodes a policy of ours.
    if pool.terms is None:
        made["placement_policy"] = gcp.container.NodePoolPlacementPolicyArgs(type="COMPACT")
    return made
