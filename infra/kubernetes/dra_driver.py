"""NVIDIA's DRA driver, for pools with `allocation: dra`: it publishes each node's GPUs, and pods claim them.

The one owner of those nodes' GPUs: no device plugin runs there, and GKE's is told to stay away (`fleet.catalog.dra`).
Makes the release and what it needs beside it; slices and their DeviceClass are the driver's. Installs no ComputeDomains.
kubernetes-sigs/dra-driver-nvidia-gpu, deployments/helm; https://cloud.google.com/kubernetes-engine/docs/how-to/set-up-dra
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.catalog import dra
from fleet.catalog.drivers import DriverOwner, driver_owner
from fleet.contract import AcceleratorPool
from infra import versions
from infra.kubernetes import traffic
from infra.kubernetes.gke_driver import driver_installer
from infra.kubernetes.namespaces import LABELS, namespace
from infra.kubernetes.node_agents import on_nodes_of

NAMESPACE = "dra-driver-nvidia-gpu"
_RELEASE = "dra-driver-nvidia-gpu"
_INSTALL_S = 600
_CRITICAL = "system-node-critical"


class DraDriver(pulumi.ComponentResource):
    """The driver's release on the nodes of these pools, all of one cluster; on GKE their kernel driver too.

    Raises:
        ValueError: nobody hands out a pool's accelerators by claims, or they are shared.
    """

    def __init__(self, name: str, pools: Sequence[AcceleratorPool], opts: pulumi.ResourceOptions | None = None) -> None:
        for pool in pools:
            _refuse_what_cannot_work(pool)
        super().__init__("accelfleet:kubernetes:DraDriver", name, {}, opts)
        # Its kubelet plugin makes device files and CDI specifications on the node.
        place = namespace(f"{name}-namespace", NAMESPACE, "privileged", self)
        in_place = pulumi.ResourceOptions(parent=self, depends_on=[place])
        before: list[pulumi.Resource] = [place, *traffic.close(name, NAMESPACE, in_place)]
        if dra.kernel_driver_is_ours(pools[0].cloud):
            before.append(self._critical_pods(name, place))
            before.append(driver_installer(f"{name}-kernel-driver", NAMESPACE, pools, self, before))
        kubernetes.helm.v3.Release(
            name,
            name=_RELEASE,
            namespace=NAMESPACE,
            chart=versions.DRA_DRIVER_CHART,
            version=versions.DRA_DRIVER_CHART_VERSION,
            values=values(pools),
            atomic=True,
            skip_await=False,
            timeout=_INSTALL_S,
            opts=pulumi.ResourceOptions(parent=self, depends_on=before),
        )
        self.register_outputs({})

    def _critical_pods(self, name: str, place: pulumi.Resource) -> kubernetes.core.v1.ResourceQuota:
        """GKE admits pods of that class outside kube-system only where a quota speaks of it.

        https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/google-gke.html
        """
        only = kubernetes.core.v1.ScopedResourceSelectorRequirementArgs(
            scope_name="PriorityClass", operator="In", values=[_CRITICAL]
        )
        return kubernetes.core.v1.ResourceQuota(
            f"{name}-critical-pods",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name="critical-pods", namespace=NAMESPACE, labels=LABELS),
            spec=kubernetes.core.v1.ResourceQuotaSpecArgs(
                hard={"pods": "10000"}, scope_selector=kubernetes.core.v1.ScopeSelectorArgs(match_expressions=[only])
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[place]),
        )


def values(pools: Sequence[AcceleratorPool]) -> dict[str, Any]:
    """The chart's values for a cluster with these pools."""
    return {
        "nvidiaDriverRoot": dra.kernel_driver_root(pools[0].cloud),
        # The chart asks for it in so many words, since beside a device plugin a GPU would be given away twice.
        "gpuResourcesEnabledOverride": True,
        "resources": {"gpus": {"enabled": True}, "computeDomains": {"enabled": False}},
        "kubeletPlugin": {
            "priorityClassName": _CRITICAL,
            # In place of the chart's, which asks for labels of Node Feature Discovery.
            **on_nodes_of(pools),
            "containers": {
                "gpus": {"resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}}},
            },
        },
    }


def _refuse_what_cannot_work(pool: AcceleratorPool) -> None:
    if pool.device_class is None or pool.sharing is not None:
        raise ValueError(
            f"pool {pool.name}: no driver here hands out {pool.accelerator.name}{' in parts' if pool.sharing else ''} by "
            "claims: leave allocation out"
        )
    owner = driver_owner(pool.cloud, pool.family)
    if owner is not DriverOwner.CLOUD:
        raise ValueError(
            f"pool {pool.name}: the kernel driver of {pool.accelerator.name} on {pool.cloud} is owned by {owner}: choose an "
            "accelerator whose node image has it (fleet/catalog/data/drivers.csv)"
        )
