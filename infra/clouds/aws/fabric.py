"""Elastic Fabric Adapters of nodes: the interfaces, their place side by side, and the way between them.

Every network card gets its adapter: with fewer, NCCL falls back to TCP and says nothing (aws-ofi-nccl#1063).
https://docs.aws.amazon.com/eks/latest/userguide/node-efa.html
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_aws as aws

from fleet import naming
from fleet.contract import AcceleratorPool


def template_args(
    parent: pulumi.Resource, name: str, cluster: str, pool: AcceleratorPool | None, group: pulumi.Output[str]
) -> dict[str, Any]:
    """The launch template's part for a pool with the fabric; empty without.

    Args:
        cluster: its physical name. group: the cluster's security group, which a template with interfaces must name itself.
    """
    if pool is None or not pool.efa:
        return {}
    interface = aws.ec2.LaunchTemplateNetworkInterfaceArgs
    made: dict[str, Any] = {
        "network_interfaces": [
            interface(
                device_index=min(card, 1),
                network_card_index=card,
                # The others carry no IP traffic, and take no address of the subnet.
                interface_type="efa-only" if card else "efa",
                security_groups=[group],
                delete_on_termination="true",
            )
            for card in range(pool.efa)
        ]
    }
    placement = placement_group(parent, name, cluster, pool)
    if placement is not None:
        made["placement"] = aws.ec2.LaunchTemplatePlacementArgs(group_name=placement.name)
    return made


def placement_group(parent: pulumi.Resource, name: str, cluster: str, pool: AcceleratorPool) -> aws.ec2.PlacementGroup | None:
    """Where nodes with the fabric stand side by side; None for others.

    A reservation has its place already: EC2 refuses to start its machines in a placement group of ours.
    """
    if not pool.efa or pool.terms is not None:
        return None
    return aws.ec2.PlacementGroup(
        f"{name}-placement",
        name=naming.physical(cluster, pool.physical_name, limit=128),
        strategy="cluster",
        opts=pulumi.ResourceOptions(parent=parent),
    )


def way_out(name: str, group: pulumi.Output[str], opts: pulumi.ResourceOptions) -> None:
    """Adapters reach their like only where a rule names the group itself; "anywhere" is not enough.

    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-start.html#efa-start-security
    """
    aws.vpc.SecurityGroupEgressRule(
        f"{name}-efa",
        security_group_id=group,
        referenced_security_group_id=group,
        ip_protocol="-1",
        description="Elastic Fabric Adapters of this cluster's nodes",
        tags={"Name": f"{name}-efa"},
        opts=opts,
    )
