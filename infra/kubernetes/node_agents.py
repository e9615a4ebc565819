"""Where agents of accelerator nodes run: on every node of some pools, whatever its taints, and on no other.

Device plugins, DRA drivers, driver installers and what fabrics need are all placed by this; what they do is their modules'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fleet.contract import ACCELERATOR_LABEL, ALLOCATION_LABEL, POOL_LABEL, SHARING_LABEL, AcceleratorPool
from infra import versions


def on_nodes_of(pools: Sequence[AcceleratorPool]) -> dict[str, Any]:
    """A pod's `tolerations` and `affinity`; the pools hand their accelerators out in one way, shared or not, claimed or not."""
    terms = [
        {"key": ACCELERATOR_LABEL, "operator": "In", "values": sorted({pool.accelerator.name for pool in pools})},
        *(_one_of(label, pools) for label in (SHARING_LABEL, ALLOCATION_LABEL)),
    ]
    if any(pool.hosts for pool in pools):  # its neighbour with the same accelerator may have another runtime, or an operator
        terms.append({"key": POOL_LABEL, "operator": "In", "values": sorted(pool.name for pool in pools)})
    return {
        "tolerations": tolerations(pools),
        "affinity": {
            "nodeAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [{"matchExpressions": terms}]}
            }
        },
    }


def on_pools(pools: Sequence[AcceleratorPool]) -> dict[str, Any]:
    """As `on_nodes_of`, for pools that may differ in how they hand their accelerators out: by the pools' names."""
    there = {"key": POOL_LABEL, "operator": "In", "values": sorted({pool.name for pool in pools})}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [there]}]}
    return {
        "tolerations": tolerations(pools),
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}},
    }


def tolerations(pools: Sequence[AcceleratorPool]) -> list[dict[str, str]]:
    """Of all taints of these pools."""
    taints = sorted({taint for pool in pools for taint in pool.all_taints})
    return [{"key": t.key, "operator": "Equal", "value": t.value, "effect": t.effect} for t in taints]


def pause(memory: str) -> dict[str, Any]:
    """The container of an agent whose work is done by its init containers: it only waits."""
    return {
        "name": "pause",
        "image": versions.PAUSE_IMAGE,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "resources": {"requests": {"cpu": "1m", "memory": memory}, "limits": {"memory": "16Mi"}},
    }


def _one_of(label: str, pools: Sequence[AcceleratorPool]) -> dict[str, Any]:
    """Nodes with what the pools have under a label, or without it where they have none."""
    values = sorted({pool.node_labels[label] for pool in pools if label in pool.node_labels})
    return {"key": label, "operator": "In", "values": values} if values else {"key": label, "operator": "DoesNotExist"}
