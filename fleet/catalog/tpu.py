"""TPU slice arithmetic: from a version and a topology to machine, hosts and chips.

Follows GKE "About TPUs in GKE" and the shapes in xpk@02b0c092 (system_characteristics.py), read 2026-11-23. TPU v3 has
been in GKE since its release notes of 2024-10-31; machines, labels and shapes are those of GKE's own autoscaler
(k8s.io/gke-autoscaling, gke/machinetypes) and of PerfKitBenchmarker's google_kubernetes_engine.py, read 2026-11-23.
Refuses nothing about capacity or price; it only says which shapes exist.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, machine

# Version -> chips a machine -> machine type. v5e and v6e have small single-host machines; the others always 4 chips.
_MACHINES = {
    "tpu-v3": {4: "ct3-hightpu-4t"},
    "tpu-v4": {4: "ct4p-hightpu-4t"},
    "tpu-v5p": {4: "ct5p-hightpu-4t"},
    "tpu-v5e": {1: "ct5lp-hightpu-1t", 4: "ct5lp-hightpu-4t", 8: "ct5lp-hightpu-8t"},
    "tpu-v6e": {1: "ct6e-standard-1t", 4: "ct6e-standard-4t", 8: "ct6e-standard-8t"},
}
# Version -> machine type of a slice of many hosts, where that is not the machine of 4 chips.
_OF_MANY = {"tpu-v3": "ct3p-hightpu-4t"}
_FLAT = ("1x1", "2x2", "2x4", "4x4", "4x8", "8x8", "8x16", "16x16")
_CUBIC = ("2x2x1", "2x2x2", "2x2x4", "2x4x4", "4x4x4", "4x4x8", "4x8x8", "8x8x8")
_SQUARE = ("2x2", "4x4", "4x8", "8x8", "8x16", "16x16", "16x32", "32x32")
TOPOLOGIES: dict[str, tuple[str, ...]] = {
    "tpu-v3": _SQUARE,
    "tpu-v4": _CUBIC,
    "tpu-v5p": _CUBIC,
    "tpu-v5e": _FLAT,
    "tpu-v6e": _FLAT,
}


@dataclass(frozen=True)
class TpuSlice:
    """One slice: `hosts` machines whose chips are wired into one `topology`."""

    accelerator: str
    topology: str
    machine: Machine
    hosts: int

    @property
    def chips(self) -> int:
        return self.hosts * self.machine.accelerators

    @property
    def multi_host(self) -> bool:
        """A multi-host slice is one atomic node pool with a placement policy; a single-host one must set none (xpk#825)."""
        return self.hosts > 1


def tpu_slice(accelerator: str, topology: str) -> TpuSlice:
    """The slice of that shape.

    Raises:
        ValueError: the version has no such topology; the message lists those it has.
    """
    allowed = TOPOLOGIES[accelerator]
    if topology not in allowed:
        raise ValueError(f"{accelerator} has no topology {topology}; it has {', '.join(allowed)}")
    chips = _chips(topology)
    by_chips = _MACHINES[accelerator]
    per_machine = chips if chips in by_chips else 4
    hosts = chips // per_machine
    name = _OF_MANY.get(accelerator, by_chips[per_machine]) if hosts > 1 else by_chips[per_machine]
    found = machine(Cloud.GCP, name)
    assert found is not None, f"machines.csv lacks {name}"
    return TpuSlice(accelerator, topology, found, hosts)


def nearest_topology(accelerator: str, topology: str) -> str:
    """The shape of that version whose number of chips is nearest; of two, the larger, which holds what was meant.

    >>> nearest_topology("tpu-v5e", "3x3"), nearest_topology("tpu-v5p", "4x4")
    ('2x4', '2x2x4')
    """
    wanted = _chips(topology)
    return min(TOPOLOGIES[accelerator], key=lambda shape: (abs(_chips(shape) - wanted), -_chips(shape)))


def _chips(topology: str) -> int:
    return math.prod(int(side) for side in topology.split("x"))
