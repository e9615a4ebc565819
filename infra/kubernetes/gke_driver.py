"""The kernel driver of GKE's GPU nodes whose GPUs are claimed: GKE installs none there, and leaves the installer on the node.

The one place where a driver is not the cloud's (ADR 0011). The image is Container-Optimized OS's own, signed by Google,
so that secure boot holds.
GoogleCloudPlatform/container-engine-accelerators, nvidia-driver-installer/cos/daemonset-preloaded.yaml, read 2026-11-23.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.catalog import dra
from fleet.catalog.clouds import Cloud
from fleet.contract import AcceleratorPool
from infra.kubernetes.namespaces import LABELS
from infra.kubernetes.node_agents import on_nodes_of, pause

_ROOT = dra.kernel_driver_root(Cloud.GCP)
# On the node under this name, never pulled.
_INSTALLER = "cos-nvidia-installer:fixed"
_NAME = "nvidia-driver-installer"
# Directory of the node -> where the installer has it, and the two variables by which it is told.
_PATHS = {
    _ROOT: ("/usr/local/nvidia", "NVIDIA_INSTALL_DIR"),
    f"{_ROOT}/vulkan/icd.d": ("/etc/vulkan/icd.d", "VULKAN_ICD_DIR"),
    "/var/lib/cos-tools": ("/build/cos-tools", "COS_TOOLS_DIR"),
}
_MOUNTS = {**{path: inside for path, (inside, _) in _PATHS.items()}, "/dev": "/dev", "/": "/root"}


def driver_installer(
    name: str, namespace: str, pools: Sequence[AcceleratorPool], parent: pulumi.Resource, before: Sequence[pulumi.Resource]
) -> kubernetes.apps.v1.DaemonSet:
    """A DaemonSet on the nodes of these pools; what needs the driver waits on the node, not for this."""
    selector = {"app.kubernetes.io/name": _NAME}
    labels = {**LABELS, **selector}
    # GKE's autoscaler keeps a node for a pod with local storage otherwise (kubernetes-engine-samples#1740).
    annotations = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}
    return kubernetes.apps.v1.DaemonSet(
        name,
        metadata={"name": _NAME, "namespace": namespace, "labels": labels},
        spec={
            "selector": {"matchLabels": selector},
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": _pod(pools)},
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(before)),
    )


def _pod(pools: Sequence[AcceleratorPool]) -> dict[str, Any]:
    names = {path: f"host{path.replace('/', '-').replace('.', '-').rstrip('-')}" for path in _MOUNTS}
    told = {
        variable: value
        for path, (inside, prefix) in _PATHS.items()
        for variable, value in ((f"{prefix}_HOST", path), (f"{prefix}_CONTAINER", inside))
    }
    installer = {
        "name": "install",
        "image": _INSTALLER,
        "imagePullPolicy": "Never",
        "env": [{"name": key, "value": value} for key, value in {**told, "ROOT_MOUNT_DIR": "/root"}.items()],
        "securityContext": {"privileged": True},
        "resources": {"requests": {"cpu": "150m"}},
        "volumeMounts": [{"name": names[path], "mountPath": inside} for path, inside in _MOUNTS.items()],
    }
    return {
        "priorityClassName": "system-node-critical",
        "automountServiceAccountToken": False,
        "hostNetwork": True,
        "hostPID": True,
        **on_nodes_of(pools),
        "initContainers": [installer],
        "containers": [pause("8Mi")],
        "volumes": [{"name": names[path], "hostPath": {"path": path}} for path in _MOUNTS],
    }
