"""The accelerators, one row each: the only place that knows an accelerator's name, family and size.

Which machines carry one, where and for how much is `machines`' business.
Sources, read 2026-11-23: vendor data sheets by way of karpenter-provider-aws@1d927085 (memory as marketed),
xpk@02b0c092 (TPU labels), gpuhunt@35841515, mlco2/impact (T4 TDP). A `tdp_w` of None was never published.
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
        withdrawn: why the cloud that had it no longer offers it; None while it is on offer.
    """

    name: str
    family: Family
    memory_gib: int
    tdp_w: int | None = None
    gke_name: str | None = None
    withdrawn: str | None = None


_N, _T, _U = Family.NVIDIA, Family.TPU, Family.NEURON

_ROWS = (
    Accelerator(name="nvidia-t4", family=_N, memory_gib=16, tdp_w=70, gke_name="nvidia-tesla-t4"),
    Accelerator(name="nvidia-l4", family=_N, memory_gib=24, tdp_w=72, gke_name="nvidia-l4"),
    Accelerator(name="nvidia-a10", family=_N, memory_gib=24, tdp_w=150),
    Accelerator(name="nvidia-a10g", family=_N, memory_gib=24, tdp_w=150),
    Accelerator(name="nvidia-l40s", family=_N, memory_gib=48, tdp_w=350),
    Accelerator(name="nvidia-rtx-pro-6000", family=_N, memory_gib=96, tdp_w=600, gke_name="nvidia-rtx-pro-6000"),
    Accelerator(name="nvidia-a100-40gb", family=_N, memory_gib=40, tdp_w=400, gke_name="nvidia-tesla-a100"),
    Accelerator(name="nvidia-a100-80gb", family=_N, memory_gib=80, tdp_w=400, gke_name="nvidia-a100-80gb"),
    Accelerator(name="nvidia-h100-80gb", family=_N, memory_gib=80, tdp_w=700, gke_name="nvidia-h100-80gb"),
    Accelerator(name="nvidia-h100-nvl-94gb", family=_N, memory_gib=94, tdp_w=400),
    Accelerator(name="nvidia-h200-141gb", family=_N, memory_gib=141, tdp_w=700),
    Accelerator(name="nvidia-b200", family=_N, memory_gib=180, tdp_w=1000),
    Accelerator(name="nvidia-b300", family=_N, memory_gib=288, tdp_w=1400),
    Accelerator(name="tpu-v4", family=_T, memory_gib=32, gke_name="tpu-v4-podslice"),
    Accelerator(name="tpu-v5e", family=_T, memory_gib=16, gke_name="tpu-v5-lite-podslice"),
    Accelerator(name="tpu-v5p", family=_T, memory_gib=95, gke_name="tpu-v5p-slice"),
    Accelerator(name="tpu-v6e", family=_T, memory_gib=32, gke_name="tpu-v6e-slice"),
    Accelerator(name="inferentia1", family=_U, memory_gib=8),
    Accelerator(name="inferentia2", family=_U, memory_gib=32),
    Accelerator(name="trainium1", family=_U, memory_gib=32),
    Accelerator(name="trainium2", family=_U, memory_gib=96),
    Accelerator(
        name="gaudi1",
        family=Family.GAUDI,
        memory_gib=32,
        tdp_w=350,
        withdrawn="AWS no longer offers dl1.24xlarge (karpenter-provider-aws#9343, 2026-07-13)",
    ),
)

ACCELERATORS: dict[str, Accelerator] = {row.name: row for row in _ROWS}
