"""GKE's ComputeClass: in which order its autoscaler grows the pools that one accelerator pool is in the cloud.

What the priority expander's table is elsewhere (`infra.kubernetes.cluster_autoscaler`). The pools are ours, named here
in their order; GKE makes none of its own, and moves no running pod for money (docs/adr/0009).
https://cloud.google.com/kubernetes-engine/docs/reference/crds/computeclass
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.contract import AcceleratorPool
from infra.kubernetes.namespaces import LABELS


def order(pool: AcceleratorPool) -> dict[str, Any]:
    """The `spec` of the pool's class."""
    return {
        "priorities": [{"nodepools": [rung.physical_name]} for rung in pool.rungs],
        "nodePoolAutoCreation": {"enabled": False},
        # A pod that no rung has room for waits: another machine than its accelerator's is of no use to it.
        "whenUnsatisfiable": "DoNotScaleUp",
    }


class ComputeClass(pulumi.ComponentResource):
    """The order of one pool's rungs, under the name that its nodes and pods carry (`AcceleratorPool.compute_class`)."""

    def __init__(self, name: str, pool: AcceleratorPool, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:kubernetes:ComputeClass", name, {}, opts)
        kubernetes.apiextensions.CustomResource(
            name,
            api_version="cloud.google.com/v1",
            kind="ComputeClass",
            metadata={"name": pool.compute_class, "labels": LABELS},
            spec=order(pool),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
