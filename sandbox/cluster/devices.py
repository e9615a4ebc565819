"""The device manager of the simulated kubelets: accelerators appear on a node when their plugin runs there, and go with it.

Follows what NVIDIA's plugin does with its settings: MIG_STRATEGY, and a configuration file that shares each GPU by
turns or, beside a running MPS daemon, side by side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import yaml

from fleet.catalog.fabric import EFA_RESOURCE, GKE_NETWORK_RESOURCES, INFINIBAND_RESOURCE
from fleet.catalog.neuron import CORE_RESOURCE
from fleet.catalog.sharing import SharingMode
from sandbox.cluster.api import Api, ApiError, Object, is_ready
from sandbox.cluster.pool import POOL, NodePool

# Part of a device plugin's image name -> the resource it registers. The upstream images' own names.
PLUGINS = {
    "k8s-device-plugin": "nvidia.com/gpu",
    "gpu-operator": "nvidia.com/gpu",
    "neuron-device-plugin": "aws.amazon.com/neuron",
    "habana": "habana.ai/gaudi",
}
# Those of fabrics, looked for first: one's name has NVIDIA's in it.
_FABRIC_PLUGINS = {"aws-efa-k8s-device-plugin": EFA_RESOURCE, "sriov-network-device-plugin": INFINIBAND_RESOURCE}
_MPS_DAEMON = "mps-control-daemon"


@dataclass(frozen=True)
class _Plugin:
    """A running plugin: what it registers, whether it looks for MIG devices, and how often it counts each device."""

    resource: str
    mig: bool = False
    replicas: int = 1
    needs_mps: bool = False


def reconcile(api: Api, pools: dict[str, NodePool], nodes: list[Object], pods: list[Object]) -> None:
    """Make every node offer exactly what the plugins that run on it can find in its hardware."""
    read = partial(_config_map, api, {})
    running: dict[str, list[_Plugin]] = {}
    mps: set[str] = set()
    fabric: set[tuple[str, str]] = set()
    for pod in pods:
        if not is_ready(pod) or pod["metadata"].get("deletionTimestamp") is not None:
            continue
        node = pod["spec"].get("nodeName", "")
        for container in pod["spec"].get("containers") or []:
            if _MPS_DAEMON in (container.get("command") or []):
                mps.add(node)
                continue
            if of_fabric := next((r for part, r in _FABRIC_PLUGINS.items() if part in container.get("image", "")), None):
                fabric.add((node, of_fabric))
                continue
            for part, resource in PLUGINS.items():
                if part in container.get("image", ""):
                    running.setdefault(node, []).append(_plugin(resource, container, pod, read))
    for node_ in nodes:
        name = node_["metadata"]["name"]
        pool = pools.get((node_["metadata"].get("annotations") or {}).get(POOL, ""))
        if pool is not None:
            _offer_fabric(api, node_, pool, {r for on, r in fabric if on == name})
        if pool is not None and pool.resource:
            count = _count(pool, pool.resource, running.get(name, []), name in mps)
            offer(api, node_, pool.resource, count)
            if each := pool.neuron_cores:
                offer(api, node_, CORE_RESOURCE, count * each)


def _offer_fabric(api: Api, node: Object, pool: NodePool, plugins: set[str]) -> None:
    """What plugins of these resources find there; a network is GKE's own, and goes when its object does."""
    for resource, interfaces in pool.fabric().items():
        there = resource.startswith(GKE_NETWORK_RESOURCES) or resource in plugins
        offer(api, node, resource, interfaces if there else 0)
    for resource in node["status"].get("allocatable") or {}:
        if resource.startswith(GKE_NETWORK_RESOURCES) and resource not in pool.fabric():
            offer(api, node, resource, 0)


def _count(pool: NodePool, resource: str, running: list[_Plugin], mps: bool) -> int:
    """Devices the node offers: those the cloud's own plugin sees at once, else what a running plugin makes of them."""
    if pool.offered_at_once:
        return pool.parts
    plugin = next((p for p in running if p.resource == resource and (mps or not p.needs_mps)), None)
    if plugin is None or not pool.driver_ok or pool.hardware is None:
        return 0
    # Told nothing of MIG, the plugin counts whole GPUs, cut or not.
    is_cut = pool.sharing is not None and pool.sharing.mode is SharingMode.MIG
    return (pool.parts if is_cut and plugin.mig else pool.hardware.accelerators) * plugin.replicas


def _plugin(resource: str, container: Object, pod: Object, read: Any) -> _Plugin:
    env = {e["name"]: e.get("value", "") for e in container.get("env") or []}
    mig = env.get("MIG_STRATEGY") == "single"
    maps = [v["configMap"]["name"] for v in pod["spec"].get("volumes") or [] if v.get("configMap")]
    if "CONFIG_FILE" not in env or not maps:
        return _Plugin(resource, mig)
    said = read(pod["metadata"]["namespace"], maps[0])
    for kind, needs_mps in (("timeSlicing", False), ("mps", True)):
        for entry in ((said.get("sharing") or {}).get(kind) or {}).get("resources") or []:
            if entry.get("name") == resource:
                return _Plugin(resource, mig, int(entry["replicas"]), needs_mps)
    return _Plugin(resource, mig)


def _config_map(api: Api, seen: dict[tuple[str, str], Any], namespace: str, name: str) -> dict[str, Any]:
    """A plugin's configuration; empty while there is none, which the real plugin would not start with."""
    if (namespace, name) not in seen:
        try:
            found = api.call("GET", f"/api/v1/namespaces/{namespace}/configmaps/{name}")
            texts = list((found.get("data") or {}).values())
            seen[namespace, name] = yaml.safe_load(texts[0]) if texts else {}
        except (ApiError, yaml.YAMLError):
            seen[namespace, name] = {}
    made = seen[namespace, name]
    return made if isinstance(made, dict) else {}


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
