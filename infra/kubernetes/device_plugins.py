"""Device plugins: exactly one for each family of accelerators whose cloud brings none (pains 3 and 4).

A plugin only tells the kubelet what is there. Drivers belong to the cloud's image and are never installed here; on GKE
the cloud runs the plugins itself and this module makes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.catalog.accelerators import Family
from fleet.contract import ACCELERATOR_LABEL, AcceleratorPool
from infra import versions
from infra.kubernetes.namespaces import ACCELERATORS, LABELS, namespace

_SOCKETS = "/var/lib/kubelet/device-plugins"


@dataclass(frozen=True)
class _Plugin:
    """An upstream plugin's image and what its own manifest sets.

    Follows NVIDIA/k8s-device-plugin's and aws-neuron's published manifests.
    """

    image: str
    env: dict[str, str]
    privileged: bool
    host_paths: tuple[str, ...] = (_SOCKETS,)


_PLUGINS = {
    # A GPU that fails is taken out, but a broken driver must not take the whole plugin down on CPU nodes.
    Family.NVIDIA: _Plugin(versions.NVIDIA_DEVICE_PLUGIN_IMAGE, {"FAIL_ON_INIT_ERROR": "false"}, privileged=False),
    Family.NEURON: _Plugin(
        versions.NEURON_DEVICE_PLUGIN_IMAGE,
        {"KUBECONFIG": "/etc/kubernetes/kubelet.conf"},
        privileged=False,
        host_paths=(_SOCKETS, "/run"),
    ),
}


class DevicePlugins(pulumi.ComponentResource):
    """The plugins that these pools need: one DaemonSet a family, tolerating every taint of its pools, spot included.

    Raises:
        ValueError: a pool's family has no plugin here.
    """

    def __init__(self, name: str, pools: Sequence[AcceleratorPool], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:kubernetes:DevicePlugins", name, {}, opts)
        needing = [pool for pool in pools if pool.needs_device_plugin]
        families = sorted({pool.family for pool in needing})
        if families:
            made = namespace(f"{name}-namespace", ACCELERATORS, "privileged", self)
            for family in families:
                _daemon_set(self, f"{name}-{family}", family, [p for p in needing if p.family is family], made)
        self.register_outputs({})


def _daemon_set(
    parent: pulumi.Resource, name: str, family: Family, pools: Sequence[AcceleratorPool], after: pulumi.Resource
) -> None:
    if family not in _PLUGINS:
        raise ValueError(f"no device plugin is known for {family}: add a row to infra/kubernetes/device_plugins.py")
    plugin = _PLUGINS[family]
    full_name = f"{family}-device-plugin"
    selector = {"app.kubernetes.io/name": full_name}
    taints = sorted({taint for pool in pools for taint in pool.all_taints})
    spec: dict[str, Any] = {
        "priorityClassName": "system-node-critical",
        "automountServiceAccountToken": False,
        "tolerations": [{"key": t.key, "operator": "Equal", "value": t.value, "effect": t.effect} for t in taints],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [_on(pools)]}}},
        "containers": [
            {
                "name": "plugin",
                "image": plugin.image,
                "env": [{"name": key, "value": value} for key, value in plugin.env.items()],
                "securityContext": {"allowPrivilegeEscalation": plugin.privileged, "capabilities": {"drop": ["ALL"]}},
                "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
                "volumeMounts": [{"name": f"host-{i}", "mountPath": path} for i, path in enumerate(plugin.host_paths)],
            }
        ],
        "volumes": [{"name": f"host-{i}", "hostPath": {"path": path}} for i, path in enumerate(plugin.host_paths)],
    }
    kubernetes.apps.v1.DaemonSet(
        name,
        metadata={"name": full_name, "namespace": ACCELERATORS, "labels": {**LABELS, **selector}},
        spec={
            "selector": {"matchLabels": selector},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": {"metadata": {"labels": {**LABELS, **selector}}, "spec": spec},
        },
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[after]),
    )


def _on(pools: Sequence[AcceleratorPool]) -> dict[str, Any]:
    """Nodes with any of these pools' accelerators, by the label we put on the pool."""
    names = sorted({pool.accelerator.name for pool in pools})
    return {"matchExpressions": [{"key": ACCELERATOR_LABEL, "operator": "In", "values": names}]}
