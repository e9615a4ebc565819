"""The accelerators, one row each: the only place that knows an accelerator's name, family and size.

Which machines carry one, where and for how much is `machines`' business.
Sources, read 2026-11-23: vendor data sheets by way of karpenter-provider-aws@1d927085 (memory as marketed),
xpk@02b0c092 (TPU labels), gpuhunt@35841515, mlco2/impact (T4 TDP). A `tdp_w` of None was never published.
Precisions and interconnects are those of the vendors' data sheets and architecture papers: NVIDIA's of Turing, Ampere,
Ada, Hopper and Blackwell; Google's Cloud TPU system architecture; AWS's of NeuronCore v1 to v3; Intel's of Gaudi 1 to 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Literal

Precision = Literal["FP64", "FP32", "TF32", "FP16", "BF16", "FP8", "FP4", "INT8", "INT4"]


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
            One machine bears another: `fleet.catalog.machines.gke_name`.
        precisions: number formats that the hardware accelerates, by its data sheet.
        interconnect: what joins it to its like in one machine or slice, the host's bus if nothing else; None where unknown.
        withdrawn: why the cloud that had it no longer offers it; None while it is on offer.
        instead: for one that no node pool of the three clouds has: where it is to be had. None for all others.
    """

    name: str
    family: Family
    memory_gib: int
    tdp_w: int | None = None
    gke_name: str | None = None
    precisions: tuple[Precision, ...] = ()
    interconnect: str | None = None
    withdrawn: str | None = None
    instead: str | None = None


_nvidia = partial(Accelerator, family=Family.NVIDIA)
_tpu = partial(Accelerator, family=Family.TPU)
_neuron = partial(Accelerator, family=Family.NEURON)
_gaudi = partial(Accelerator, family=Family.GAUDI)
_TURING: tuple[Precision, ...] = ("FP32", "FP16", "INT8", "INT4")
_AMPERE: tuple[Precision, ...] = ("FP32", "TF32", "FP16", "BF16", "INT8", "INT4")
_ADA: tuple[Precision, ...] = ("FP32", "TF32", "FP16", "BF16", "FP8", "INT8", "INT4")
_HOPPER: tuple[Precision, ...] = ("FP64", "FP32", "TF32", "FP16", "BF16", "FP8", "INT8")
_BLACKWELL: tuple[Precision, ...] = ("FP32", "TF32", "FP16", "BF16", "FP8", "FP4", "INT8")
_NEURON_2: tuple[Precision, ...] = ("FP32", "TF32", "FP16", "BF16", "FP8", "INT8")
_GAUDI_2: tuple[Precision, ...] = ("FP32", "TF32", "FP16", "BF16", "FP8")
_TPU_4: tuple[Precision, ...] = ("BF16", "INT8")
_ICI = "ICI"
_PCIE_3, _PCIE_4, _PCIE_5 = "PCIe 3.0 x16", "PCIe 4.0 x16", "PCIe 5.0 x16"
_TPU_VM = "no GKE machine type has it: make it a Cloud TPU VM (`tpu_vms`), or take tpu-v5e"
_OWN_CLUSTER = "no cloud here has it: bring a cluster of your own (cloud: existing)"

_ROWS = (
    _nvidia(name="nvidia-t4", memory_gib=16, tdp_w=70, gke_name="nvidia-tesla-t4", precisions=_TURING, interconnect=_PCIE_3),
    _nvidia(name="nvidia-l4", memory_gib=24, tdp_w=72, gke_name="nvidia-l4", precisions=_ADA, interconnect=_PCIE_4),
    _nvidia(name="nvidia-a10", memory_gib=24, tdp_w=150, precisions=_AMPERE, interconnect=_PCIE_4),
    _nvidia(name="nvidia-a10g", memory_gib=24, tdp_w=150, precisions=_AMPERE, interconnect=_PCIE_4),
    _nvidia(name="nvidia-l40s", memory_gib=48, tdp_w=350, precisions=_ADA, interconnect=_PCIE_4),
    _nvidia(
        name="nvidia-rtx-pro-6000",
        memory_gib=96,
        tdp_w=600,
        gke_name="nvidia-rtx-pro-6000",
        precisions=_BLACKWELL,
        interconnect=_PCIE_5,
    ),
    _nvidia(
        name="nvidia-a100-40gb",
        memory_gib=40,
        tdp_w=400,
        gke_name="nvidia-tesla-a100",
        precisions=("FP64", *_AMPERE),
        interconnect="NVLink 600 GB/s",
    ),
    _nvidia(
        name="nvidia-a100-80gb",
        memory_gib=80,
        tdp_w=400,
        gke_name="nvidia-a100-80gb",
        precisions=("FP64", *_AMPERE),
        interconnect="NVLink 600 GB/s",
    ),
    _nvidia(
        name="nvidia-h100-80gb",
        memory_gib=80,
        tdp_w=700,
        gke_name="nvidia-h100-80gb",
        precisions=_HOPPER,
        interconnect="NVLink 900 GB/s",
    ),
    _nvidia(name="nvidia-h100-nvl-94gb", memory_gib=94, tdp_w=400, precisions=_HOPPER, interconnect="NVLink bridge 600 GB/s"),
    _nvidia(
        name="nvidia-h200-141gb",
        memory_gib=141,
        tdp_w=700,
        gke_name="nvidia-h200-141gb",
        precisions=_HOPPER,
        interconnect="NVLink 900 GB/s",
    ),
    _nvidia(
        name="nvidia-b200",
        memory_gib=180,
        tdp_w=1000,
        gke_name="nvidia-b200",
        precisions=("FP64", *_BLACKWELL),
        interconnect="NVLink 1,800 GB/s",
    ),
    _nvidia(name="nvidia-b300", memory_gib=288, tdp_w=1400, precisions=_BLACKWELL, interconnect="NVLink 1,800 GB/s"),
    _nvidia(name="nvidia-rtx-4090", memory_gib=24, tdp_w=450, precisions=_ADA, interconnect=_PCIE_4, instead=_OWN_CLUSTER),
    _nvidia(
        name="nvidia-rtx-5090", memory_gib=32, tdp_w=575, precisions=_BLACKWELL, interconnect=_PCIE_5, instead=_OWN_CLUSTER
    ),
    _nvidia(
        name="nvidia-rtx-a6000",
        memory_gib=48,
        tdp_w=300,
        precisions=_AMPERE,
        interconnect="NVLink bridge 112 GB/s",
        instead=_OWN_CLUSTER,
    ),
    _tpu(name="tpu-v2", memory_gib=16, precisions=("BF16",), interconnect=_ICI, instead=_TPU_VM),
    _tpu(name="tpu-v3", memory_gib=32, gke_name="tpu-v3-slice", precisions=("BF16",), interconnect=_ICI),
    _tpu(name="tpu-v4", memory_gib=32, gke_name="tpu-v4-podslice", precisions=_TPU_4, interconnect=_ICI),
    _tpu(name="tpu-v5e", memory_gib=16, gke_name="tpu-v5-lite-podslice", precisions=_TPU_4, interconnect=_ICI),
    _tpu(name="tpu-v5p", memory_gib=95, gke_name="tpu-v5p-slice", precisions=_TPU_4, interconnect=_ICI),
    _tpu(name="tpu-v6e", memory_gib=32, gke_name="tpu-v6e-slice", precisions=_TPU_4, interconnect=_ICI),
    _neuron(name="inferentia1", memory_gib=8, precisions=("FP16", "BF16", "INT8"), interconnect="NeuronLink"),
    _neuron(name="inferentia2", memory_gib=32, precisions=_NEURON_2, interconnect="NeuronLink-v2"),
    _neuron(name="trainium1", memory_gib=32, precisions=_NEURON_2, interconnect="NeuronLink-v2"),
    _neuron(name="trainium2", memory_gib=96, precisions=_NEURON_2, interconnect="NeuronLink-v3"),
    _gaudi(
        name="gaudi1",
        memory_gib=32,
        tdp_w=350,
        precisions=("FP32", "BF16"),
        interconnect="RoCE 10 x 100 Gb/s",
        withdrawn="AWS no longer offers dl1.24xlarge (karpenter-provider-aws#9343, 2026-07-13)",
    ),
    _gaudi(
        name="gaudi2",
        memory_gib=96,
        tdp_w=600,
        precisions=_GAUDI_2,
        interconnect="RoCE 24 x 100 Gb/s",
        instead="no cloud here has it: bring a cluster of your own (cloud: existing), or take nvidia-a100-80gb",
    ),
    _gaudi(
        name="gaudi3",
        memory_gib=128,
        tdp_w=900,
        precisions=_GAUDI_2,
        interconnect="RoCE 24 x 200 Gb/s",
        instead="IBM Cloud has it (gx3d-160x1792x8gaudi3), no cloud here: bring a cluster of your own (cloud: existing)",
    ),
)

ACCELERATORS: dict[str, Accelerator] = {row.name: row for row in _ROWS}
