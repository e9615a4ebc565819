"""What people write under `tpu_vms:` of a GKE cluster: TPUs beside it, as Cloud TPU VMs, where no node pool has them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fleet.catalog.tpu_vms import DEFAULT_RUNTIME
from fleet.spec_base import Name, Spec


class TpuVmSpec(Spec):
    """One Cloud TPU VM, or a slice of several that come and go together; its stores are those of the cluster."""

    type: str = Field(pattern=r"^v\d+[a-z]*-\d+$", description="Google's word for version and cores, such as v2-8 or v3-32.")
    zone: str | None = Field(default=None, description="Zone; default: the region's first that has the type.")
    runtime: str = Field(
        default=DEFAULT_RUNTIME,
        pattern=r"^[a-z0-9][a-z0-9.-]*$",
        description="TPU software version: what is on its disk at first.",
    )
    purchase: Literal["spot", "on-demand"] = Field(
        default="on-demand", description="spot: Google takes it back at will, and what is on its disk is gone."
    )
    reads: list[Name] = Field(default_factory=list, description="Stores that it reads.")
    writes: list[Name] = Field(default_factory=list, description="Stores that it reads and writes.")
