"""The accelerators, one row each: the only place that knows an accelerator's name, family and size.

Which machines carry one, where and for how much is `machines`' business.
Sources, read 2026-11-23: vendor data sheets by way of karpenter-provider-aws@1d927085 (memory as marketed),
xpk@02b0c092 (TPU labels), gpuhunt@35841515, mlco2/impact (T4 TDP). A `tdp_w` of None was never published.
Precisions and links are those of the vendors' data sheets and architecture papers: Turing, Ampere, Ada, Hopper and
Blackwell; Cloud TPU system architecture; NeuronCore v1 to v3; Habana's Gaudi papers.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    """Hardware that shares one device plugin, one Kubernetes resource and one taint key."""

    NVIDIA = "nvidia"
    TPU = "tpu"
    NEURON = "neuron"
    GAUDI = "gaudi"

    @property
    def resource(self) -> str:
        """Extended resource a pod asks for; the taint on such nodes carries the same key."""
        return _RESOURCE[self]


_RESOURCE = {
    Family.NVIDIA: "nvidia.com/gpu",
    Family.TPU: "google.com/tpu",
    Family.NEURON: "aws.amazon.com/neuron",
    Family.GAUDI: "habana.ai/gaudi",
}


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """One accelerator (GPU, TPU chip, Neuron device) as the vendor sells it.

    Attributes:
        memory_gib: device memory in GiB, marketing size.
        tdp_w: thermal design power in watts; None where the vendor publishes none.
        gke_name: value of GKE's `gke-accelerator` or `gke-tpu-accelerator` label; None where GKE has no such machine.
        precisions: number formats that its matrix units compute in.
        link: what joins several of one machine or slice; None where nothing but the host's bus does.
        withdrawn: why the cloud that had it no longer offers it; None while it is on offer.
        instead: for one that no node pool of the three clouds has: where it is to be had. None for all others.
    """

    name: str
    family: Family
    memory_gib: int
    tdp_w: int | None = None
    gke_name: str | None = None
    precisions: tuple[str, ...] = ()
    link: str | None = None
    withdrawn: str | None = None
    instead: str | None = None


_N, _T, _U, _G = Family.NVIDIA, Family.TPU, Family.NEURON, Family.GAUDI
_TURING = ("FP32", "FP16", "INT8", "INT4")
_AMPERE = ("FP32", "TF32", "FP16", "BF16", "INT8", "INT4")
_ADA = ("FP32", "TF32", "FP16", "BF16", "FP8", "INT8", "INT4")
_HOPPER = ("FP64", "FP32", "TF32", "FP16", "BF16", "FP8", "INT8")
_BLACKWELL = ("FP32", "TF32", "FP16", "BF16", "FP8", "FP4", "INT8")
_NEURON_2 = ("FP32", "TF32", "FP16", "BF16", "FP8", "INT8")
_GAUDI_2 = ("FP32", "TF32", "FP16", "BF16", "FP8")
_ICI = "ICI"
_TPU_VM = "no GKE machine type has it: make a Cloud TPU VM (gcp.tpu.V2Vm), or take tpu-v5e"
_OWN_CLUSTER = "no cloud here has it: bring a cluster of your own"

_ROWS = (
    Accelerator(name="nvidia-t4", family=_N, memory_gib=16, tdp_w=70, gke_name="nvidia-tesla-t4", precisions=_TURING),
    Accelerator(name="nvidia-l4", family=_N, memory_gib=24, tdp_w=72, gke_name="nvidia-l4", precisions=_ADA),
    Accelerator(name="nvidia-a10", family=_N, memory_gib=24, tdp_w=150, precisions=_AMPERE),
    Accelerator(name="nvidia-a10g", family=_N, memory_gib=24, tdp_w=150, precisions=_AMPERE),
    Accelerator(name="nvidia-l40s", family=_N, memory_gib=48, tdp_w=350, precisions=_ADA),
    Accelerator(
        name="nvidia-rtx-pro-6000", family=_N, memory_gib=96, tdp_w=600, gke_name="nvidia-rtx-pro-6000", precisions=_BLACKWELL
    ),
    Accelerator(
        name="nvidia-a100-40gb",
        family=_N,
        memory_gib=40,
        tdp_w=400,
        gke_name="nvidia-tesla-a100",
        precisions=("FP64", *_AMPERE),
        link="NVLink 600 GB/s",
    ),
    Accelerator(
        name="nvidia-a100-80gb",
        family=_N,
        memory_gib=80,
        tdp_w=400,
        gke_name="nvidia-a100-80gb",
        precisions=("FP64", *_AMPERE),
        link="NVLink 600 GB/s",
    ),
    Accelerator(
        name="nvidia-h100-80gb",
        family=_N,
        memory_gib=80,
        tdp_w=700,
        gke_name="nvidia-h100-80gb",
        precisions=_HOPPER,
        link="NVLink 900 GB/s",
    ),
    Accelerator(
        name="nvidia-h100-nvl-94gb", family=_N, memory_gib=94, tdp_w=400, precisions=_HOPPER, link="NVLink bridge 600 GB/s"
    ),
    Accelerator(name="nvidia-h200-141gb", family=_N, memory_gib=141, tdp_w=700, precisions=_HOPPER, link="NVLink 900 GB/s"),
    Accelerator(
        name="nvidia-b200", family=_N, memory_gib=180, tdp_w=1000, precisions=("FP64", *_BLACKWELL), link="NVLink 1,800 GB/s"
    ),
    Accelerator(name="nvidia-b300", family=_N, memory_gib=288, tdp_w=1400, precisions=_BLACKWELL, link="NVLink 1,800 GB/s"),
    Accelerator(name="nvidia-rtx-4090", family=_N, memory_gib=24, tdp_w=450, precisions=_ADA, instead=_OWN_CLUSTER),
    Accelerator(name="nvidia-rtx-5090", family=_N, memory_gib=32, tdp_w=575, precisions=_BLACKWELL, instead=_OWN_CLUSTER),
    Accelerator(name="nvidia-rtx-a6000", family=_N, memory_gib=48, tdp_w=300, precisions=_AMPERE, instead=_OWN_CLUSTER),
    Accelerator(name="tpu-v2", family=_T, memory_gib=16, precisions=("BF16",), link=_ICI, instead=_TPU_VM),
    Accelerator(name="tpu-v3", family=_T, memory_gib=32, precisions=("BF16",), link=_ICI, instead=_TPU_VM),
    Accelerator(name="tpu-v4", family=_T, memory_gib=32, gke_name="tpu-v4-podslice", precisions=("BF16", "INT8"), link=_ICI),
    Accelerator(
        name="tpu-v5e", family=_T, memory_gib=16, gke_name="tpu-v5-lite-podslice", precisions=("BF16", "INT8"), link=_ICI
    ),
    Accelerator(name="tpu-v5p", family=_T, memory_gib=95, gke_name="tpu-v5p-slice", precisions=("BF16", "INT8"), link=_ICI),
    Accelerator(name="tpu-v6e", family=_T, memory_gib=32, gke_name="tpu-v6e-slice", precisions=("BF16", "INT8"), link=_ICI),
    Accelerator(name="inferentia1", family=_U, memory_gib=8, precisions=("FP16", "BF16", "INT8"), link="NeuronLink"),
    Accelerator(name="inferentia2", family=_U, memory_gib=32, precisions=_NEURON_2, link="NeuronLink-v2"),
    Accelerator(name="trainium1", family=_U, memory_gib=32, precisions=_NEURON_2, link="NeuronLink-v2"),
    Accelerator(name="trainium2", family=_U, memory_gib=96, precisions=_NEURON_2, link="NeuronLink-v3"),
    Accelerator(
        name="gaudi1",
        family=_G,
        memory_gib=32,
        tdp_w=350,
        precisions=("FP32", "BF16"),
        link="RoCE 10 x 100 Gb/s",
        withdrawn="AWS no longer offers dl1.24xlarge (karpenter-provider-aws#9343, 2026-07-13)",
    ),
    Accelerator(
        name="gaudi2",
        family=_G,
        memory_gib=96,
        tdp_w=600,
        precisions=_GAUDI_2,
        link="RoCE 24 x 100 Gb/s",
        instead="no cloud here has it: bring a cluster of your own, or take nvidia-a100-80gb",
    ),
    Accelerator(
        name="gaudi3",
        family=_G,
        memory_gib=128,
        tdp_w=900,
        precisions=_GAUDI_2,
        link="RoCE 24 x 200 Gb/s",
        instead="IBM Cloud has it (gx3d-160x1792x8gaudi3), none of the clouds here: bring a cluster of your own",
    ),
)

ACCELERATORS: dict[str, Accelerator] = {row.name: row for row in _ROWS}
