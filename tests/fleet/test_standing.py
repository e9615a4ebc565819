"""What a pool's nodes offer, counted by a kubelet or published by a DRA driver."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.contract import POOL_LABEL
from fleet.standing import PoolStanding, _pool

ABOUT = {
    "accelerator": "nvidia-t4",
    "machine": "g4dn.12xlarge",
    "resource": "nvidia.com/gpu",
    "perNode": 4,
    "slots": 4,
    "sharing": None,
    "minNodes": 1,
    "maxNodes": 2,
    "purchase": "on-demand",
}


def node(name: str, **allocatable: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {POOL_LABEL: "gpu"}}, "status": {"allocatable": allocatable}}


def slice_(name: str, driver: str, devices: int) -> dict[str, Any]:
    return {"spec": {"nodeName": name, "driver": driver, "devices": [{}] * devices}}


def look(about: dict[str, Any], nodes: list[Any], slices: list[Any]) -> PoolStanding:
    return _pool("s", "c", {"cloud": "aws", "region": "us-east-1"}, "gpu", {**ABOUT, **about}, nodes, [], slices)


@pytest.mark.parametrize("told", [{}, {"deviceClass": None}], ids=["a stack of before", "counted"])
def test_counted_accelerators_are_the_kubelets(told: dict[str, Any]) -> None:
    found = look(told, [node("a", **{"nvidia.com/gpu": "4"}), node("b")], [slice_("b", "gpu.nvidia.com", 4)])
    assert (found.accelerators, found.missing) == (4, 1)


def test_claimed_accelerators_are_those_of_their_drivers_slices() -> None:
    slices = [slice_("a", "gpu.nvidia.com", 4), slice_("b", "dra.net", 8), slice_("other", "gpu.nvidia.com", 4)]
    found = look({"deviceClass": "gpu.nvidia.com"}, [node("a"), node("b", **{"nvidia.com/gpu": "4"})], slices)
    assert (found.accelerators, found.missing) == (4, 1)
