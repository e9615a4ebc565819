"""The parts of the scheduling contract that stand by themselves: what a pod carries, and how nodes came to be there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from fleet.catalog.dra import Claim
from fleet.catalog.nodes import Taint


@dataclass(frozen=True)
class Placement:
    """What a pod must carry to run on a pool, in Kubernetes' own field shapes.

    Attributes:
        resource: extended resource, of which it asks `count`; None where `claim` says it.
        claim: what it claims; None where `resource` says it.
        extra: further resources in proportion to `count`, such as the node's network fabric.
        annotations: of the pod, such as the networks that GKE is to attach it to.
        prefer: labels of the nodes it goes to first, the most wanted in front; empty where all of the pool's are alike.
        scheduler: who places it where that is not Kubernetes' own scheduler; None where it is.
        runtime_class: where the nodes' own container runtime does not bring the devices in; None where it does.
    """

    node_selector: dict[str, str]
    tolerations: list[dict[str, str]]
    resource: str | None
    count: int
    claim: Claim | None = None
    prefer: tuple[dict[str, str], ...] = ()
    extra: dict[str, int] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    scheduler: str | None = None
    runtime_class: str | None = None


@dataclass(frozen=True)
class Hosts:
    """The nodes of a pool that stand already, in an existing cluster.

    Attributes:
        names: theirs. taints: what they carry. operated: whether an operator there runs driver and device plugin.
        usd_hour: what one costs its owner; None where nobody said.
    """

    names: tuple[str, ...]
    taints: tuple[Taint, ...] = ()
    operated: bool = False
    runtime_class: str | None = None
    usd_hour: float | None = None


@dataclass(frozen=True)
class Terms:
    """How nodes are bought that are neither spot nor on-demand.

    Attributes:
        purchase: reservation, capacity-block or flex-start.
        reservation: what the cloud calls what was bought.
        ends: when a capacity block ends. longest_s: seconds that a flex-start node may run.
        wait_s: seconds that one is queued for until the next way to buy has its turn; None for the cloud's default.
    """

    purchase: str
    reservation: str | None = None
    ends: datetime | None = None
    longest_s: int | None = None
    wait_s: int | None = None
