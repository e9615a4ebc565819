"""The quotas that stacks need, told before any cloud is asked: by region, by purchase, and at every pool's bound."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from fleet.catalog.clouds import PUBLIC, Cloud
from fleet.cli import app
from fleet.load import load_stack
from fleet.quota import QuotaNeed, needs
from fleet.spec import StackSpec
from fleet.workspace import STACKS

DEV = {path.stem: load_stack(path) for path in sorted(STACKS.glob("*-dev.yaml")) if not path.name.startswith("Pulumi.")}


def stack(cloud: str, region: str, **pools: dict[str, Any]) -> StackSpec:
    cluster = {"cloud": cloud, "region": region, "pools": pools}
    return StackSpec.model_validate({"owner": "ml", "environment": "dev", "clusters": {"main": cluster}})


def amounts(**stacks: StackSpec) -> dict[tuple[str, str | None], int]:
    return {(need.region, need.quota): need.amount for need in needs(stacks)}


def test_pain_01_every_pool_of_the_dev_stacks_names_its_quota_its_amount_and_where_to_ask() -> None:
    found = needs(DEV)
    assert {need.cloud for need in found} == set(PUBLIC)
    wanting = {pool for need in found for pool in need.pools}
    assert wanting == {f"{s}/{c}/{p}" for s, spec in DEV.items() for c, cluster in spec.clusters.items() for p in cluster.pools}
    for need in found:
        assert need.quota
        assert need.amount > 0
        assert need.ask.startswith("https://")
        assert need.cloud is not Cloud.AWS or (need.region in need.ask and need.quota in need.ask)


def test_pain_01_spot_has_a_quota_of_its_own_and_each_rung_counts_at_its_bound() -> None:
    l4 = {"accelerator": "nvidia-l4", "nodes": {"max": 3}}
    assert amounts(a=stack("aws", "us-east-1", l4=l4)) == {("us-east-1", "L-DB2E81BA"): 12}
    both = amounts(a=stack("aws", "us-east-1", l4={**l4, "purchase": "spot", "fallback": "on-demand"}))
    assert both == {("us-east-1", "L-3819A6DF"): 12, ("us-east-1", "L-DB2E81BA"): 12}
    rungs = [
        {"purchase": "reservation", "reservation": "cr-0123456789abcdef0", "zone": "us-east-1a", "nodes": 2},
        {"purchase": "on-demand"},
    ]
    ladder = {"accelerator": "nvidia-l4", "nodes": {"max": 3}, "capacity": rungs}
    assert amounts(a=stack("aws", "us-east-1", l4=ladder)) == {("us-east-1", "L-DB2E81BA"): 4 * (2 + 3)}


def test_pain_01_gcp_counts_gpus_in_the_region_and_in_all_regions_together() -> None:
    l4 = {"accelerator": "nvidia-l4", "per_node": 2, "nodes": {"max": 3}}
    two = {"a": stack("gcp", "us-central1", l4=l4), "b": stack("gcp", "us-west1", l4={**l4, "purchase": "spot"})}
    assert amounts(**two) == {
        ("us-central1", "NVIDIA_L4_GPUS"): 6,
        ("us-west1", "PREEMPTIBLE_NVIDIA_L4_GPUS"): 6,
        ("all regions", "GPUS_ALL_REGIONS"): 12,
    }
    tpu = {"accelerator": "tpu-v5e", "topology": "4x4", "nodes": {"min": 4, "max": 4}}
    assert amounts(a=stack("gcp", "us-west1", v5e=tpu)) == {("us-west1", "TPU_LITE_PODSLICE_V5"): 16}


def test_what_the_catalogue_has_no_quota_for_says_so() -> None:
    v4 = {"accelerator": "tpu-v4", "topology": "2x2x1", "nodes": {"max": 2}}
    assert amounts(a=stack("gcp", "us-central2", v4=v4)) == {("us-central2", None): 8}
    block = {"purchase": "capacity-block", "reservation": "cr-0123456789abcdef0", "zone": "us-east-2a"}
    rungs = [{**block, "ends": "2099-01-31T11:30:00Z"}]
    train = {"accelerator": "trainium2", "nodes": {"max": 1}, "capacity": rungs}
    assert amounts(a=stack("aws", "us-east-2", train=train)) == {("us-east-2", None): 192}


def test_stacks_in_one_region_share_its_quota() -> None:
    t4 = {"accelerator": "nvidia-t4", "nodes": {"max": 2}}
    (need,) = needs({name: stack("azure", "westeurope", t4=t4) for name in ("a", "b")})
    assert (need.quota, need.amount, need.pools) == ("Standard NCASv3_T4 Family", 16, ("a/main/t4", "b/main/t4"))


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_command_shows_them_all(form: str) -> None:
    done = CliRunner().invoke(app, ["quota", "--stack", "*-dev", "--format", form], env={"COLUMNS": "200"})
    assert done.exit_code == 0
    found = needs(DEV)
    if form == "json":
        assert [QuotaNeed(**{**q, "pools": tuple(q["pools"])}) for q in json.loads(done.stdout)["quotas"]] == found
        return
    for need in found:
        assert f"{need.quota}: {need.amount} {need.unit}, for {', '.join(need.pools)}\n    {need.ask}" in done.stdout


def test_a_stack_without_accelerators_needs_none() -> None:
    assert needs({"a": stack("aws", "us-east-1")}) == []
