"""The device plugin that lets pods ask for Elastic Fabric Adapters; the adapters are the node group's.

stable/aws-efa-k8s-device-plugin of aws/eks-charts, whose image is in ECR and lets every AWS account pull.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi

from fleet.contract import AcceleratorPool
from infra import versions
from infra.kubernetes.fabric_daemon import fabric_daemon

_PATHS = {"sockets": "/var/lib/kubelet/device-plugins", "infiniband": "/dev/infiniband"}
# The chart runs it privileged on these and on no other.
_PRIVILEGED = ("trn1.", "trn1n.", "trn2.")


class EfaPlugin(pulumi.ComponentResource):
    """One DaemonSet on the nodes of these pools, tolerating all their taints.

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
        super().__init__("accelfleet:kubernetes:EfaPlugin", name, {}, opts)
        privileged = any(pool.machine.name.startswith(_PRIVILEGED) for pool in pools)
        security = (
            {"privileged": True} if privileged else {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
        )
        container = {
            "name": "plugin",
            "image": versions.EFA_DEVICE_PLUGIN_IMAGE,
            "securityContext": security,
            "resources": {"requests": {"cpu": "10m", "memory": "20Mi"}, "limits": {"memory": "64Mi"}},
            "volumeMounts": [{"name": key, "mountPath": path} for key, path in _PATHS.items()],
        }
        pod = {
            "hostNetwork": True,  # the adapters are the node's
            "containers": [container],
            "volumes": [{"name": key, "hostPath": {"path": path}} for key, path in _PATHS.items()],
        }
        opts = pulumi.ResourceOptions(parent=self, depends_on=[after])
        fabric_daemon(name, "efa", "efa-device-plugin", pools, pod, opts)
        self.register_outputs({})
