"""A DaemonSet on the nodes of pools with one kind of fabric and on no other, tolerating all their taints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.contract import FABRIC_LABEL, AcceleratorPool
from infra.kubernetes.namespaces import ACCELERATORS, LABELS
from infra.kubernetes.node_agents import tolerations


def fabric_daemon(
    name: str, label: str, app: str, pools: Sequence[AcceleratorPool], pod: dict[str, Any], opts: pulumi.ResourceOptions
) -> kubernetes.apps.v1.DaemonSet:
    """The DaemonSet.

    Args:
        label: value of the fabric label on its nodes. app: its name in the cluster. pod: containers, volumes and the like.
    """
    selector = {"app.kubernetes.io/name": app}
    labels = {**LABELS, **selector}
    return kubernetes.apps.v1.DaemonSet(
        name,
        metadata={"name": app, "namespace": ACCELERATORS, "labels": labels},
        spec={
            "selector": {"matchLabels": selector},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "priorityClassName": "system-node-critical",
                    "automountServiceAccountToken": False,
                    "nodeSelector": {FABRIC_LABEL: label},
                    "tolerations": tolerations(pools),
                    **pod,
                },
            },
        },
        opts=opts,
    )
