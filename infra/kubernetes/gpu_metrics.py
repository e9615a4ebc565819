"""What NVIDIA's GPUs do, for the dashboards of clusters with `monitoring: prometheus`: DCGM's exporter on each of their nodes.

Owns the exporter; its series are read by `fleet.monitoring`. Makes none where an operator on the hosts brings its own, as
one GPU is asked by one engine only. https://docs.nvidia.com/datacenter/dcgm/latest/installation/install-dcgm-exporter.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.catalog.accelerators import Family
from fleet.catalog.dra import kernel_driver_root
from fleet.contract import AcceleratorPool
from infra import versions
from infra.kubernetes.namespaces import ACCELERATORS, LABELS
from infra.kubernetes.node_agents import on_pools

NAME = "dcgm-exporter"
_PORT = 9400
# Of which pod a GPU is: the kubelet says it here.
_PODS = "/var/lib/kubelet/pod-resources"
_DRIVER = "/usr/local/nvidia"
# Counters of the profiler (DCGM_FI_PROF_*) take SYS_ADMIN.
_PROFILES: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"], "add": ["SYS_ADMIN"]}}


class GpuMetrics(pulumi.ComponentResource):
    """The exporter on every node of these pools that has an NVIDIA GPU; one DaemonSet for each way to reach a driver."""

    def __init__(self, name: str, pools: Sequence[AcceleratorPool], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:kubernetes:GpuMetrics", name, {}, opts)
        by_runtime: dict[str, list[AcceleratorPool]] = {}
        for pool in measured(pools):
            by_runtime.setdefault((pool.hosts.runtime_class if pool.hosts else None) or "", []).append(pool)
        for runtime, of_it in sorted(by_runtime.items()):
            physical = "-".join(filter(None, (NAME, runtime)))
            selector = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": physical}
            kubernetes.apps.v1.DaemonSet(
                "-".join(filter(None, (name, runtime))),
                metadata={"name": physical, "namespace": ACCELERATORS, "labels": {**LABELS, **selector}},
                spec={
                    "selector": {"matchLabels": selector},
                    "updateStrategy": {"type": "RollingUpdate"},
                    "template": {"metadata": {"labels": {**LABELS, **selector}}, "spec": _pod(runtime, of_it)},
                },
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})


def measured(pools: Sequence[AcceleratorPool]) -> list[AcceleratorPool]:
    """Those of the pools whose GPUs nobody else's exporter asks."""
    return [pool for pool in pools if pool.family is Family.NVIDIA and not (pool.hosts and pool.hosts.operated)]


def monitor() -> dict[str, Any]:
    """A PodMonitor in the words of kube-prometheus-stack. A series' `pod` is who has the GPU, not the exporter's."""
    return {
        "name": NAME,
        "namespaceSelector": {"matchNames": [ACCELERATORS]},
        "selector": {"matchLabels": {"app.kubernetes.io/name": NAME}},
        "podMetricsEndpoints": [{"port": "metrics", "path": "/metrics", "interval": "15s", "honorLabels": True}],
    }


def _pod(runtime: str, pools: Sequence[AcceleratorPool]) -> dict[str, Any]:
    root = kernel_driver_root(pools[0].cloud)
    # All GPUs of the node, and none of them taken from a pod: by the container runtime, or where the driver lies apart, as
    # on GKE, no runtime does it, and the devices are opened themselves.
    apart = root != "/"
    paths = {"pods": (_PODS, _PODS), **({"driver": (root, _DRIVER)} if apart else {})}
    driver = ("LD_LIBRARY_PATH", f"{_DRIVER}/lib64") if apart else ("NVIDIA_VISIBLE_DEVICES", "all")
    container: dict[str, Any] = {
        "name": "exporter",
        "image": versions.DCGM_EXPORTER_IMAGE,
        "env": [
            {"name": "DCGM_EXPORTER_LISTEN", "value": f":{_PORT}"},
            {"name": "DCGM_EXPORTER_KUBERNETES", "value": "true"},
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": driver[0], "value": driver[1]},
        ],
        "ports": [{"name": "metrics", "containerPort": _PORT}],
        "securityContext": {"runAsUser": 0, **({"privileged": True} if apart else _PROFILES)},
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": [{"name": key, "mountPath": inside, "readOnly": True} for key, (_, inside) in paths.items()],
    }
    return {
        **({"runtimeClassName": runtime} if runtime else {}),
        "priorityClassName": "system-node-critical",
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [{"name": key, "hostPath": {"path": outside}} for key, (outside, _) in paths.items()],
        **on_pools(pools),
    }
