"""What each cloud itself puts on a node of a pool: labels, taints and whether it brings the device plugin.

Both sides of the scheduling contract read this: `fleet.contract` to know what a pod must select and tolerate, the
sandbox to make nodes as that cloud makes them. What *we* add to a pool is `fleet.contract`'s, not this module's.

Sources, read 2026-11-23: karpenter-provider-aws@1d927085, awsdocs/amazon-eks-user-guide@07d09a00,
AI-Hypercomputer/xpk@02b0c092, MicrosoftDocs/azure-aks-docs@04921f5f, karpenter-provider-azure@352646f5.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, gke_name
from fleet.catalog.sharing import Sharing, SharingMode


@dataclass(frozen=True, order=True)
class Taint:
    """A node taint in Kubernetes' own spelling."""

    key: str
    value: str
    effect: str = "NoSchedule"


def family_taint(family: Family) -> Taint:
    """The taint that keeps other pods off accelerator nodes: the value GKE sets, used on every cloud."""
    return Taint(family.resource, "present")


def brings_device_plugin(cloud: Cloud, family: Family) -> bool:
    """Whether the cloud runs the family's device plugin itself (GKE does; EKS's AL2023 images and AKS do not)."""
    return cloud is Cloud.GCP and family in (Family.NVIDIA, Family.TPU)


def spot_grace_s(cloud: Cloud) -> int:
    """Seconds in which a pod has to be done once its spot node is called back.

    AWS and AKS: the notice (120 and 30 seconds) less five for the drain to begin. GKE gives pods 15 of its 30 seconds.
    https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html,
    https://cloud.google.com/kubernetes-engine/docs/concepts/spot-vms,
    https://learn.microsoft.com/azure/aks/spot-node-pool

    Raises:
        KeyError: an existing cluster, whose nodes nobody calls back.
    """
    return {Cloud.AWS: 115, Cloud.GCP: 15, Cloud.AZURE: 25}[cloud]


def credential_endpoints(cloud: Cloud) -> tuple[tuple[str, int], ...]:
    """Link-local addresses (CIDR, TCP port) where a pod asks for its cloud credentials.

    None on Azure, which asks over TLS, and none in an existing cluster, where we give out no identity.

    EKS: "How EKS Pod Identity works". GKE: "Control communication between Pods and Services using network policies".
    """
    return {
        Cloud.AWS: (("169.254.170.23/32", 80),),
        Cloud.GCP: (("169.254.169.254/32", 80), ("169.254.169.252/32", 988)),
        Cloud.AZURE: (),
        Cloud.EXISTING: (),
    }[cloud]


def cloud_labels(
    cloud: Cloud,
    *,
    pool: str,
    machine: str,
    spot: bool,
    hardware: Machine | None,
    topology: str | None,
    sharing: Sharing | None = None,
    provisioned: str | None = None,
) -> dict[str, str]:
    """Labels the cloud sets on every node of the pool, zone and region apart.

    Args:
        pool: the pool's physical name. machine: its machine type. topology: a TPU slice's shape.
        hardware: the catalogue's row of the machine, None when it has none.
        sharing: how its GPUs are shared, where the cloud does that itself.
        provisioned: the capacity type by which a provisioner makes its nodes; None where a node group does.
    """
    labels = {"kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    if cloud is Cloud.EXISTING:  # kubelets say no more than that
        return labels
    labels["node.kubernetes.io/instance-type"] = machine
    accelerator = hardware.accelerator if hardware else None
    if provisioned and cloud is not Cloud.GCP:
        labels |= {"karpenter.sh/nodepool": pool, "karpenter.sh/capacity-type": provisioned}
    elif cloud is Cloud.AWS:
        labels |= {"eks.amazonaws.com/nodegroup": pool, "eks.amazonaws.com/capacityType": "SPOT" if spot else "ON_DEMAND"}
    elif cloud is Cloud.GCP:
        # Pools that GKE makes itself have names of its own.
        if not provisioned:
            labels["cloud.google.com/gke-nodepool"] = pool
        if spot:
            labels["cloud.google.com/gke-spot"] = "true"
        if hardware and accelerator and (named := gke_name(hardware)):
            if accelerator.family is Family.TPU:
                labels["cloud.google.com/gke-tpu-accelerator"] = named
                labels["cloud.google.com/gke-tpu-topology"] = topology or ""
            else:
                labels["cloud.google.com/gke-accelerator"] = named
                labels["cloud.google.com/gke-accelerator-count"] = str(hardware.accelerators)
                labels |= _gke_sharing(sharing)
    else:
        labels |= {"kubernetes.azure.com/agentpool": pool, "agentpool": pool}
        if spot:
            labels["kubernetes.azure.com/scalesetpriority"] = "spot"
        if accelerator:
            labels |= {"kubernetes.azure.com/accelerator": "nvidia", "accelerator": "nvidia"}
    return labels


def _gke_sharing(sharing: Sharing | None) -> dict[str, str]:
    if sharing is None:
        return {}
    if sharing.mode is SharingMode.MIG:
        return {"cloud.google.com/gke-gpu-partition-size": sharing.profile or ""}
    strategy = "mps" if sharing.mode is SharingMode.MPS else "time-sharing"
    return {
        "cloud.google.com/gke-gpu-sharing-strategy": strategy,
        "cloud.google.com/gke-max-shared-clients-per-gpu": str(sharing.slots),
    }


def cloud_taints(cloud: Cloud, *, spot: bool, hardware: Machine | None, has_cpu_pool: bool = True) -> tuple[Taint, ...]:
    """Taints the cloud adds by itself.

    GKE taints GPU nodes only when the cluster already has a pool without GPUs (terraform-google-kubernetes-engine#703),
    TPU nodes always. AKS taints every spot node. EKS adds none, an existing cluster has what `hosts.taints` says.
    """
    family = hardware.accelerator.family if hardware and hardware.accelerator else None
    if cloud is Cloud.GCP and family and (family is Family.TPU or has_cpu_pool):
        return (family_taint(family),)
    if cloud is Cloud.AZURE and spot:
        return (Taint("kubernetes.azure.com/scalesetpriority", "spot"),)
    return ()
