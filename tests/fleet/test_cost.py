"""Money and carbon of a pool against figures worked out here from the catalogue's files, row by row."""

from __future__ import annotations

import csv
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, Offer, machine, offer
from fleet.cost import PoolCost, pool_cost
from fleet.workspace import ROOT

DATA = ROOT / "fleet" / "catalog" / "data"
HOURS = 730
LOAD = Fraction(6, 10)
# NVIDIA's data sheets, W.
TDP = {"nvidia-l4": 72, "nvidia-t4": 70, "nvidia-a100-40gb": 400, "nvidia-h100-80gb": 700}


def line(file: str, **cells: str) -> dict[str, str]:
    with (DATA / file).open(newline="") as opened:
        (found,) = [row for row in csv.DictReader(opened) if cells.items() <= row.items()]
    return found


def known(cloud: Cloud, region: str, name: str) -> tuple[Machine, Offer]:
    row = machine(cloud, name)
    assert row is not None
    price = offer(row, region)
    assert price is not None
    return row, price


def cost(cloud: Cloud, region: str, name: str, *, purchase: str = "on-demand", nodes: int = 1) -> PoolCost:
    row, price = known(cloud, region, name)
    return pool_cost(cloud, region, row, price, purchase=purchase, nodes=nodes)


PLACES = [
    (Cloud.AWS, "us-east-1", "g6.xlarge"),
    (Cloud.AWS, "us-east-1", "p4d.24xlarge"),
    (Cloud.GCP, "us-central1", "g2-standard-24"),
    (Cloud.GCP, "europe-west4", "a3-highgpu-8g"),
    # The PUE of this region is not published.
    (Cloud.AZURE, "japaneast", "Standard_NC4as_T4_v3"),
]


@pytest.mark.parametrize(("cloud", "region", "name"), PLACES)
@pytest.mark.parametrize("nodes", [1, 3])
@pytest.mark.parametrize("spot", [False, True], ids=["on-demand", "spot"])
def test_a_month_is_nodes_times_730_hours_at_the_price_of_the_purchase(
    cloud: Cloud, region: str, name: str, nodes: int, spot: bool
) -> None:
    cells = line("prices.csv", cloud=cloud, region=region, machine=name)
    found = cost(cloud, region, name, purchase="spot" if spot else "on-demand", nodes=nodes)
    if not (hourly := cells["spot_usd_hour" if spot else "on_demand_usd_hour"]):
        assert found.usd_month is None
        return
    assert found.usd_month is not None
    assert abs(Fraction(found.usd_month) - Fraction(hourly) * nodes * HOURS) <= Fraction(1, 200), "to the cent"
    assert found.usd_month.as_tuple().exponent == -2
    assert found.price_as_of == cells["as_of"]


@pytest.mark.parametrize(("cloud", "region", "name"), PLACES)
@pytest.mark.parametrize("nodes", [1, 3])
def test_a_month_emits_every_accelerators_watts_on_that_regions_grid(cloud: Cloud, region: str, name: str, nodes: int) -> None:
    cells = line("machines.csv", cloud=cloud, machine=name)
    grid = line("carbon.csv", cloud=cloud, region=region)
    watts = TDP[cells["accelerator"]] * int(cells["accelerators"]) * nodes
    kwh = Fraction(watts * HOURS, 1000) * LOAD * Fraction(grid["pue"] or "1.2")
    found = cost(cloud, region, name, nodes=nodes).kg_month
    assert found is not None
    assert abs(Fraction(found) - kwh * Fraction(grid["gco2_per_kwh"]) / 1000) <= Fraction(1, 20)


def test_one_l4_by_hand() -> None:
    row, price = known(Cloud.AWS, "us-east-1", "g6.xlarge")
    priced = replace(price, on_demand=Decimal("0.8048"), spot=Decimal("0.4104"))
    assert pool_cost(Cloud.AWS, "us-east-1", row, priced, purchase="on-demand", nodes=2).usd_month == Decimal("1175.01")
    assert pool_cost(Cloud.AWS, "us-east-1", row, priced, purchase="spot", nodes=2).usd_month == Decimal("599.18")


def test_purchase_changes_the_money_and_not_the_carbon() -> None:
    spot, on_demand = (cost(Cloud.AWS, "us-east-1", "g6.xlarge", purchase=how) for how in ("spot", "on-demand"))
    assert spot.usd_month is not None
    assert on_demand.usd_month is not None
    assert spot.usd_month < on_demand.usd_month
    assert spot.kg_month == on_demand.kg_month


def test_no_nodes_cost_nothing_which_is_not_unknown() -> None:
    found = cost(Cloud.AWS, "us-east-1", "g6.xlarge", nodes=0)
    assert (found.usd_month, found.kg_month) == (Decimal(0), Decimal(0))


@pytest.mark.parametrize("name", ["ct5lp-hightpu-4t", "ct6e-standard-4t"])
def test_without_a_published_tdp_there_is_no_carbon_but_money(name: str) -> None:
    found = cost(Cloud.GCP, "us-central1" if name.startswith("ct5") else "us-east5", name)
    assert found.kg_month is None
    assert found.usd_month


def test_without_a_price_row_there_is_no_money_but_carbon() -> None:
    row = machine(Cloud.AWS, "g6.xlarge")
    found = pool_cost(Cloud.AWS, "us-east-1", row, None, purchase="on-demand", nodes=1)
    assert (found.usd_month, found.price_as_of) == (None, None)
    assert found.kg_month


@pytest.mark.parametrize("spot", [False, True], ids=["on-demand", "spot"])
def test_a_price_of_the_other_purchase_is_no_substitute(spot: bool) -> None:
    row, price = known(Cloud.AWS, "us-east-1", "g6.xlarge")
    gap = replace(price, spot=None) if spot else replace(price, on_demand=None)
    these, others = ("spot", "on-demand") if spot else ("on-demand", "spot")
    assert pool_cost(Cloud.AWS, "us-east-1", row, gap, purchase=these, nodes=1).usd_month is None
    assert pool_cost(Cloud.AWS, "us-east-1", row, gap, purchase=others, nodes=1).usd_month


def test_a_reservation_is_billed_as_on_demand_and_what_has_no_list_price_is_unknown() -> None:
    on_demand = cost(Cloud.AWS, "us-east-1", "p4d.24xlarge")
    assert cost(Cloud.AWS, "us-east-1", "p4d.24xlarge", purchase="reservation") == on_demand
    for purchase in ("capacity-block", "flex-start"):
        unknown = cost(Cloud.AWS, "us-east-1", "p4d.24xlarge", purchase=purchase)
        assert (unknown.usd_month, unknown.kg_month) == (None, on_demand.kg_month)


def test_an_unknown_grid_or_machine_or_a_cpu_machine_has_no_carbon() -> None:
    row, price = known(Cloud.AWS, "us-east-1", "g6.xlarge")
    assert pool_cost(Cloud.AWS, "mars-north-1", row, price, purchase="on-demand", nodes=1).kg_month is None
    assert pool_cost(Cloud.AWS, "us-east-1", None, None, purchase="on-demand", nodes=1) == PoolCost(None, None, None)
    assert cost(Cloud.AWS, "us-east-1", "m7i.xlarge").kg_month is None
