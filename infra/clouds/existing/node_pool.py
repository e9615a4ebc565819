"""Hosts as a pool: the contract's labels on nodes that stand already, put there by server-side apply and taken back.

Never a taint: the API keeps a node's taints as one list with one owner, and applying ours would drop those that the
cluster's own controllers set (https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy).
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.clouds.base import NodePoolArgs


class HostPool(pulumi.ComponentResource):
    """The pool's labels on each of its hosts. A host that is not there is an error of the run, by its name.

    Needs the cluster's Kubernetes provider in its options.
    """

    def __init__(self, name: str, args: NodePoolArgs[Any], opts: pulumi.ResourceOptions | None = None) -> None:
        hosts = args.pool.hosts
        assert hosts is not None, "a pool of an existing cluster has hosts"
        super().__init__("accelfleet:existing:HostPool", name, {}, opts)
        for host in hosts.names:
            kubernetes.core.v1.NodePatch(
                f"{name}-{host}",
                metadata={"name": host, "labels": args.pool.node_labels},
                # A host that moves to another pool keeps its node: the labels go before others come.
                opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True),
            )
        self.register_outputs({})
