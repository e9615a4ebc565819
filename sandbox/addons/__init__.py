"""Add-ons whose programs run for real: beside a sandbox cluster, as processes of this machine, since no container runs here.

A chart's pods are KWOK's, and the program that they would run is started with the cluster's kubeconfig instead. Owns which
charts have such a program and the life of those; the charts' stand-ins are `sandbox/charts`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from urllib.parse import quote

from fleet.catalog.clouds import Cloud
from fleet.spec import Autoscaler, Provisioning, Queueing, StackSpec
from sandbox.addons.karpenter import Crds, Karpenter
from sandbox.addons.keda import Keda
from sandbox.addons.kueue import Kueue
from sandbox.control_plane import ControlPlane


class Addon(Protocol):
    """An add-on of one cluster.

    Attributes:
        needs_daemon: whether it starts only where the daemon answers it.
    """

    needs_daemon: bool

    def start(self) -> None:
        """Start it, or find it running; returns once the cluster's users can use it.

        Raises:
            RuntimeError: it did not come up; the message ends with its log.
        """

    def remove(self) -> None:
        """Take away it and all that it had put into the cluster."""

    def close(self) -> None:
        """End its programs; what is in the cluster stays."""


# By the chart's name, as its project has it; each takes the cluster, a proxy that leads to its pods, and the environment by
# which it reaches its cloud's queues.
ADDONS: dict[str, Callable[[ControlPlane, str, dict[str, str]], Addon]] = {
    "keda": Keda,
    "karpenter-crd": Crds,
    "karpenter": Karpenter,
    "kueue": Kueue,
}
# What each needs of the toolchain beyond every sandbox's needs.
TOOLS: dict[str, tuple[str, ...]] = {
    "keda": ("keda-operator", "keda-adapter"),
    "karpenter-crd": ("karpenter",),
    "karpenter": ("karpenter",),
    "kueue": ("kueue",),
}
# Charts whose program runs on nodes, which the simulated ones play: `sandbox.cluster.claims`.
PLAYED = ("dra-driver-nvidia-gpu",)


def needed(spec: StackSpec) -> tuple[str, ...]:
    """Tools that a stack's add-ons need, of those that have any."""
    scaled = (model.autoscaler for cluster in spec.clusters.values() for model in cluster.models.values())
    # GKE's provisioner is part of it, and no chart.
    auto = any(c.provisioning is Provisioning.AUTO and c.cloud is Cloud.AWS for c in spec.clusters.values())
    queued = any(cluster.queueing is Queueing.KUEUE for cluster in spec.clusters.values())
    asked = {"keda": Autoscaler.KEDA in scaled, "karpenter": auto, "kueue": queued}
    return tuple(tool for chart, wanted in asked.items() if wanted for tool in TOOLS[chart])


def proxy_of(url: str, cluster: str) -> str:
    """The proxy's address for one cluster's add-ons, as pods of two clusters may have one address.

    `sandbox.cloud.network` answers there.

    Args:
        cluster: `<cloud>/<name>`.
    """
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{quote(cluster, safe='')}:in@{rest}"


__all__ = ["ADDONS", "PLAYED", "TOOLS", "Addon", "needed", "proxy_of"]
