"""The quotas that stacks need, told before any cloud is asked: by region, by purchase, and at every pool's bound."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from typer.testing import CliRunner

from fleet.catalog.clouds import PUBLIC, Cloud
from fleet.cli import app
from fleet.load import load_stack
from fleet.quota import QuotaNeed, needs
from fleet.report.build import report
from fleet.report.limits import Limit
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


def beside(cloud: str, region: str, **parts: dict[str, Any]) -> StackSpec:
    cluster = {"cloud": cloud, "region": region, "stores": {"m": {}}, **parts}
    return StackSpec.model_validate({"owner": "ml", "environment": "dev", "clusters": {"main": cluster}})


def services(accelerator: str, purchase: str = "spot", **machine: Any) -> dict[str, Any]:
    common = {"accelerator": accelerator, "image": "a/b:1", "model": "m"}
    return {
        "machines": {"box": {"accelerator": accelerator, "purchase": purchase, **machine}},
        "trainings": {"tune": {**common, "nodes": 3, "purchase": purchase}},
        "endpoints": {"live": {**common, "machines": 2}},
    }


@pytest.mark.parametrize(
    ("cloud", "region", "accelerator", "expected"),
    [
        (
            "aws",
            "us-east-1",
            "nvidia-l4",
            {
                "L-3819A6DF": (4, "vCPUs"),
                "ml.g6.xlarge for spot training job usage": (3, "machines"),
                "ml.g6.xlarge for endpoint usage": (2, "machines"),
            },
        ),
        (
            "gcp",
            "us-west1",
            "nvidia-l4",
            {
                "PREEMPTIBLE_NVIDIA_L4_GPUS": (1, "accelerators"),
                "GPUS_ALL_REGIONS": (1, "accelerators"),
                "custom_model_training_preemptible_nvidia_l4_gpus": (3, "accelerators"),
                "custom_model_serving_nvidia_l4_gpus": (2, "accelerators"),
            },
        ),
        (
            "azure",
            "westeurope",
            "nvidia-t4",
            {
                "lowPriorityCores": (4, "vCPUs"),
                "Total Cluster Low Priority Regional vCPUs": (12, "vCPUs"),
                # Of two machines a fifth more is three.
                "Standard NCASv3_T4 Family Cluster Dedicated vCPUs": (12, "vCPUs"),
            },
        ),
    ],
)
def test_managed_services_have_quotas_of_their_own_beside_the_machines(
    cloud: str, region: str, accelerator: str, expected: dict[str, tuple[int, str]]
) -> None:
    spec = beside(cloud, region, services=services(accelerator))
    found = needs({"a": spec})
    assert {need.quota: (need.amount, need.unit) for need in found} == expected
    assert {name for need in found for name in need.pools} == {"a/main/box", "a/main/tune", "a/main/live"}
    other = {"aws": "sagemaker", "gcp": "iam-admin", "azure": "ml.azure.com"}[cloud]
    assert all(other in need.ask for need in found if need.pools == ("a/main/live",))


def test_a_machine_adds_to_the_quota_of_the_pools_and_one_without_accelerators_to_none() -> None:
    pools = {"l4": {"accelerator": "nvidia-l4", "purchase": "spot", "nodes": {"max": 2}}}
    machines = {"box": {"accelerator": "nvidia-l4", "purchase": "spot"}, "plain": {}}
    (need,) = needs({"a": beside("aws", "us-east-1", pools=pools, services={"machines": machines})})
    assert (need.quota, need.amount, need.pools) == ("L-3819A6DF", 12, ("a/main/l4", "a/main/box"))


def test_a_managed_services_quota_that_nobody_has_read_is_told_without_a_name() -> None:
    trainings = {"tune": {"accelerator": "nvidia-a10", "image": "a/b:1", "model": "m", "nodes": 2, "purchase": "on-demand"}}
    spec = beside("azure", "eastus", services={"trainings": trainings})
    (need,) = needs({"a": spec})
    assert (need.quota, need.amount, need.unit) == (None, 72, "vCPUs")
    # Two that nobody can name are one amount only where they are counted alike.
    pool = {"accelerator": "nvidia-a10", "nodes": {"max": 1}}
    assert len(needs({"a": spec, "b": stack("azure", "eastus", a10=pool)})) == 2


def test_tpu_vms_count_by_cores_in_their_zone_and_slices_apart_from_single_machines() -> None:
    vms = {"one": {"type": "v2-8"}, "two": {"type": "v2-8"}, "pod": {"type": "v3-32", "purchase": "spot"}}
    found = needs({"a": beside("gcp", "europe-west4", tpu_vms=vms)})
    assert {(need.region, need.quota): (need.amount, need.unit) for need in found} == {
        ("europe-west4-a", "TPU v2 cores per project per zone"): (16, "cores"),
        ("europe-west4-a", "Preemptible TPU v3 pod cores per project per zone"): (32, "cores"),
    }


def test_the_report_holds_services_and_tpu_vms_against_the_limits() -> None:
    spec = beside("gcp", "europe-west4", tpu_vms={"one": {"type": "v2-8"}}, services=services("nvidia-l4"))
    quota, day = "TPU v2 cores per project per zone", date(2026, 11, 1)
    limit = Limit(cloud=Cloud.GCP, region="europe-west4-a", quota=quota, limit=4, as_of=day)
    (made,) = report({"a": spec}, None, None, {(Cloud.GCP, "europe-west4-a", quota): limit}).stacks
    verdicts = {one.quota: one.verdict for one in made.quotas}
    assert verdicts[quota] == "short"
    assert verdicts["custom_model_serving_nvidia_l4_gpus"] == "unknown"


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
