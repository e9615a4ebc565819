"""How one accelerator serves several pods: GPUs in hardware (MIG), by turns (time-slicing) or side by side (MPS), Neuron
devices by their cores.

Every way of a GPU keeps the resource's name and multiplies its count, as GKE does, so that a pod asks for `nvidia.com/gpu: 1`
whoever cut the GPU: autoscalers that stand at zero know no other name (pain 8: karpenter#729, AKS#5161).
A Neuron core has a resource of its own, which Neuron's plugin counts beside the devices.
MIG isolates memory and faults; MPS limits memory but shares faults; time-slicing isolates nothing.

MIG profiles: data/mig.csv. https://docs.nvidia.com/datacenter/cloud-native/gpu-operator/latest/gpu-sharing.html,
https://cloud.google.com/kubernetes-engine/docs/concepts/timesharing-gpus, https://learn.microsoft.com/azure/aks/gpu-multi-instance
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from fleet.catalog.clouds import Cloud

_MIG = Path(__file__).parent / "data" / "mig.csv"
# GKE's limit of max_shared_clients_per_gpu; the same bound everywhere, so that a pool moves between clouds.
MOST_CLIENTS = 48


class SharingMode(StrEnum):
    MIG = "mig"
    TIME_SLICING = "time-slicing"
    MPS = "mps"
    CORES = "cores"


@dataclass(frozen=True)
class Sharing:
    """One way to share.

    Attributes:
        slots: pods that one whole accelerator takes.
        profile: MIG profile, such as `1g.10gb`; None for the other ways.
    """

    mode: SharingMode
    slots: int
    profile: str | None = None

    def __str__(self) -> str:
        """`mig-1g.10gb`, `time-slicing-4`: fit for a label's value."""
        return f"{self.mode}-{self.profile or self.slots}"


@cache
def mig_profiles(accelerator: str) -> dict[str, int]:
    """Profile -> instances that one GPU holds of it, smallest first; empty where the GPU has no MIG."""
    with _MIG.open(newline="") as file:
        return {r["profile"]: int(r["instances"]) for r in csv.DictReader(file) if r["accelerator"] == accelerator}


def mig_profiles_on(cloud: Cloud, accelerator: str) -> dict[str, int]:
    """The profiles that the cloud cuts for itself or lets us cut.

    AKS names a profile by its compute slices alone (GPUInstanceProfile: MIG1g … MIG7g), so of two with the same number
    it makes the one that holds more instances. GKE has no 4g profile but the RTX's. The hosts of an existing cluster are
    not ours to cut.
    """
    all_ = mig_profiles(accelerator)
    if cloud is Cloud.EXISTING:
        return {}
    if cloud is Cloud.AZURE:
        first: dict[str, str] = {}
        for profile in all_:
            first.setdefault(profile.partition(".")[0], profile)
        return {profile: all_[profile] for profile in first.values()}
    if cloud is Cloud.GCP:
        largest = list(all_)[-1:]
        return {p: n for p, n in all_.items() if not p.startswith("4g") or p in largest}
    return all_


def nearest_profile(profile: str, offered: Iterable[str]) -> str:
    """Of these, the one nearest in memory, then in compute slices; of two, the larger, which holds what was meant.

    >>> nearest_profile("2g.15gb", ("1g.10gb", "2g.20gb", "3g.40gb"))
    '2g.20gb'
    """
    slices, memory = _sizes(profile)

    def distance(other: str) -> tuple[int, int, int]:
        of_slices, of_memory = _sizes(other)
        return abs(of_memory - memory), abs(of_slices - slices), -of_memory

    return min(offered, key=distance)


def _sizes(profile: str) -> tuple[int, int]:
    """`2g.20gb` -> (2, 20)."""
    slices, _, memory = profile.removesuffix("gb").partition("g.")
    return int(slices), int(memory)


def mig(accelerator: str, profile: str) -> Sharing:
    """Sharing by a MIG profile.

    Raises:
        LookupError: the GPU has no such profile; `fleet.checks` reports it first, with the nearest.
    """
    instances = mig_profiles(accelerator).get(profile)
    if instances is None:
        raise LookupError(f"{accelerator} has no MIG profile {profile}")
    return Sharing(SharingMode.MIG, instances, profile)
