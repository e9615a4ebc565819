"""Dynamic Resource Allocation on the simulated nodes: NVIDIA's kubelet plugin, and what autoscalers know of claims.

Where the plugin runs on a node that has a kernel driver, the node's GPUs are in a ResourceSlice, from which the real scheduler
allocates; when the plugin goes they go, at once and not after the kubelet's half minute. Publishes whole GPUs only.
kubernetes-sigs/dra-driver-nvidia-gpu, cmd/gpu-kubelet-plugin/deviceinfo.go, v0.5.0, read 2026-11-23.
"""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

from fleet.catalog import dra
from fleet.catalog.accelerators import Accelerator, Family
from sandbox.cluster.api import Api, ApiError, Object, images, is_ready
from sandbox.cluster.pool import POOL, NodePool

DRIVER = dra.NVIDIA
_SLICES = f"/apis/{dra.API}/resourceslices"
_TEMPLATES = f"/apis/{dra.API}/resourceclaimtemplates"
# The chart's image, and the container in it that is about GPUs.
_IMAGE, _CONTAINER = "dra-driver-nvidia-gpu", "gpus"
_GKE_INSTALLER = "cos-nvidia-installer"
# Product and architecture in NVML's words, compute capability of https://developer.nvidia.com/cuda-gpus.
_PRODUCTS = {
    "nvidia-t4": ("Tesla T4", "Turing", "7.5.0"),
    "nvidia-l4": ("NVIDIA L4", "Ada Lovelace", "8.9.0"),
    "nvidia-a10": ("NVIDIA A10", "Ampere", "8.6.0"),
    "nvidia-a10g": ("NVIDIA A10G", "Ampere", "8.6.0"),
    "nvidia-l40s": ("NVIDIA L40S", "Ada Lovelace", "8.9.0"),
    "nvidia-rtx-pro-6000": ("NVIDIA RTX PRO 6000 Blackwell Server Edition", "Blackwell", "12.0.0"),
    "nvidia-a100-40gb": ("NVIDIA A100-SXM4-40GB", "Ampere", "8.0.0"),
    "nvidia-a100-80gb": ("NVIDIA A100-SXM4-80GB", "Ampere", "8.0.0"),
    "nvidia-h100-80gb": ("NVIDIA H100 80GB HBM3", "Hopper", "9.0.0"),
    "nvidia-h100-nvl-94gb": ("NVIDIA H100 NVL", "Hopper", "9.0.0"),
    "nvidia-h200-141gb": ("NVIDIA H200", "Hopper", "9.0.0"),
    "nvidia-b200": ("NVIDIA B200", "Blackwell", "10.0.0"),
    "nvidia-b300": ("NVIDIA B300 SXM6 AC", "Blackwell", "10.3.0"),
}
_KERNEL_DRIVER, _CUDA = "580.95.5", "13.0.0"


def reconcile(api: Api, pools: dict[str, NodePool], nodes: list[Object], pods: list[Object]) -> None:
    """Make every node's slice what the plugin that runs there finds in its hardware; notes on nodes what they publish."""
    plugged, installed = _running(pods)
    published = {s["spec"]["nodeName"]: s for s in api.items(_SLICES) if s["spec"]["driver"] == DRIVER}
    for node in nodes:
        meta = node["metadata"]
        pool = pools.get((meta.get("annotations") or {}).get(POOL, ""))
        works = pool is not None and meta["name"] in plugged and (pool.driver_ok or meta["name"] in installed)
        found = devices(pool, meta["name"]) if pool is not None and works else []
        there = published.pop(meta["name"], None)
        node["devices"] = {DRIVER: len(found)} if there else {}
        if found and not there:
            _create(api, _slice(node, found))
        elif there and not found:
            _delete(api, there)
    for slice_ in published.values():  # of nodes that are gone: the garbage collector takes a minute
        _delete(api, slice_)


def _running(pods: list[Object]) -> tuple[set[str], set[str]]:
    """Nodes on which the plugin runs, and nodes on which GKE's driver was installed."""
    plugged, installed = set(), set()
    for pod in pods:
        if not is_ready(pod) or pod["metadata"].get("deletionTimestamp") is not None:
            continue
        node = pod["spec"].get("nodeName", "")
        if any(_IMAGE in c.get("image", "") and c["name"] == _CONTAINER for c in pod["spec"].get("containers") or []):
            plugged.add(node)
        if any(_GKE_INSTALLER in image for image in images({"spec": {"containers": pod["spec"].get("initContainers")}})):
            installed.add(node)
    return plugged, installed


def devices(pool: NodePool, node: str) -> list[Object]:
    """A node's GPUs as the driver describes them; none for other hardware, and none of those that are cut or shared."""
    accelerator = pool.hardware.accelerator if pool.hardware else None
    if pool.hardware is None or accelerator is None or accelerator.family is not Family.NVIDIA or pool.sharing is not None:
        return []
    return [_device(accelerator, pool.hardware.device_gib, node, minor) for minor in range(pool.hardware.accelerators)]


def _device(accelerator: Accelerator, memory_gib: int, node: str, minor: int) -> Object:
    texts = {"type": "gpu", "uuid": f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{minor}.{node}')}"}
    versions = {"driverVersion": _KERNEL_DRIVER, "cudaDriverVersion": _CUDA}
    if accelerator.name in _PRODUCTS:  # of another nobody has seen what its driver says
        texts["productName"], texts["architecture"], versions["cudaComputeCapability"] = _PRODUCTS[accelerator.name]
        texts["brand"] = "Tesla" if texts["productName"].startswith("Tesla") else "Nvidia"
    return {
        "name": f"gpu-{minor}",
        "attributes": {
            **{key: {"string": text} for key, text in texts.items()},
            **{key: {"version": version} for key, version in versions.items()},
            "resource.kubernetes.io/pciBusID": {"string": f"0000:{minor + 16:02x}:00.0"},
        },
        # A sixteenth of what was marketed is not seen: 22.5 GiB of an L4's 24.
        "capacity": {"memory": {"value": f"{memory_gib * 960}Mi"}},
    }


def _slice(node: Object, found: list[Object]) -> Object:
    name, uid = node["metadata"]["name"], node["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": uid, "controller": True}
    return {
        "apiVersion": dra.API,
        "kind": "ResourceSlice",
        "metadata": {"name": f"{name}-{DRIVER}", "ownerReferences": [owner]},
        "spec": {
            "driver": DRIVER,
            "nodeName": name,
            "pool": {"name": name, "generation": 1, "resourceSliceCount": 1},
            "devices": found,
        },
    }


def _create(api: Api, slice_: Object) -> None:
    try:
        api.call("POST", _SLICES, slice_)
    except ApiError as error:
        if error.status != 409:  # the list that said it was not there is a moment old
            raise


def _delete(api: Api, slice_: Object) -> None:
    with contextlib.suppress(ApiError):
        api.call("DELETE", f"{_SLICES}/{slice_['metadata']['name']}")


def count(api: Api, pods: list[Object]) -> None:
    """Note on pods how many devices of each driver they claim by templates, for those who count what a pod asks for."""
    claiming = [pod for pod in pods if pod["spec"].get("resourceClaims") and not pod["spec"].get("nodeName")]
    if not claiming:
        return
    templates = {(t["metadata"]["namespace"], t["metadata"]["name"]): t["spec"]["spec"] for t in api.items(_TEMPLATES)}
    for pod in claiming:
        asked: dict[str, int] = {}
        for claim in pod["spec"]["resourceClaims"]:
            spec = templates.get((pod["metadata"]["namespace"], claim.get("resourceClaimTemplateName", "")), {})
            for request in (spec.get("devices") or {}).get("requests") or []:
                exactly: dict[str, Any] = request.get("exactly") or {}
                name = exactly.get("deviceClassName", "")
                asked[name] = asked.get(name, 0) + int(exactly.get("count", 1))
        pod["claimed"] = asked


def offered(pool: NodePool, nodes: list[Object]) -> dict[str, int]:
    """Devices that an autoscaler expects of a new node: what a standing one publishes, on GKE what its label promises."""
    if dra.scales_from_zero(pool.cloud) and dra.pool_labels(pool.cloud).items() <= pool.labels.items():
        return {DRIVER: len(devices(pool, ""))}
    known = (n.get("devices") or {} for n in nodes if (n["metadata"].get("annotations") or {}).get(POOL) == pool.name)
    return max(known, key=lambda found: found.get(DRIVER, 0), default={})
