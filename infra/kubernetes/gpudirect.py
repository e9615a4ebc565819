"""GPUDirect inside a GKE cluster: the Network objects by which pods are attached, and NCCL's plugin on the nodes.

Owns what GoogleCloudPlatform/container-engine-accelerators has manifests for (gpudirect-tcpx, -tcpxo and -rdma, and
nri_device_injector); the networks themselves are `infra.clouds.gcp.fabric`'s. A workload mounts the plugin from
/home/kubernetes/bin, and on TCPX and TCPXO brings the receive daemon beside itself: both take more than the *restricted*
standard of a model's namespace lets in, so that is work for jobs in a namespace of their own.
https://cloud.google.com/kubernetes-engine/docs/how-to/gpu-bandwidth-gpudirect-tcpx
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.catalog.fabric import NodeNetwork, network_object
from fleet.contract import AcceleratorPool
from fleet.naming import fabric_network
from infra import versions
from infra.kubernetes.fabric_daemon import fabric_daemon
from infra.kubernetes.namespaces import LABELS
from infra.kubernetes.node_agents import pause

_API = "networking.gke.io/v1"
_HOST = "/home/kubernetes/bin"
_PRIVILEGED = {"privileged": True}
_WORK = {"requests": {"cpu": "150m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}


@dataclass(frozen=True, kw_only=True)
class _Installer:
    """How one protocol's plugin gets onto a node.

    Attributes:
        steps: shell commands of the plugin's image. paths: directories of the node, by where the container has them.
        before: a command on the node itself; None where there is nothing to do.
        injects: whether workloads have GPU devices put into a container that asks for none, their receive daemon.
    """

    image: str
    steps: tuple[str, ...]
    paths: dict[str, str] = field(default_factory=dict)
    before: str | None = None
    injects: bool = False


def _tcp(image: str, directory: str, before: str | None = None) -> _Installer:
    copy = ("mkdir -p /usr/local/nvidia/lib64", f"cp -r {directory}/lib64/. /usr/local/nvidia/lib64")
    return _Installer(
        image=image,
        steps=("sh /scripts/container_entry.sh install --install-nccl", *copy),
        paths={"/var/lib": "/var/lib", "/usr/local": _HOST},
        before=before,
        injects=True,
    )


# TCPXO's NIC hands its memory over as PCI devices 1ae0:0084; unprivileged workloads find them below /dev.
_APERTURES = """iptables -I INPUT -p tcp -m tcp -j ACCEPT
modprobe import-helper
for device in $(lspci -nn -D | grep 1ae0:0084 | cut -d' ' -f1); do
  place=/dev/aperture_devices/$device
  mkdir -p $place
  mountpoint -q $place || mount --bind $(readlink -f /sys/bus/pci/devices/$device) $place
  chmod -R a+r $place && chmod a+rw $place/resource*
done"""

_INSTALLERS = {
    "tcpx": _tcp(versions.NCCL_TCPX_IMAGE, "/var/lib/tcpx"),
    "tcpxo": _tcp(versions.NCCL_TCPXO_IMAGE, "/var/lib/tcpxo", _APERTURES),
    "rdma": _Installer(
        image=versions.NCCL_GIB_IMAGE,
        steps=(
            # Packets that arrive by another NIC than their address's are the rule here, and would fill the log.
            "for file in /proc/sys/net/ipv4/conf/gpu*rdma0/log_martians; do echo 0 > $file; done",
            "sh /scripts/container_entry.sh install --install-nccl",
            "cp -r /var/lib/gib/lib64/. /usr/local/nvidia/lib64",
            "cp -r /var/lib/gib/. /usr/local/gib",
        ),
        paths={"/usr/local/nvidia/lib64": f"{_HOST}/nvidia/lib64", "/usr/local/gib": f"{_HOST}/gib"},
    ),
}


class GpuDirect(pulumi.ComponentResource):
    """What the pools with GPUDirect need in their cluster.

    Args:
        cluster: its physical name. pools: all of its rungs with the fabric.
        after: the namespace of device plugins, and the node pools, which keep the networks that the objects name.
    """

    def __init__(
        self,
        name: str,
        cluster: str,
        pools: Sequence[AcceleratorPool],
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("accelfleet:kubernetes:GpuDirect", name, {}, opts)
        self._child = pulumi.ResourceOptions(parent=self, depends_on=list(after))
        # Rungs share their pool's networks.
        for pool in {pool.name: pool for pool in pools}.values():
            assert pool.fabric is not None, f"pool {pool.name} has no fabric"
            for network in pool.fabric.networks:
                self._network(name, cluster, pool, network)
        by_protocol: dict[str, list[AcceleratorPool]] = {}
        for pool in pools:
            if pool.fabric is not None:
                by_protocol.setdefault(pool.fabric.protocol, []).append(pool)
        for protocol, of_it in sorted(by_protocol.items()):
            self._nodes(name, protocol, of_it)
        self.register_outputs({})

    def _network(self, name: str, cluster: str, pool: AcceleratorPool, network: NodeNetwork) -> None:
        called = network_object(pool.name, network)
        params = self._object(
            f"{name}-{called}-params",
            "GKENetworkParamSet",
            called,
            {
                "vpc": fabric_network(cluster, pool.name, network.vpc),
                "vpcSubnet": fabric_network(cluster, pool.name, network.name),
                "deviceMode": "RDMA" if network.rdma else "NetDevice",
            },
            self._child,
        )
        reference = {"group": "networking.gke.io", "kind": "GKENetworkParamSet", "name": called}
        after = pulumi.ResourceOptions(parent=self, depends_on=[params])
        self._object(f"{name}-{called}", "Network", called, {"type": "Device", "parametersRef": reference}, after)

    def _object(
        self, name: str, kind: str, called: str, spec: dict[str, Any], opts: pulumi.ResourceOptions
    ) -> kubernetes.apiextensions.CustomResource:
        return kubernetes.apiextensions.CustomResource(
            name, api_version=_API, kind=kind, metadata={"name": called, "labels": LABELS}, spec=spec, opts=opts
        )

    def _nodes(self, name: str, protocol: str, pools: Sequence[AcceleratorPool]) -> None:
        installer, label = _INSTALLERS[protocol], f"gpudirect-{protocol}"
        app = f"nccl-{protocol}-installer"
        fabric_daemon(f"{name}-{app}", label, app, pools, _pod(installer), self._child)
        if installer.injects:
            app = f"device-injector-{protocol}"
            fabric_daemon(f"{name}-{app}", label, app, pools, _INJECTOR, self._child)


def _pod(installer: _Installer) -> dict[str, Any]:
    volumes = {f"host{path.replace('/', '-')}": path for path in installer.paths.values()}
    names = {path: name for name, path in volumes.items()}
    on_node = {
        "name": "node",
        "image": installer.image,
        # Into the namespaces of the node's first process: kernel modules and mounts are the node's.
        "command": ["nsenter", "-at", "1", "--", "sh", "-ec", installer.before],
        "securityContext": _PRIVILEGED,
        "resources": _WORK,
    }
    plugin = {
        "name": "plugin",
        "image": installer.image,
        "command": ["sh", "-ec", "\n".join(installer.steps)],
        "securityContext": _PRIVILEGED,
        "resources": _WORK,
        "volumeMounts": [{"name": names[path], "mountPath": inside} for inside, path in installer.paths.items()],
    }
    return {
        "hostNetwork": True,
        "hostPID": True,
        "initContainers": [*([on_node] if installer.before else []), plugin],
        "containers": [pause("4Mi")],
        "volumes": [{"name": n, "hostPath": {"path": p, "type": "DirectoryOrCreate"}} for n, p in volumes.items()],
    }


_INJECTOR: dict[str, Any] = {
    "hostNetwork": True,
    "hostPID": True,
    "containers": [
        {
            "name": "injector",
            "image": versions.NRI_DEVICE_INJECTOR_IMAGE,
            "securityContext": _PRIVILEGED,
            "resources": _WORK,
            "volumeMounts": [{"name": "dev", "mountPath": "/dev"}, {"name": "nri", "mountPath": "/var/run/nri"}],
        }
    ],
    "volumes": [
        {"name": "dev", "hostPath": {"path": "/dev"}},
        {"name": "nri", "hostPath": {"path": "/var/run/nri"}},
    ],
}
