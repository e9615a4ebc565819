"""What stacks cost and emit, against sums worked out by hand from the price list; and what a difference of sums is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.catalog.clouds import PUBLIC, SYSTEM_MACHINE, regions
from fleet.catalog.machines import machine, offer
from fleet.catalog.services import service_prices
from fleet.report.estimate import estimate
from fleet.report.model import Band, Estimate, difference
from fleet.spec import StackSpec

HOURS = 730


def cluster(**changed: Any) -> dict[str, Any]:
    return {"cloud": "aws", "region": "us-east-1", "network": {"nat": "none"}, **changed}


def made(environment: str = "dev", **changed: Any) -> Estimate:
    spec = {"owner": "ml", "environment": environment, "clusters": {"main": cluster(**changed)}}
    return estimate("s", StackSpec.model_validate(spec))


def pool(**changed: Any) -> dict[str, Any]:
    return {"p": {"accelerator": "nvidia-l4", **changed}}


def usd(found: Estimate, kind: str) -> tuple[str, ...]:
    (line,) = [line for line in found.lines if line.kind == kind]
    return tuple("-" if value is None else f"{value:.2f}" for value in (line.usd.floor, line.usd.expected, line.usd.ceiling))


# USD an hour in fleet/catalog/data/prices.csv: us-east-1 g6.xlarge 0.8048, spot 0.4104; p5.48xlarge 55.04; 730 h a month.
# A pool, and by hand: nodes x price x 730.
POOLS: list[tuple[dict[str, Any], dict[str, Any], tuple[str, str, str]]] = [
    (pool(nodes={"min": 0, "max": 3}), {}, ("0.00", "0.00", "1762.51")),
    (pool(nodes={"min": 1, "max": 3}), {}, ("587.50", "587.50", "1762.51")),
    (pool(nodes={"min": 2, "max": 3}), {}, ("1175.01", "1175.01", "1762.51")),
    (pool(nodes={"min": 0, "max": 3, "start": 2}), {}, ("0.00", "1175.01", "1762.51")),
    (pool(nodes={"min": 0, "max": 3}, purchase="spot"), {}, ("0.00", "0.00", "898.78")),
    (pool(nodes={"min": 1, "max": 3}, purchase="spot"), {}, ("299.59", "299.59", "898.78")),
    # Bought as spot, at its worst on-demand.
    (pool(nodes={"min": 1, "max": 2}, purchase="spot", fallback="on-demand"), {}, ("299.59", "299.59", "1175.01")),
    # At the most one on-demand and one spot.
    (
        pool(nodes={"min": 1, "max": 2}, capacity=[{"purchase": "spot"}, {"purchase": "on-demand", "nodes": 1}]),
        {},
        ("299.59", "299.59", "887.10"),
    ),
    # Three replicas of a GPU each fill three nodes of one.
    (pool(nodes={"min": 0, "max": 5}), {"replicas": {"min": 3, "max": 3}}, ("0.00", "1762.51", "2937.52")),
    # Sharing four ways, they fill one.
    (
        pool(nodes={"min": 0, "max": 5}, sharing={"time_slices": 4}),
        {"replicas": {"min": 3, "max": 3}},
        ("0.00", "587.50", "2937.52"),
    ),
    # What is reserved is paid as on-demand.
    (
        pool(nodes={"min": 1, "max": 2}, capacity=[{"purchase": "reservation", "reservation": "cr-0123456789abcdef0"}]),
        {},
        ("587.50", "587.50", "1175.01"),
    ),
]


@pytest.mark.parametrize(("pools", "model", "wanted"), POOLS)
def test_a_pool_costs_what_one_works_out_by_hand(
    pools: dict[str, Any], model: dict[str, Any], wanted: tuple[str, str, str]
) -> None:
    models = {"m": {"pool": "p", **model}} if model else {}
    assert usd(made(pools=pools, models=models), "pool") == wanted


def test_a_block_has_no_price_and_so_no_ceiling() -> None:
    rungs = [{"purchase": "spot"}, {"purchase": "flex-start"}]
    gcp = {"cloud": "gcp", "region": "us-central1", "network": {"nat": "none"}}
    spec = {"owner": "ml", "environment": "dev", "clusters": {"main": {**gcp, "pools": pool(capacity=rungs)}}}
    found = estimate("s", StackSpec.model_validate(spec))
    (line,) = [line for line in found.lines if line.kind == "pool"]
    assert line.usd.floor == 0
    assert line.usd.ceiling is None
    assert any("flex-start" in why for why in line.unknown)
    assert (found.priced, len(found.lines)) == (4, 5)


@pytest.mark.parametrize(
    ("where", "kind", "environment", "wanted"),
    [
        ({}, "control-plane", "dev", "73.00"),
        ({"cloud": "gcp", "region": "us-west1"}, "control-plane", "dev", "73.00"),
        ({"cloud": "azure", "region": "westeurope"}, "control-plane", "dev", "0.00"),
        ({"cloud": "azure", "region": "westeurope"}, "control-plane", "prod", "73.00"),
        ({"network": {"nat": "single"}}, "nat", "dev", "32.85"),
        ({"network": {"nat": "per-zone", "zones": 3}}, "nat", "dev", "98.55"),
        ({"cloud": "azure", "region": "westeurope", "network": {"nat": "per-zone"}}, "nat", "dev", "65.70"),
    ],
)
def test_a_clouds_services_cost_what_their_pages_say(where: dict[str, Any], kind: str, environment: str, wanted: str) -> None:
    assert usd(made(environment, **where), kind) == (wanted, wanted, wanted)


def test_cloud_nat_asks_by_the_nodes_and_no_more_than_for_32() -> None:
    network = {"cloud": "gcp", "region": "us-central1", "network": {"nat": "single"}}
    found = made(**network, pools=pool(nodes={"min": 3, "max": 40}), system_pool={"nodes": {"min": 1, "max": 1}})
    # 4 x 0.0014 x 730, and 0.044 x 730 for 41 nodes.
    assert usd(found, "nat") == ("4.09", "4.09", "32.12")


def test_a_nat_gateway_where_its_price_is_not_known_counts_in_no_sum() -> None:
    found = made(region="ap-northeast-1", network={"nat": "single"})
    (line,) = [line for line in found.lines if line.kind == "nat"]
    assert line.usd == Band(None, None, None)
    assert line.unknown == ("no price of NAT in ap-northeast-1",)
    assert found.priced == len(found.lines) - 1
    assert found.usd.floor == sum(line.usd.floor or Decimal(0) for line in found.lines)


def test_carbon_is_watts_by_load_by_the_buildings_and_the_grid() -> None:
    (line,) = [line for line in made(pools=pool(nodes={"min": 1, "max": 2})).lines if line.kind == "pool"]
    # 72 W x 0.6 x 730 h x PUE 1.14 x 323.05 g/kWh.
    assert line.kg == Band(Decimal("11.6"), Decimal("11.6"), Decimal("23.2"))


def test_hosts_cost_what_their_owner_says_and_else_nobody_knows() -> None:
    def hosts(**more: Any) -> Estimate:
        about = {"names": ["a", "b"], "vcpus": 16, "memory_gib": 64, **more}
        site = {"cloud": "existing", "region": "DE", "kubeconfig": "k", "pools": pool(hosts=about)}
        spec = {"owner": "ml", "environment": "dev", "secrets": ["k"], "clusters": {"main": site}}
        return estimate("s", StackSpec.model_validate(spec))

    assert usd(hosts(usd_hour=1.5), "pool") == ("2190.00", "2190.00", "2190.00")
    assert [line.kind for line in hosts().lines] == ["pool"]
    assert hosts().lines[0].usd == Band(None, None, None)
    assert hosts().lines[0].unknown == ("no price: set hosts.usd_hour",)


def test_every_price_of_a_service_has_a_source_and_a_date() -> None:
    rows = service_prices()
    assert rows
    assert all(row.source and row.as_of[:2] == "20" for row in rows)
    assert len({(row.cloud, row.region, row.service) for row in rows}) == len(rows)


@pytest.mark.parametrize("cloud", PUBLIC)
def test_the_system_machine_of_every_region_is_known(cloud: Any) -> None:
    row = machine(cloud, SYSTEM_MACHINE[cloud])
    assert row is not None
    assert row.accelerator is None
    assert any(offer(row, region) for region in regions(cloud))


POOL = st.fixed_dictionaries(
    {
        "accelerator": st.sampled_from(["nvidia-l4", "nvidia-a10g", "inferentia2", "nvidia-h100-80gb"]),
        "nodes": st.integers(0, 4).flatmap(
            lambda least: st.fixed_dictionaries({"min": st.just(least), "max": st.integers(max(1, least), 9)})
        ),
        "purchase": st.sampled_from(["spot", "on-demand"]),
    }
)
STACK = st.builds(
    lambda pools, nat: made(pools=pools, network={"nat": nat}),
    st.dictionaries(st.sampled_from("abcd"), POOL, max_size=4),
    st.sampled_from(["none", "single", "per-zone"]),
)


@settings(max_examples=60, deadline=None)
@given(STACK, STACK, STACK)
def test_two_changes_one_after_the_other_are_the_change_from_the_first_to_the_last(
    before: Estimate, after: Estimate, later: Estimate
) -> None:
    for figure in ("usd", "kg"):
        a, b, c = (getattr(side, figure) for side in (before, after, later))
        first, second, both = difference(b, a), difference(c, b), difference(c, a)
        for case in ("floor", "expected", "ceiling"):
            assert getattr(first, case) + getattr(second, case) == getattr(both, case)


@settings(max_examples=60, deadline=None)
@given(STACK)
def test_no_floor_is_above_what_is_expected_nor_that_above_the_ceiling(found: Estimate) -> None:
    for line in found.lines:
        for band in (line.usd, *([line.kg] if line.kg else [])):
            values = [value for value in (band.floor, band.expected, band.ceiling) if value is not None]
            assert values == sorted(values), line
