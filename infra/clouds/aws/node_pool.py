"""EKS managed node groups: the CPU pool every cluster has, and pools of accelerator nodes.

Owns launch templates and what the autoscaler reads from an Auto Scaling group. The size between the bounds belongs to
the autoscaler, never to Pulumi (pain 11). Device plugins and the autoscaler itself run in Kubernetes, not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from fleet import naming
from fleet.catalog.drivers import driver
from fleet.catalog.nodes import Taint
from fleet.contract import AcceleratorPool, Terms
from fleet.plan import SYSTEM_DISK_GIB
from infra.clouds.aws import fabric, reservations
from infra.clouds.aws.cluster import EksCluster, addon
from infra.clouds.aws.user_data import user_data
from infra.clouds.base import NodePoolArgs, SystemPoolArgs

_SYSTEM_AMI = "AL2023_x86_64_STANDARD"
_SYSTEM_POOL = "cluster-system"  # longer than any pool name of a stack file may be: no clash
_EFFECT = {"NoSchedule": "NO_SCHEDULE", "PreferNoSchedule": "PREFER_NO_SCHEDULE", "NoExecute": "NO_EXECUTE"}


@dataclass(frozen=True, kw_only=True)
class _Nodes:
    """What tells one node group from another; `sizes` are min, max and the size at creation."""

    name: str
    machine: str
    ami: str
    spot: bool
    sizes: tuple[int, int, int]
    zones: Sequence[str]
    disk_gib: int
    labels: Mapping[str, str]
    taints: Sequence[Taint]
    autoscaler_tags: Mapping[str, str]
    user_data: str | None = None
    pool: AcceleratorPool | None = None

    @property
    def terms(self) -> Terms | None:
        return self.pool.terms if self.pool else None


class EksSystemPool(pulumi.ComponentResource):
    """CPU nodes for what keeps the cluster going, and CoreDNS, which they are the first to run."""

    node_group_name: pulumi.Output[str]

    def __init__(self, name: str, args: SystemPoolArgs[EksCluster], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:aws:EksSystemPool", name, {}, opts)
        prefix = "k8s.io/cluster-autoscaler"
        nodes = _Nodes(
            name=_SYSTEM_POOL,
            machine=args.machine,
            ami=_SYSTEM_AMI,
            spot=False,
            # At zero nothing would run that could scale it up.
            sizes=(args.min_nodes, args.max_nodes, max(1, args.min_nodes)),
            zones=args.zones,
            disk_gib=SYSTEM_DISK_GIB,
            labels={},
            taints=(),
            autoscaler_tags={f"{prefix}/enabled": "true", f"{prefix}/{args.cluster.physical_name}": "owned"},
        )
        group = _node_group(self, name, args.cluster, nodes, args.tags)
        self.node_group_name = group.node_group_name
        addon(
            f"{name}-coredns",
            args.cluster.cluster_name,
            "coredns",
            # Without a node it stays DEGRADED, and its creation would wait for twenty minutes and fail.
            pulumi.ResourceOptions(parent=self, depends_on=[group]),
        )
        self.register_outputs({"nodeGroupName": self.node_group_name})


class EksNodePool(pulumi.ComponentResource):
    """Accelerator nodes of one machine type, labelled and tainted as their contract says.

    Follows "Simplify node lifecycle with managed node groups" and "Use EKS-optimized accelerated AMIs".

    Raises:
        ValueError: no EKS image drives the accelerator, or the pool wants a zone without subnets.
    """

    node_group_name: pulumi.Output[str]

    def __init__(self, name: str, args: NodePoolArgs[EksCluster], opts: pulumi.ResourceOptions | None = None) -> None:
        pool = args.pool
        nodes = _Nodes(
            name=pool.physical_name,
            machine=pool.machine.name,
            ami=_ami(pool),
            spot=pool.spot,
            sizes=(pool.min_nodes, pool.max_nodes, pool.start_nodes),
            zones=pool.zones,
            disk_gib=pool.disk_gib,
            labels=pool.node_labels,
            taints=pool.node_taints,
            autoscaler_tags=pool.autoscaler_tags(args.cluster.physical_name),
            user_data=user_data(pool.sharing, pool.numa),
            pool=pool,
        )
        super().__init__("accelfleet:aws:EksNodePool", name, {}, opts)
        self.node_group_name = _node_group(self, name, args.cluster, nodes, args.tags).node_group_name
        self.register_outputs({"nodeGroupName": self.node_group_name})


def _ami(pool: AcceleratorPool) -> str:
    """https://docs.aws.amazon.com/eks/latest/userguide/ml-eks-optimized-ami.html"""
    found = driver(pool.cloud, pool.accelerator)
    if found is None or not found.setting:
        why = pool.accelerator.withdrawn or "add the one that does to fleet/catalog/data/drivers.csv"
        raise ValueError(f"pool {pool.name}: no EKS image drives {pool.accelerator.name}: {why}")
    return found.setting


def _subnets(cluster: EksCluster, nodes: _Nodes) -> list[pulumi.Output[str]]:
    known = cluster.network.private_subnet_ids
    missing = [zone for zone in nodes.zones if zone not in known]
    if missing:
        raise ValueError(
            f"pool {nodes.name}: no subnet in {', '.join(missing)}; the network has {', '.join(known)}: "
            "raise network.zones or choose among these"
        )
    return [known[zone] for zone in nodes.zones]


def _launch_template(
    parent: pulumi.Resource, name: str, cluster: EksCluster, nodes: _Nodes, tags: dict[str, str]
) -> aws.ec2.LaunchTemplate:
    full_name = naming.physical(cluster.physical_name, nodes.name, limit=128)
    return aws.ec2.LaunchTemplate(
        f"{name}-template",
        name=full_name,
        update_default_version=True,
        user_data=nodes.user_data,
        # One hop: pods do not reach the node's credentials (pain 15); Pod Identity needs no hop.
        metadata_options=aws.ec2.LaunchTemplateMetadataOptionsArgs(
            http_endpoint="enabled", http_tokens="required", http_put_response_hop_limit=1
        ),
        block_device_mappings=[
            aws.ec2.LaunchTemplateBlockDeviceMappingArgs(
                device_name="/dev/xvda",
                ebs=aws.ec2.LaunchTemplateBlockDeviceMappingEbsArgs(
                    volume_size=nodes.disk_gib, volume_type="gp3", encrypted="true", delete_on_termination="true"
                ),
            )
        ],
        tag_specifications=[
            aws.ec2.LaunchTemplateTagSpecificationArgs(resource_type=kind, tags={**tags, "Name": full_name})
            for kind in ("instance", "volume", "network-interface")
        ],
        **reservations.template_args(nodes.terms, nodes.machine),
        **fabric.template_args(parent, name, cluster.physical_name, nodes.pool, cluster.security_group_id),
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _node_group(
    parent: pulumi.Resource, name: str, cluster: EksCluster, nodes: _Nodes, tags: dict[str, str]
) -> aws.eks.NodeGroup:
    subnets = _subnets(cluster, nodes)
    template = _launch_template(parent, name, cluster, nodes, tags)
    low, high, start = nodes.sizes
    group = aws.eks.NodeGroup(
        f"{name}-nodes",
        cluster_name=cluster.cluster_name,
        node_group_name=nodes.name,
        node_role_arn=cluster.node_role_arn,
        version=cluster.version,
        ami_type=nodes.ami,
        capacity_type="SPOT" if nodes.spot else reservations.capacity_type(nodes.terms),
        # A block's machine is named in its template, and may not be named twice.
        instance_types=None if reservations.is_block(nodes.terms) else [nodes.machine],
        subnet_ids=subnets,
        launch_template=aws.eks.NodeGroupLaunchTemplateArgs(
            id=template.id, version=template.latest_version.apply(lambda version: str(int(version)))
        ),
        labels=dict(nodes.labels),
        taints=[aws.eks.NodeGroupTaintArgs(key=t.key, value=t.value, effect=_EFFECT[t.effect]) for t in nodes.taints],
        scaling_config=aws.eks.NodeGroupScalingConfigArgs(min_size=low, max_size=high, desired_size=start),
        # Accelerators are scarce: an update takes one node away before it asks for its successor, instead of surging.
        update_config=aws.eks.NodeGroupUpdateConfigArgs(max_unavailable=1, update_strategy="MINIMAL"),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=cluster.ready, ignore_changes=["scalingConfig.desiredSize"]),
    )
    asg = group.resources.apply(lambda made: made[0].autoscaling_groups[0].name)
    for key, value in {**nodes.autoscaler_tags, **tags}.items():
        # EKS copies no tag of the node group to its ASG, where cluster-autoscaler and the bill look (autoscaler#5278).
        aws.autoscaling.Tag(
            f"{name}-{key}",
            autoscaling_group_name=asg,
            tag=aws.autoscaling.TagTagArgs(key=key, value=value, propagate_at_launch=False),
            opts=pulumi.ResourceOptions(parent=parent),
        )
    reservations.drain_before_the_end(parent, name, nodes.terms, asg)
    return group
