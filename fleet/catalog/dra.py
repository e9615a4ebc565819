"""Dynamic Resource Allocation: whose devices a pod can claim, under which class, and what a claim may say of them.

Kubernetes' API, stable from 1.34 on; NVIDIA's driver publishes a node's GPUs as a ResourceSlice. Which pools use it is
the stack file's, what a pod then carries `fleet.contract`'s. TPU, Neuron and Gaudi have no row: none can be claimed here.

Sources, read 2026-11-23: https://kubernetes.io/docs/concepts/scheduling-eviction/dynamic-resource-allocation/,
kubernetes-sigs/dra-driver-nvidia-gpu (cmd/gpu-kubelet-plugin/deviceinfo.go, deployments/helm),
https://cloud.google.com/kubernetes-engine/docs/how-to/set-up-dra, modelplane#332 and #345, kubernetes/autoscaler#7799.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fleet.catalog.accelerators import Accelerator, Family
from fleet.catalog.clouds import Cloud

API = "resource.k8s.io/v1"
# The first minor that serves it.
SINCE = (1, 34)
# NVIDIA's driver, and its class of whole GPUs: the chart gives both one name.
NVIDIA = "gpu.nvidia.com"
_CLASSES = {Family.NVIDIA: NVIDIA}
# Of the memory that a GPU is sold with, percent that its driver sees at least: of 24 GB an L4 shows 22.5 GiB, a T4 of 16 15.
_SEEN_PERCENT = 90
# By these GKE's own plugin stays away, and its autoscaler knows the devices of a node that is not there yet.
_GKE_LABELS = {"gke-no-default-nvidia-gpu-device-plugin": "true", "cloud.google.com/gke-nvidia-gpu-dra-driver": "true"}


def device_class(family: Family) -> str | None:
    """The DeviceClass of the family's accelerators; None where no driver is known here."""
    return _CLASSES.get(family)


def scales_from_zero(cloud: Cloud) -> bool:
    """Whether the cloud's autoscaler adds the first node for a claim.

    cluster-autoscaler reads the ResourceSlices of nodes that stand; only GKE's makes some up for an empty pool.
    """
    return cloud is Cloud.GCP


def pool_labels(cloud: Cloud) -> dict[str, str]:
    """Labels that tell the cloud what a pool's accelerators are handed out by."""
    return dict(_GKE_LABELS) if cloud is Cloud.GCP else {}


def kernel_driver_is_ours(cloud: Cloud) -> bool:
    """Whether the cloud leaves the kernel driver of such nodes to us: GKE installs one beside its own plugin only."""
    return cloud is Cloud.GCP


def kernel_driver_root(cloud: Cloud) -> str:
    """Directory of a node that its kernel driver's libraries and programs are under."""
    return "/home/kubernetes/bin/nvidia" if cloud is Cloud.GCP else "/"


def quota(device_class: str) -> str:
    """What a ResourceQuota calls devices of the class, in whatever claim they are asked for.

    https://kubernetes.io/docs/concepts/policy/resource-quotas/#quota-for-dra-resource-claims
    """
    return f"{device_class}.deviceclass.resource.k8s.io/devices"


@dataclass(frozen=True)
class Claim:
    """Devices that a pod claims, all of one node.

    Attributes:
        device_class: what the driver's chart calls them. count: how many.
        selectors: CEL expressions; each device meets every one.
    """

    device_class: str
    count: int
    selectors: tuple[str, ...] = ()

    @property
    def spec(self) -> dict[str, Any]:
        """A ResourceClaim's `spec`, which a ResourceClaimTemplate has under its own."""
        exactly = {
            "deviceClassName": self.device_class,
            "count": self.count,
            "selectors": [{"cel": {"expression": expression}} for expression in self.selectors],
        }
        return {"devices": {"requests": [{"name": "devices", "exactly": exactly}]}}


def claim(accelerator: Accelerator, count: int, memory_gib: int) -> Claim:
    """So many devices, of the size that they are sold with: what came with another is no place for the model.

    Args:
        memory_gib: of each, as marketed.

    Raises:
        LookupError: no driver is known for its family; `fleet.checks` reports it first.
    """
    name = device_class(accelerator.family)
    if name is None:
        raise LookupError(f"no DRA driver is known for {accelerator.name}")
    least = memory_gib * _SEEN_PERCENT // 100
    return Claim(name, count, (f"device.capacity['{name}'].memory.compareTo(quantity('{least}Gi')) >= 0",))
