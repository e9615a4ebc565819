"""A cloud's refusal is answered with what to do: for want of capacity, for want of quota, and for nothing else."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fleet.advice import advice
from fleet.catalog.clouds import PUBLIC, Cloud
from sandbox.cloud.quotas import over_quota

CAPACITY = [
    "AsgInstanceLaunchFailures: Could not launch On-Demand Instances. InsufficientInstanceCapacity - We currently do not have "
    "sufficient p4d.24xlarge capacity in the Availability Zone you requested (us-east-1a).",
    "Could not launch Spot Instances. UnfulfillableCapacity - Unable to fulfill capacity due to your request configuration.",
    "googleapi: Error 503: ZONE_RESOURCE_POOL_EXHAUSTED_WITH_DETAILS: The zone does not have enough resources available",
    "GCE_STOCKOUT: error in node pool creation",
    'Code="ZonalAllocationFailed" Message="Allocation failed. We do not have sufficient capacity for the VM size in this zone"',
    "Code=\"SkuNotAvailable\" The requested size Standard_ND96isr_H100_v5 is currently not available in location 'westeurope'",
]
QUOTA = [
    'googleapi: Error 403: Insufficient regional quota to satisfy request: resource "NVIDIA_L4_GPUS"',
    "Quota 'GPUS_ALL_REGIONS' exceeded. Limit: 0.0 globally.",
    'Code="QuotaExceeded" exceeding approved standardNDSH100v5Family Cores quota',
    "Could not launch Spot Instances. MaxSpotInstanceCountExceeded - Max spot instance count exceeded",
]


@pytest.mark.parametrize("words", CAPACITY)
def test_pain_05_without_capacity_it_says_where_else_to_look(words: str) -> None:
    said = advice("prod", words)
    assert said is not None
    assert "more zones" in said and "capacity:" in said


@pytest.mark.parametrize("words", QUOTA)
def test_pain_01_without_quota_it_says_how_much_and_where_to_ask(words: str) -> None:
    assert "`fleet quota --stack prod`" in (advice("prod", words) or "")


@pytest.mark.parametrize("spot", [False, True], ids=["on-demand", "spot"])
@pytest.mark.parametrize("cloud", PUBLIC)
def test_pain_01_the_sandboxs_refusals_are_known_by_it(cloud: Cloud, spot: bool) -> None:
    hardware = SimpleNamespace(accelerators=8, vcpus=96)
    pool: Any = SimpleNamespace(cloud=cloud, region="r", size=1, spot=spot, hardware=hardware)
    refused = over_quota(pool, "some-quota", limit=0, used=0)
    assert "fleet quota" in (advice("prod", str(refused)) or "")


@pytest.mark.parametrize("words", ["write /state/x.tmp: no space left on device", "[Errno 28] No space left on device: 'y'"])
def test_a_full_disk_is_named_with_what_to_run_then(words: str) -> None:
    said = advice("prod", words) or ""
    assert "disk" in said and "run the same command again" in said


@pytest.mark.parametrize(
    "words", ["", "error: Duplicate resource URN", "AccessDenied: not authorized to perform eks:CreateCluster"]
)
def test_where_it_knows_no_better_it_says_nothing(words: str) -> None:
    assert advice("prod", words) is None
