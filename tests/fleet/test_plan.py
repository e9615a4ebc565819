"""From a stack file's words to pools: the machine, the zones, the size and the disk, by figures worked out here."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.catalog.clouds import PUBLIC, Cloud, zones
from fleet.catalog.machines import gke_name, machines_with, offer, offers
from fleet.catalog.sharing import SharingMode
from fleet.catalog.tpu import tpu_slice
from fleet.contract import AcceleratorPool
from fleet.cost import pool_cost
from fleet.plan import choose_machine, disk_gib, needed_gib, network_zones, nodes_for, pools
from fleet.spec import ClusterSpec, ModelSpec, PoolSpec

L4 = {"accelerator": "nvidia-l4", "nodes": {"max": 9}}


def cluster(cloud: str = "aws", region: str = "us-east-1", **parts: Any) -> ClusterSpec:
    return ClusterSpec.model_validate({"cloud": cloud, "region": region, **parts})


def model(size_gib: int | None = None, pool: str = "gpu", **parts: Any) -> dict[str, Any]:
    weights = {"weights": {"store": "weights", "size_gib": size_gib}} if size_gib else {}
    return {"pool": pool, **weights, **parts}


def planned(pool: dict[str, Any], *models: dict[str, Any], cloud: str = "aws", region: str = "us-east-1") -> AcceleratorPool:
    named = {f"m{i}": m for i, m in enumerate(models)}
    (made,) = pools("prod", "main", cluster(cloud, region, pools={"gpu": pool}, models=named)).values()
    return made


def test_the_smallest_machine_on_offer_in_the_region_is_taken() -> None:
    assert planned(L4).machine.name == "g6.xlarge"
    assert planned({**L4, "per_node": 4}).machine.name == "g6.12xlarge"
    assert planned({**L4, "machine": "g6.2xlarge"}).machine.name == "g6.2xlarge"
    assert planned(L4, cloud="gcp", region="us-central1").machine.name == "g2-standard-4"


@pytest.mark.parametrize("cloud", PUBLIC)
def test_a_machine_is_never_one_that_the_region_does_not_list(cloud: Cloud) -> None:
    listed = {(o.region, o.machine.name) for o in offers() if o.machine.cloud is cloud}
    chosen = 0
    for region in sorted({region for region, _ in listed}):
        for accelerator in sorted({o.machine.accelerator.name for o in offers() if o.machine.accelerator}):
            if machines_with(cloud, accelerator, region):
                found = choose_machine(PoolSpec(accelerator=accelerator), cluster(cloud, region))
                assert (region, found.name) in listed
                chosen += 1
    assert chosen > 10


@pytest.mark.parametrize(
    "spec", [{"accelerator": "nvidia-l4", "per_node": 3}, {"accelerator": "nvidia-l4", "machine": "g5.xlarge"}], ids=str
)
def test_what_there_is_not_is_an_error_and_no_guess(spec: dict[str, Any]) -> None:
    with pytest.raises(LookupError, match="no "):
        choose_machine(PoolSpec.model_validate(spec), cluster())


@pytest.mark.parametrize(
    ("sizes", "per_node", "nodes"),
    [
        ([], 8, 0),
        ([1], 8, 1),
        ([4, 4, 4], 8, 2),
        ([1, 2, 4, 8], 8, 2),
        ([3, 3, 2], 8, 1),
        ([5, 5, 3, 3], 8, 2),
        ([8] * 3, 8, 3),
    ],
)
def test_replicas_are_packed_and_none_is_split(sizes: list[int], per_node: int, nodes: int) -> None:
    assert nodes_for(sizes, per_node) == nodes
    assert nodes_for(reversed(sizes), per_node) == nodes


def test_a_replica_larger_than_a_node_fits_none() -> None:
    with pytest.raises(ValueError, match="takes 9 accelerators, a node has 8"):
        nodes_for([1, 9], 8)


def test_a_pool_starts_with_what_its_models_need_within_its_bounds() -> None:
    three = model(replicas={"min": 3, "max": 5})
    assert planned(L4).start_nodes == 0
    assert planned(L4, three).start_nodes == 3
    assert planned({**L4, "per_node": 4}, three).start_nodes == 1
    assert planned({**L4, "nodes": {"max": 2}}, three).start_nodes == 2
    assert planned({**L4, "nodes": {"min": 4, "max": 9}}, three).start_nodes == 4
    assert planned({**L4, "nodes": {"max": 9, "start": 7}}, three).start_nodes == 7


def test_shared_gpus_take_more_replicas_a_node() -> None:
    shared = planned({**L4, "sharing": {"time_slices": 4}}, model(replicas={"min": 5, "max": 5}))
    assert shared.sharing is not None
    assert (shared.sharing.mode, shared.slots, shared.start_nodes) == (SharingMode.TIME_SLICING, 4, 2)


def test_a_multi_host_slice_is_whole_and_in_one_zone() -> None:
    tpu = {"accelerator": "tpu-v5e", "topology": "4x4", "nodes": {"max": 1}}
    pool = planned(tpu, cloud="gcp", region="us-central1")
    assert pool.machine.name == "ct5lp-hightpu-4t"
    assert (pool.min_nodes, pool.start_nodes, pool.max_nodes, len(pool.zones)) == (4, 4, 4, 1)


def test_a_single_tpu_host_scales_like_any_node() -> None:
    pool = planned(
        {"accelerator": "tpu-v5e", "topology": "2x4", "nodes": {"max": 3}}, model(), cloud="gcp", region="us-central1"
    )
    assert (pool.machine.accelerators, pool.min_nodes, pool.start_nodes, pool.max_nodes) == (8, 0, 1, 3)


def test_the_disk_holds_system_images_and_the_weights_twice() -> None:
    models = [ModelSpec.model_validate(model(size)) for size in (16, 41)]
    assert needed_gib(models) == 20 + 50 + 2 * 16 + 2 * 41
    assert disk_gib(models) == 190
    assert disk_gib(models[:1]) == 110, "102 to the next ten"
    assert disk_gib([]) == 100
    assert planned(L4, *(model(size) for size in (16, 41))).disk_gib == 190
    assert planned({**L4, "disk_gib": 500}, model(16)).disk_gib == 500


def test_only_the_models_of_a_pool_count_for_it() -> None:
    spec = cluster(pools={"gpu": L4, "other": L4}, models={"a": model(100), "b": model(400, pool="other")})
    made = pools("prod", "main", spec, pool_name=lambda name: f"x{name}")
    assert {name: (p.disk_gib, p.start_nodes, p.physical_name) for name, p in made.items()} == {
        "gpu": (270, 1, "xgpu"),
        "other": (870, 1, "xother"),
    }


def test_the_network_has_the_zones_that_pools_name_and_fills_up_with_the_first() -> None:
    a, b, c, d = zones(Cloud.AWS, "us-east-1")[:4]
    pool = {"gpu": {**L4, "zones": [d]}}
    assert network_zones(cluster(network={"zones": 2})) == (a, b)
    assert network_zones(cluster(network={"zones": 2}, pools=pool)) == (a, d)
    assert network_zones(cluster(network={"zones": 1}, pools={"gpu": {**L4, "zones": [d, c, b]}})) == (b, c, d)
    (made,) = pools("prod", "main", cluster(pools=pool)).values()
    assert made.zones == (d,)


def test_what_is_sold_in_capacity_blocks_alone_is_planned_without_a_price() -> None:
    block = {"purchase": "capacity-block", "reservation": "cr-0123456789abcdef0", "zone": "us-east-2a"}
    spec = cluster(
        "aws",
        "us-east-2",
        pools={"train": {"accelerator": "trainium2", "capacity": [{**block, "ends": "2099-01-31T11:30:00Z"}]}},
    )
    made = pools("dev", "main", spec)["train"]
    assert (made.machine.name, made.purchase) == ("trn2.48xlarge", "capacity-block")
    price = offer(made.machine, "us-east-2")
    cost = pool_cost(Cloud.AWS, "us-east-2", made.machine, price, purchase=made.purchase, nodes=1)
    assert cost.usd_month is None, "unknown, not zero"


def test_one_host_of_tpu_v3_is_another_machine_under_another_name_than_many() -> None:
    one, many = tpu_slice("tpu-v3", "2x2"), tpu_slice("tpu-v3", "4x8")
    assert (one.machine.name, one.hosts, gke_name(one.machine)) == ("ct3-hightpu-4t", 1, "tpu-v3-device")
    assert (many.machine.name, many.hosts, gke_name(many.machine)) == ("ct3p-hightpu-4t", 8, "tpu-v3-slice")


def test_pain_05_a_pool_looks_for_capacity_in_every_zone_of_its_network_or_where_it_is_told_to() -> None:
    for cloud, region in (("aws", "us-east-1"), ("gcp", "us-central1"), ("azure", "westeurope")):
        name = {"aws": "nvidia-l4", "gcp": "nvidia-l4", "azure": "nvidia-t4"}[cloud]
        assert len(planned({"accelerator": name}, cloud=cloud, region=region).zones) == 2
    assert planned({**L4, "zones": ["us-east-1c"]}).zones == ("us-east-1c",)
