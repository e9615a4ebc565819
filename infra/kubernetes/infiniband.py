"""InfiniBand inside an AKS cluster: NVIDIA's network operator, told to put driver and device plugin on the pools' nodes.

Follows Azure/aks-rdma-infiniband: the SR-IOV device plugin, which counts the NICs of a node as `rdma/ib`, so that a pod
has those to itself. AKS's own GPU driver stays; the module that lets a NIC read a GPU's memory is loaded into it.
The subscription has AKSInfinibandSupport registered first, or nodes need not share a fabric. A pod that registers memory
needs IPC_LOCK, which the *restricted* standard of a model's namespace refuses: that is work for jobs in one of their own.
https://azure.github.io/aks-rdma-infiniband/configurations/network-operator
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.catalog.fabric import INFINIBAND_RESOURCE
from fleet.contract import FABRIC_LABEL, AcceleratorPool
from infra import versions
from infra.kubernetes import traffic
from infra.kubernetes.fabric_daemon import fabric_daemon
from infra.kubernetes.namespaces import LABELS, namespace
from infra.kubernetes.node_agents import tolerations

_NAMESPACE = "network-operator"
_LABEL = "infiniband"
_REGISTRY = "nvcr.io/nvidia/mellanox"
_INSTALL_S = 600
# Where the operator's admission listens, as controller-runtime has it.
_WEBHOOK = 9443
_MELLANOX = "15b3"  # PCI vendor


class InfiniBand(pulumi.ComponentResource):
    """The operator, its policy, and the peer memory module.

    Args:
        after: what makes the namespace of device plugins.
    """

    def __init__(
        self,
        name: str,
        pools: Sequence[AcceleratorPool],
        after: pulumi.Resource,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("accelfleet:kubernetes:InfiniBand", name, {}, opts)
        place = namespace(f"{name}-namespace", _NAMESPACE, "privileged", self)
        in_place = pulumi.ResourceOptions(parent=self, depends_on=[place])
        closed = traffic.close(name, _NAMESPACE, in_place, ingress=[traffic.webhook(_WEBHOOK)])
        operator = kubernetes.helm.v3.Release(
            f"{name}-operator",
            name="network-operator",
            namespace=_NAMESPACE,
            chart="network-operator",
            version=versions.NETWORK_OPERATOR_CHART_VERSION,
            repository_opts={"repo": versions.NETWORK_OPERATOR_REPOSITORY},
            # The workers that find the NICs; they must not run where there can be none.
            values={
                "node-feature-discovery": {
                    "worker": {"nodeSelector": {FABRIC_LABEL: _LABEL}, "tolerations": tolerations(pools)}
                }
            },
            atomic=True,
            skip_await=False,
            timeout=_INSTALL_S,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[place, *closed]),
        )
        kubernetes.apiextensions.CustomResource(
            f"{name}-policy",
            api_version="mellanox.com/v1alpha1",
            kind="NicClusterPolicy",
            # The operator heeds no other name.
            metadata={"name": "nic-cluster-policy", "labels": LABELS},
            spec=policy(pools),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[operator]),
        )
        opts = pulumi.ResourceOptions(parent=self, depends_on=[after])
        fabric_daemon(f"{name}-peermem", _LABEL, "nvidia-peermem", pools, _PEER_MEMORY, opts)
        self.register_outputs({})


def policy(pools: Sequence[AcceleratorPool]) -> dict[str, Any]:
    """The NicClusterPolicy's `spec`."""
    prefix, name = INFINIBAND_RESOURCE.split("/")
    selectors = {"vendors": [_MELLANOX], "linkTypes": ["infiniband"], "isRdma": True}
    resources = {"resourceList": [{"resourcePrefix": prefix, "resourceName": name, "selectors": selectors}]}
    only = {"matchExpressions": [{"key": FABRIC_LABEL, "operator": "In", "values": [_LABEL]}]}
    return {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [only]}},
        "tolerations": tolerations(pools),
        "ofedDriver": {
            "repository": _REGISTRY,
            "image": "doca-driver",
            "version": versions.DOCA_DRIVER,
            "forcePrecompiled": False,
            # One node at a time, its pods evicted: a driver is not replaced under a running job.
            "upgradePolicy": {
                "autoUpgrade": True,
                "maxParallelUpgrades": 1,
                "drain": {"enable": True, "force": True, "deleteEmptyDir": True, "timeoutSeconds": 300},
            },
        },
        "sriovDevicePlugin": {
            "repository": _REGISTRY,
            "image": "sriov-network-device-plugin",
            "version": versions.SRIOV_DEVICE_PLUGIN,
            "config": json.dumps(resources),
        },
    }


# Fails until the driver of the NICs is there, and is started again until it is.
_PEER_MEMORY: dict[str, Any] = {
    "hostPID": True,
    "containers": [
        {
            "name": "modprobe",
            "image": versions.NODE_SHELL_IMAGE,
            "command": ["nsenter", "-t", "1", "-m", "--", "sh", "-ec", "modprobe nvidia-peermem; exec sleep infinity"],
            "securityContext": {"privileged": True},
            "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "32Mi"}},
        }
    ],
}
