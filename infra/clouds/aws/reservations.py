"""What a managed node group needs to run on capacity that was bought ahead: reservations and Capacity Blocks.

Refers to what was bought, never buys: a block is paid in full on the day it is ordered.
https://docs.aws.amazon.com/eks/latest/userguide/capacity-blocks-mng.html
"""

from __future__ import annotations

from datetime import UTC, timedelta
from typing import Any

import pulumi
import pulumi_aws as aws

from fleet.contract import Terms

# EC2 takes the machines back from half an hour before a block's end; pods get a quarter of an hour to move.
_DRAIN = timedelta(minutes=45)


def is_block(terms: Terms | None) -> bool:
    """Whether the nodes come from a Capacity Block."""
    return terms is not None and terms.purchase == "capacity-block"


def capacity_type(terms: Terms | None) -> str:
    """What EKS calls it; a reservation is on-demand capacity that is there for certain."""
    return "CAPACITY_BLOCK" if is_block(terms) else "ON_DEMAND"


def template_args(terms: Terms | None, machine: str) -> dict[str, Any]:
    """The launch template's part: which reservation its machines come from, and none besides."""
    if terms is None or terms.reservation is None:
        return {}
    target = aws.ec2.LaunchTemplateCapacityReservationSpecificationCapacityReservationTargetArgs(
        capacity_reservation_id=terms.reservation
    )
    spec = aws.ec2.LaunchTemplateCapacityReservationSpecificationArgs(capacity_reservation_target=target)
    if not is_block(terms):
        return {"capacity_reservation_specification": spec}
    return {
        "capacity_reservation_specification": spec,
        "instance_type": machine,
        "instance_market_options": aws.ec2.LaunchTemplateInstanceMarketOptionsArgs(market_type="capacity-block"),
    }


def drain_before_the_end(parent: pulumi.Resource, name: str, terms: Terms | None, group: pulumi.Output[str]) -> None:
    """Take the nodes down in good time, and let no autoscaler bring them back."""
    if terms is None or terms.ends is None:
        return
    aws.autoscaling.Schedule(
        f"{name}-end",
        autoscaling_group_name=group,
        scheduled_action_name=f"{name}-end",
        start_time=(terms.ends - _DRAIN).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        min_size=0,
        max_size=0,
        desired_capacity=0,
        opts=pulumi.ResourceOptions(parent=parent),
    )
