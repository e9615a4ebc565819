"""Where a model's weights lie in its pods: nowhere, in an image that is mounted, or in a cache that outlives a replica.

Owns the chart's `weights.cache`, and on nodes of models with `cache: {node: true}` an agent whose pods make the
directories: a pod under *restricted* may not make any on its node, and mounts one as a local volume.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet import tenancy
from fleet.contract import AcceleratorPool
from fleet.spec import ModelSpec
from fleet.spec_serving import WeightsSpec
from infra.kubernetes.namespaces import ACCELERATORS, LABELS
from infra.kubernetes.node_agents import on_pools, pause

# On the node's boot disk, which `fleet.plan` sizes for twice the weights of a pool's models.
_DIRECTORY = "/var/lib/accelfleet/weights"
_NAME = "weights-directories"
NONE: Mapping[str, Any] = {"kind": "none"}


def directory(namespace: str, model: str) -> str:
    """A model's own on each of its nodes: another team's pods never mount it."""
    return f"{_DIRECTORY}/{namespace}/{model}"


def values(weights: WeightsSpec | None, namespace: str, model: str) -> dict[str, Any]:
    """The chart's `weights.cache`."""
    if weights is not None and weights.image is not None:
        return {"kind": "image", "image": weights.image}
    cache = weights.cache if weights else None
    if cache is None:
        return dict(NONE)
    if cache.node:
        return {"kind": "node", "node": {"path": directory(namespace, model)}}
    return {"kind": "pvc", "claim": {"name": cache.claim or "", "storageClass": cache.storage_class or ""}}


def is_image(cache: Mapping[str, Any]) -> bool:
    """Whether the weights are mounted as they are, with nothing to fetch."""
    return bool(cache["kind"] == "image")


def folder(cache: Mapping[str, Any]) -> str:
    """Where a server keeps what it fetches, in the pod: for longer than its replica lives, or not."""
    return "$(WEIGHTS_CACHE)" if cache["kind"] in ("pvc", "node") else "$(HOME)/models"


def on_nodes(models: Mapping[str, ModelSpec]) -> dict[str, str]:
    """Of the models whose weights are kept on nodes, the directory of each and the pool that needs it."""
    return {
        directory(tenancy.namespace(model.team) if model.team else tenancy.NO_TEAM, name): model.pool
        for name, model in models.items()
        if model.weights and model.weights.cache and model.weights.cache.node
    }


class WeightsDirectories(pulumi.ComponentResource):
    """A pod on every node of the pools that need one, with a directory for each model: the kubelet makes what it mounts.

    Args:
        directories: see `on_nodes`. pools: all of the cluster's, rung by rung.
    """

    def __init__(
        self,
        name: str,
        directories: Mapping[str, str],
        pools: Sequence[AcceleratorPool],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("accelfleet:kubernetes:WeightsDirectories", name, {}, opts)
        needing = [pool for pool in pools if pool.name in directories.values()]
        selector = {"app.kubernetes.io/name": _NAME}
        volumes = [
            {"name": f"model-{number}", "hostPath": {"path": path, "type": "DirectoryOrCreate"}}
            for number, path in enumerate(sorted(directories))
        ]
        mounts = [{"name": volume["name"], "mountPath": f"/{volume['name']}", "readOnly": True} for volume in volumes]
        kubernetes.apps.v1.DaemonSet(
            name,
            metadata={"name": _NAME, "namespace": ACCELERATORS, "labels": {**LABELS, **selector}},
            spec={
                "selector": {"matchLabels": selector},
                "updateStrategy": {"type": "RollingUpdate"},
                "template": {
                    "metadata": {"labels": {**LABELS, **selector}},
                    "spec": {
                        "automountServiceAccountToken": False,
                        "containers": [{**pause("4Mi"), "volumeMounts": mounts}],
                        "volumes": volumes,
                        **on_pools(needing),
                    },
                },
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
