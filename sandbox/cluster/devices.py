"""The device manager of the simulated kubelets: accelerators appear on a node when their plugin runs there, and go with it."""

from __future__ import annotations

from sandbox.cluster.api import Api, ApiError, Object, images, is_ready
from sandbox.cluster.pool import HARDWARE, POOL, NodePool

# Part of a device plugin's image name -> the resource it registers. The upstream images' own names.
PLUGINS = {
    "k8s-device-plugin": "nvidia.com/gpu",
    "gpu-operator": "nvidia.com/gpu",
    "neuron-device-plugin": "aws.amazon.com/neuron",
    "habana": "habana.ai/gaudi",
}


def reconcile(api: Api, pools: dict[str, NodePool], nodes: list[Object], pods: list[Object]) -> None:
    """Make every node offer exactly what the plugins that run on it can find in its hardware."""
    registered: dict[str, set[str]] = {}
    for pod in pods:
        if is_ready(pod) and pod["metadata"].get("deletionTimestamp") is None:
            for image in images(pod):
                for part, resource in PLUGINS.items():
                    if part in image:
                        registered.setdefault(pod["spec"].get("nodeName", ""), set()).add(resource)
    for node in nodes:
        notes = node["metadata"].get("annotations") or {}
        pool = pools.get(notes.get(POOL, ""))
        resource, _, count = notes.get(HARDWARE, "=").partition("=")
        if pool is None or not resource:
            continue
        present = pool.offered_at_once or (pool.driver_ok and resource in registered.get(node["metadata"]["name"], set()))
        offer(api, node, resource, int(count) if present else 0)


def offer(api: Api, node: Object, resource: str, count: int) -> None:
    """Set what a node offers of a resource; a kubelet that never saw the plugin has no such entry at all."""
    now = (node["status"].get("allocatable") or {}).get(resource)
    if now == str(count) or (now is None and count == 0):
        return
    status = {"status": {"capacity": {resource: str(count)}, "allocatable": {resource: str(count)}}}
    try:
        api.patch(f"/api/v1/nodes/{node['metadata']['name']}/status", status)
    except ApiError as error:
        if error.status != 404:
            raise
