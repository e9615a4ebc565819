"""What NVIDIA's device plugin is told where a pool's GPUs are shared, on clouds that leave the plugin to us.

Owns the plugin's configuration and the MPS daemon beside it, after the project's own chart
(NVIDIA/k8s-device-plugin, deployments/helm). GKE does all of this itself (`infra/clouds/gcp/node_pool.py`); MIG is cut
by the cloud or at boot, and here only the plugin is told to look for it.
"""

from __future__ import annotations

import json
from typing import Any

from fleet.catalog.accelerators import Family
from fleet.catalog.sharing import Sharing, SharingMode

CONFIG_DIR = "/config"
_MPS_ROOT = "/run/nvidia/mps"


def told(sharing: Sharing | None) -> Sharing | None:
    """What a plugin must be told of; Neuron's counts its devices' cores in any case."""
    return None if sharing is not None and sharing.mode is SharingMode.CORES else sharing


def group(sharing: Sharing | None) -> str:
    """Pools of one group take the same plugin: `` (told of nothing), `mig`, `time-slicing-4`, `mps-4`."""
    sharing = told(sharing)
    if sharing is None:
        return ""
    return str(sharing.mode) if sharing.mode is SharingMode.MIG else str(sharing)


def config(sharing: Sharing) -> str | None:
    """The plugin's configuration file, JSON being YAML; None for MIG, where a variable says it all."""
    replicas: dict[str, Any] = {"resources": [{"name": Family.NVIDIA.resource, "replicas": sharing.slots}]}
    if sharing.mode is SharingMode.MIG:
        return None
    if sharing.mode is SharingMode.MPS:
        return json.dumps({"version": "v1", "sharing": {"mps": replicas}})
    # Two turns on a GPU are not twice the GPU: who asks for two is refused, instead of being let down.
    turns = {"failRequestsGreaterThanOne": True, **replicas}
    return json.dumps({"version": "v1", "sharing": {"timeSlicing": turns}})


def plugin_container(sharing: Sharing) -> dict[str, Any]:
    """Fields that the plugin's container has on top of those for whole GPUs."""
    if sharing.mode is SharingMode.MIG:
        return {
            "env": [{"name": "MIG_STRATEGY", "value": "single"}, {"name": "NVIDIA_MIG_MONITOR_DEVICES", "value": "all"}],
            # Reading MIG's capability files takes it: the chart adds the same.
            "securityContext": {"allowPrivilegeEscalation": True, "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}},
        }
    made: dict[str, Any] = {
        "env": [{"name": "CONFIG_FILE", "value": f"{CONFIG_DIR}/config.yaml"}],
        "volumeMounts": [{"name": "config", "mountPath": CONFIG_DIR, "readOnly": True}],
    }
    if sharing.mode is SharingMode.MPS:
        made["env"].append({"name": "MPS_ROOT", "value": _MPS_ROOT})
        made["volumeMounts"] += _MPS_MOUNTS
    return made


def mps_daemon(image: str) -> dict[str, Any]:
    """Containers of the daemon that hands each client its share of memory and threads; privileged, as it drives the GPU."""
    privileged = {"privileged": True}
    mounting = {
        "name": "mount-shm",
        "image": image,
        "command": ["mps-control-daemon", "mount-shm"],
        "securityContext": privileged,
        "volumeMounts": [{"name": "mps-root", "mountPath": "/mps", "mountPropagation": "Bidirectional"}],
    }
    daemon = {
        "name": "mps",
        "image": image,
        "command": ["mps-control-daemon"],
        "env": [
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "CONFIG_FILE", "value": f"{CONFIG_DIR}/config.yaml"},
            {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
            {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "compute,utility"},
        ],
        "securityContext": privileged,
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": [*_MPS_MOUNTS, {"name": "config", "mountPath": CONFIG_DIR, "readOnly": True}],
    }
    return {"initContainers": [mounting], "containers": [daemon]}


def volumes(sharing: Sharing, config_map: str) -> list[dict[str, Any]]:
    """Volumes that the containers above mount."""
    if sharing.mode is SharingMode.MIG:
        return []
    made: list[dict[str, Any]] = [{"name": "config", "configMap": {"name": config_map}}]
    if sharing.mode is SharingMode.MPS:
        made += [
            {"name": "mps-root", "hostPath": {"path": _MPS_ROOT, "type": "DirectoryOrCreate"}},
            {"name": "mps-shm", "hostPath": {"path": f"{_MPS_ROOT}/shm"}},
        ]
    return made


_MPS_MOUNTS = [{"name": "mps-root", "mountPath": "/mps"}, {"name": "mps-shm", "mountPath": "/dev/shm"}]  # noqa: S108
