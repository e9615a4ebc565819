"""Device plugins: exactly one on each node with accelerators whose cloud brings none (pains 3 and 4).

A family has one DaemonSet, and one more for each way its GPUs are shared. A plugin only tells the kubelet what is
there. Drivers belong to the cloud's image, or to whoever set up the hosts, and are never installed here; on GKE the
cloud runs the plugins itself, as an operator may on hosts, and this module makes nothing. Pools with `allocation: dra`
have `infra.kubernetes.dra_driver` in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.catalog.accelerators import Family
from fleet.catalog.drivers import DriverOwner, driver_owner
from fleet.catalog.sharing import SharingMode
from fleet.contract import AcceleratorPool
from infra import versions
from infra.kubernetes import gpu_sharing, traffic
from infra.kubernetes.namespaces import ACCELERATORS, LABELS, namespace
from infra.kubernetes.node_agents import on_nodes_of

_UNPRIVILEGED: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_SOCKETS = "/var/lib/kubelet/device-plugins"


@dataclass(frozen=True, kw_only=True)
class _Plugin:
    """What an upstream plugin's own manifest asks for.

    Attributes:
        host_paths: directories of the node it reads and writes.
        privileged: whether it opens the devices themselves.
        rules: what it may do with the Kubernetes API; empty for a plugin that never calls it.
    """

    image: str
    env: tuple[dict[str, Any], ...]
    host_paths: tuple[str, ...] = (_SOCKETS,)
    rules: tuple[dict[str, Any], ...] = ()
    privileged: bool = False


_PLUGINS = {
    # deployments/static/nvidia-device-plugin.yml of NVIDIA/k8s-device-plugin
    Family.NVIDIA: _Plugin(
        image=versions.NVIDIA_DEVICE_PLUGIN_IMAGE,
        # It runs on GPU nodes only, so one without a working driver is a fault to show, not a node to wait on.
        env=({"name": "FAIL_ON_INIT_ERROR", "value": "true"},),
    ),
    # k8s-neuron-device-plugin.yml and -rbac.yml of aws-neuron/aws-neuron-sdk
    Family.NEURON: _Plugin(
        image=versions.NEURON_DEVICE_PLUGIN_IMAGE,
        env=(
            {"name": "KUBECONFIG", "value": "/etc/kubernetes/kubelet.conf"},
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        ),
        host_paths=(_SOCKETS, "/run"),
        rules=(
            {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
            {"apiGroups": [""], "resources": ["nodes/status"], "verbs": ["patch", "update"]},
            {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch", "patch", "update"]},
            {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
        ),
    ),
    # habana-k8s-device-plugin-gaudi.yaml of HabanaAI/habanalabs-k8s-device-plugin
    Family.GAUDI: _Plugin(image=versions.GAUDI_DEVICE_PLUGIN_IMAGE, env=(), privileged=True),
}


class DevicePlugins(pulumi.ComponentResource):
    """The plugins that these pools need, each tolerating every taint of its pools, spot included.

    Args:
        place: make their namespace in any case, for another agent of these nodes.

    Raises:
        ValueError: a pool's family has no plugin here, or nobody puts its driver on the nodes.
    """

    def __init__(
        self, name: str, pools: Sequence[AcceleratorPool], opts: pulumi.ResourceOptions | None = None, *, place: bool = False
    ) -> None:
        needing = [pool for pool in pools if pool.needs_device_plugin]
        for pool in needing:
            _refuse_what_cannot_work(pool)
        super().__init__("accelfleet:kubernetes:DevicePlugins", name, {}, opts)
        groups: dict[tuple[Family, str, str], list[AcceleratorPool]] = {}
        for pool in needing:
            key = (pool.family, gpu_sharing.group(pool.sharing), _runtime(pool) or "")
            groups.setdefault(key, []).append(pool)
        # What a fabric needs on its nodes is there, too, though GKE brings the plugins themselves.
        if groups or place or any(pool.fabric for pool in pools):
            made = namespace(f"{name}-namespace", ACCELERATORS, "privileged", self)
            traffic.close(name, ACCELERATORS, pulumi.ResourceOptions(parent=self, depends_on=[made]))
            for (family, way, runtime), of_group in sorted(groups.items(), key=lambda item: item[0]):
                apart = "-".join(filter(None, (way, runtime)))
                self._plugin("-".join(filter(None, (name, family, apart))), family, apart, of_group, made)
        self.register_outputs({})

    def _plugin(self, name: str, family: Family, way: str, pools: Sequence[AcceleratorPool], place: pulumi.Resource) -> None:
        plugin, full_name = _PLUGINS[family], "-".join(filter(None, (family, "device-plugin", way)))
        labels = {**LABELS, "app.kubernetes.io/name": full_name}
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-account",
            metadata={"name": full_name, "namespace": ACCELERATORS, "labels": labels},
            automount_service_account_token=bool(plugin.rules),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[place]),
        )
        before: list[pulumi.Resource] = [account]
        if plugin.rules:
            before += self._rights(name, full_name, plugin, labels)
        sharing = gpu_sharing.told(pools[0].sharing)
        if sharing is not None and (text := gpu_sharing.config(sharing)) is not None:
            before.append(
                kubernetes.core.v1.ConfigMap(
                    f"{name}-config",
                    metadata={"name": full_name, "namespace": ACCELERATORS, "labels": labels},
                    data={"config.yaml": text},
                    opts=pulumi.ResourceOptions(parent=self, depends_on=[place]),
                )
            )
        self._daemon(name, full_name, _pod(full_name, plugin, pools), before)
        if sharing is not None and sharing.mode is SharingMode.MPS:
            daemon = gpu_sharing.mps_daemon(plugin.image)
            pod = {**_node_pod(full_name, pools), **daemon, "volumes": gpu_sharing.volumes(sharing, full_name)}
            self._daemon(f"{name}-daemon", full_name.replace("device-plugin", "control"), pod, before)

    def _daemon(self, name: str, full_name: str, pod: dict[str, Any], before: list[pulumi.Resource]) -> None:
        selector = {"app.kubernetes.io/name": full_name}
        labels = {**LABELS, **selector}
        kubernetes.apps.v1.DaemonSet(
            name,
            metadata={"name": full_name, "namespace": ACCELERATORS, "labels": labels},
            spec={
                "selector": {"matchLabels": selector},
                "updateStrategy": {"type": "RollingUpdate"},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=before),
        )

    def _rights(self, name: str, full_name: str, plugin: _Plugin, labels: dict[str, str]) -> list[pulumi.Resource]:
        child = pulumi.ResourceOptions(parent=self)
        metadata = {"name": f"accelfleet-{full_name}", "labels": labels}
        role = kubernetes.rbac.v1.ClusterRole(f"{name}-role", metadata=metadata, rules=list(plugin.rules), opts=child)
        binding = kubernetes.rbac.v1.ClusterRoleBinding(
            f"{name}-binding",
            metadata=metadata,
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": metadata["name"]},
            subjects=[{"kind": "ServiceAccount", "name": full_name, "namespace": ACCELERATORS}],
            opts=child,
        )
        return [role, binding]


def _refuse_what_cannot_work(pool: AcceleratorPool) -> None:
    if pool.family not in _PLUGINS:
        raise ValueError(
            f"pool {pool.name}: no device plugin is known for {pool.family}: add a row to infra/kubernetes/device_plugins.py"
        )
    owner = driver_owner(pool.cloud, pool.family)
    if owner not in (DriverOwner.CLOUD, DriverOwner.HOST):
        raise ValueError(
            f"pool {pool.name}: the driver of {pool.accelerator.name} on {pool.cloud} is owned by {owner}, and a device "
            "plugin brings none: choose an accelerator whose node image has it (fleet/catalog/data/drivers.csv)"
        )


def _runtime(pool: AcceleratorPool) -> str | None:
    return pool.hosts.runtime_class if pool.hosts else None


def _node_pod(account: str, pools: Sequence[AcceleratorPool]) -> dict[str, Any]:
    """A pod that runs on every node of these pools and on no other."""
    runtime = _runtime(pools[0])
    return {
        **({"runtimeClassName": runtime} if runtime else {}),
        "priorityClassName": "system-node-critical",
        "serviceAccountName": account,
        **on_nodes_of(pools),
    }


def _pod(account: str, plugin: _Plugin, pools: Sequence[AcceleratorPool]) -> dict[str, Any]:
    paths = {f"host{path.replace('/', '-')}": path for path in plugin.host_paths}
    container: dict[str, Any] = {
        "name": "plugin",
        "image": plugin.image,
        "env": list(plugin.env),
        "securityContext": {"privileged": True} if plugin.privileged else _UNPRIVILEGED,
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [{"name": key, "mountPath": path} for key, path in paths.items()],
    }
    volumes = [{"name": key, "hostPath": {"path": path, "type": "Directory"}} for key, path in paths.items()]
    if (sharing := gpu_sharing.told(pools[0].sharing)) is not None:
        extra = gpu_sharing.plugin_container(sharing)
        container |= {key: value for key, value in extra.items() if isinstance(value, dict)}
        container |= {key: [*container[key], *value] for key, value in extra.items() if isinstance(value, list)}
        volumes += gpu_sharing.volumes(sharing, account)
    return {**_node_pod(account, pools), "containers": [container], "volumes": volumes}
