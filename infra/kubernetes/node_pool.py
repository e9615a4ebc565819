"""Karpenter's NodePool, from the contract: the same object on EKS, where Karpenter is ours, and on AKS, where it is Azure's.

Owns NodePools and, with each, the class that says how its cloud starts a machine; what stands in the class is each cloud's.
Moves nothing that runs for money, but where a pool says `climb`.
https://karpenter.sh/docs/concepts/nodepools/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.catalog.clouds import zone_label
from fleet.contract import AcceleratorPool
from infra.kubernetes.namespaces import LABELS

_API = "karpenter.sh/v1"
# A node without work is waited for this long; two of its starts would not take longer.
_IDLE = "5m"
# A node is replaced after a month, so that none runs an image of last year.
_OLDEST = "720h"
# Between the weights of two rungs, so that one put in by hand finds room. Weights go to 100.
_STEP = 10


@dataclass(frozen=True)
class NodeClass:
    """The kind of object by which a cloud's provider of Karpenter is told how to start a machine."""

    group: str
    version: str
    kind: str


EC2 = NodeClass("karpenter.k8s.aws", "v1", "EC2NodeClass")
AKS = NodeClass("karpenter.azure.com", "v1beta1", "AKSNodeClass")


def weight(pool: AcceleratorPool, depth: int) -> int:
    """Of the rung at that place of the pool's ladder; the first has the highest."""
    return _STEP * (len(pool.rungs) - depth)


def node_pool(rung: AcceleratorPool, weight: int, node_class: NodeClass) -> dict[str, Any]:
    """A NodePool's spec: nodes as the contract says, no more of them than the rung's, tried in the order of weights."""
    where = [zone_label(rung.cloud, rung.region, zone) for zone in rung.zones]
    spec = nodes(rung.machine.name, where, rung.capacity_type, node_class, rung.physical_name)
    taints = [{"key": t.key, "value": t.value, "effect": t.effect} for t in rung.all_taints]
    template = {"metadata": {"labels": dict(rung.node_labels)}, "spec": {**spec["template"]["spec"], "taints": taints}}
    limits = {"nodes": str(rung.max_nodes), rung.resource: str(rung.max_nodes * rung.slots)}
    # To a cheaper one, which spot is: the stack file's `climb` says that a replica may load anew for it.
    moved = {**spec["disruption"], "consolidationPolicy": "WhenEmptyOrUnderutilized"} if rung.climb else spec["disruption"]
    return {**spec, "weight": weight, "limits": limits, "disruption": moved, "template": template}


def nodes(machine: str, zones: Sequence[str], capacity_type: str, node_class: NodeClass, name: str) -> dict[str, Any]:
    """What every pool's spec has here: one machine type, bought in one way, the class of its name, and when its nodes go."""
    wanted = {
        "node.kubernetes.io/instance-type": [machine],
        "topology.kubernetes.io/zone": list(zones),
        "karpenter.sh/capacity-type": [capacity_type],
        "kubernetes.io/arch": ["amd64"],
        "kubernetes.io/os": ["linux"],
    }
    return {
        "disruption": {
            # Nothing moves a running replica for money: to load one costs minutes.
            "consolidationPolicy": "WhenEmpty",
            "consolidateAfter": _IDLE,
            # Accelerators are scarce, and a change of the pool may not take more than one node at a time.
            "budgets": [{"nodes": "100%", "reasons": ["Empty"]}, {"nodes": "1", "reasons": ["Drifted", "Underutilized"]}],
        },
        "template": {
            "spec": {
                "nodeClassRef": {"group": node_class.group, "kind": node_class.kind, "name": name},
                "requirements": [{"key": key, "operator": "In", "values": values} for key, values in wanted.items()],
                "expireAfter": _OLDEST,
            }
        },
    }


def made(
    parent: pulumi.Resource, name: str, physical: str, node_class: NodeClass, how: Mapping[str, Any], what: dict[str, Any]
) -> None:
    """A NodePool with the spec `what` and, made before it and gone after it, the class of its name with the spec `how`."""

    def one(api: str, kind: str, spec: Mapping[str, Any], after: list[pulumi.Resource]) -> pulumi.Resource:
        made: pulumi.Resource = kubernetes.apiextensions.CustomResource(
            name,
            api_version=api,
            kind=kind,
            metadata={"name": physical, "labels": LABELS},
            spec=spec,
            opts=pulumi.ResourceOptions(parent=parent, depends_on=after),
        )
        return made

    first = one(f"{node_class.group}/{node_class.version}", node_class.kind, how, [])
    one(_API, "NodePool", what, [first])
