"""The catalogue's files hold together: keys, references, sources, dates and numbers; one bad cell fails by its row."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from fleet.catalog.accelerators import ACCELERATORS, Family
from fleet.catalog.clouds import PUBLIC, Cloud, regions, zones
from fleet.catalog.machines import PURCHASES, Machine, machine, machines, machines_with, offer, offers, regions_with
from fleet.catalog.tpu import TOPOLOGIES, tpu_slice
from fleet.cost import pool_cost
from fleet.plan import choose_machine
from fleet.spec import ClusterSpec, PoolSpec
from fleet.workspace import ROOT
from tests.accelerator_pools import pool_of

DATA = ROOT / "fleet" / "catalog" / "data"
Row = dict[str, str]


def rows(path: Path) -> list[Row]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


FILES = {path.name: rows(path) for path in sorted(DATA.glob("*.csv"))}
MACHINES, PRICES, CARBON, MIG = (FILES[f"{name}.csv"] for name in ("machines", "prices", "carbon", "mig"))
KEYS: dict[str, tuple[str, ...]] = {
    "machines.csv": ("cloud", "machine", "accelerator"),
    "prices.csv": ("cloud", "region", "machine", "accelerator"),
    "carbon.csv": ("cloud", "region"),
    "mig.csv": ("accelerator", "profile"),
    "fabric.csv": ("cloud", "machine"),
    "numa.csv": ("cloud", "machine"),
    "services.csv": ("cloud", "region", "service"),
    "usage_prices.csv": ("cloud", "region", "section", "measure"),
    "managed_prices.csv": ("cloud", "region", "section", "machine"),
    "places.csv": ("cloud", "region"),
    "service_quotas.csv": ("cloud", "section", "of"),
    "digests.csv": ("image",),
    "plain_prices.csv": ("cloud", "region", "machine"),
    "storage.csv": ("cloud", "region", "kind", "gib"),
    "drivers.csv": ("cloud", "family", "accelerator", "kubernetes"),
    "kubernetes.csv": ("cloud", "minor"),
    "models.csv": ("model",),
    "tpu_vms.csv": ("type", "zone"),
    "compatibility.csv": ("part", "version", "cloud", "relation", "other"),
}


# Machines that regions are known to have, and whose price no list read has.
UNPRICED = {
    ("gcp", "a3-megagpu-8g", "nvidia-h100-80gb"),
    ("gcp", "a3-ultragpu-8g", "nvidia-h200-141gb"),
    ("gcp", "a4-highgpu-8g", "nvidia-b200"),
}


def key(row: Row, columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(row[column] for column in columns)


def price(row: Row, column: str) -> Decimal | None:
    return Decimal(row[column]) if row[column] else None


@pytest.mark.parametrize("name", FILES)
def test_no_row_is_there_twice_and_none_has_a_cell_too_many_or_few(name: str) -> None:
    counted = Counter(key(row, KEYS[name]) for row in FILES[name])
    assert [k for k, n in counted.items() if n > 1] == []
    assert [row for row in FILES[name] if None in row or None in row.values()] == []
    assert [row for row in FILES[name] for cell in row.values() if cell != cell.strip()] == []


@pytest.mark.parametrize("name", [name for name in FILES if name != "machines.csv"])
def test_every_row_says_where_it_was_read_and_when(name: str) -> None:
    assert [row for row in FILES[name] if not row["source"]] == []
    undated = [row for row in FILES[name] if not re.search(r"\b20\d\d\b", row["as_of"])]
    # SkyPilot's TPU list bears no date.
    assert {(row["as_of"], ACCELERATORS[row["accelerator"]].family) for row in undated} <= {("n.d.", Family.TPU)}


def test_what_machines_csv_has_is_priced_by_prices_csv_alone() -> None:
    twice = {key(row, ("cloud", "machine")) for row in FILES["plain_prices.csv"]} & {
        (m["cloud"], m["machine"]) for m in MACHINES
    }
    assert twice == set()
    assert all(Decimal(row["on_demand_usd_hour"]) > 0 for row in FILES["plain_prices.csv"])
    assert {row["region"] for row in FILES["plain_prices.csv"] if row["cloud"] == "aws"} <= set(regions(Cloud.AWS))


def test_every_reference_leads_somewhere() -> None:
    known = {row["accelerator"] for row in MACHINES if row["accelerator"]}
    assert known <= ACCELERATORS.keys()
    assert {row["accelerator"] for row in MIG} <= known
    counts = {key(row, KEYS["machines.csv"]): row["accelerators"] for row in MACHINES}
    wrong = [row for row in PRICES if counts.get(key(row, KEYS["machines.csv"])) != row["accelerators"]]
    assert wrong == [], "no such machine, or with another number of accelerators"


@pytest.mark.parametrize("accelerator", ACCELERATORS)
def test_some_machine_carries_every_accelerator(accelerator: str) -> None:
    row = ACCELERATORS[accelerator]
    assert row.name == accelerator
    assert row.memory_gib > 0
    assert row.tdp_w is None or row.tdp_w > 0
    assert any(machines_with(cloud, accelerator) for cloud in PUBLIC) == (row.instead is None)
    on_gke = machines_with(Cloud.GCP, accelerator)
    assert not on_gke or row.gke_name, "GKE labels its nodes with a name of its own"


def test_every_fabric_is_of_a_machine_and_in_zones_of_its_regions() -> None:
    known = {(str(m.cloud), m.name): m for m in machines()}
    for row in FILES["fabric.csv"]:
        found = known.get((row["cloud"], row["machine"]))
        assert (
            found is None or found.cloud is Cloud.AWS or int(row["interfaces"]) in (found.accelerators, found.accelerators / 2)
        )
        assert found is not None or row["cloud"] == "aws", row
        there = {zone for region in regions_with(found) for zone in zones(Cloud.GCP, region)} if row["zones"] else set()
        assert set(row["zones"].split()) <= there, row


def test_numbers_are_such_as_a_machine_can_have() -> None:
    for row in MACHINES:
        assert int(row["vcpus"]) > 0
        assert int(row["memory_gib"]) > 0
        assert (int(row["accelerators"]) > 0) == bool(row["accelerator"]), row
    assert all(int(row["instances"]) > 0 for row in MIG)
    for row in CARBON:
        assert 0 < Decimal(row["gco2_per_kwh"]) < 1500, row
        assert not row["pue"] or 1 <= Decimal(row["pue"]) < 2, row


def test_prices_are_such_as_a_cloud_can_ask() -> None:
    sold_otherwise = {key(row, KEYS["machines.csv"]) for row in MACHINES if row["sold_only"] not in ("", *PURCHASES)}
    sold_otherwise |= UNPRICED
    for row in PRICES:
        on_demand, spot = price(row, "on_demand_usd_hour"), price(row, "spot_usd_hour")
        unlisted = on_demand is None and spot is None
        assert unlisted == (key(row, KEYS["machines.csv"]) in sold_otherwise), f"a price that no list can have, or none: {row}"
        assert all(p is None or 0 < p < 1000 for p in (on_demand, spot)), row


def test_spot_is_cheaper_than_on_demand_but_not_by_more_than_nine_tenths() -> None:
    """Equal to on-demand, or far below what any cloud has ever given away, it was read from the wrong cell."""
    both = [(price(row, "spot_usd_hour"), price(row, "on_demand_usd_hour"), row) for row in PRICES]
    odd = [row for spot, full, row in both if spot and full and not full / 10 <= spot < full]
    assert odd == []


def test_the_files_and_the_regions_name_the_same_places() -> None:
    places = {(str(cloud), region) for cloud in PUBLIC for region in regions(cloud)}
    assert {(row["cloud"], row["region"]) for row in PRICES} == places
    assert {(row["cloud"], row["region"]) for row in CARBON} == places
    for cloud in PUBLIC:
        for region in regions(cloud):
            assert len(set(zones(cloud, region))) == len(zones(cloud, region)) > 0


def test_what_is_read_is_what_is_written() -> None:
    assert len(machines()) == len(MACHINES)
    assert len(offers()) == len(PRICES)
    first = PRICES[0]
    row = machine(Cloud(first["cloud"]), first["machine"])
    assert row is not None
    found = offer(row, first["region"])
    assert found is not None
    assert found.on_demand == Decimal(first["on_demand_usd_hour"])
    assert first["region"] in regions_with(row)
    gap = next(row for row in PRICES if not row["spot_usd_hour"])
    same = [o for o in offers() if (o.region, o.machine.name) == (gap["region"], gap["machine"])]
    assert [o.spot for o in same] == [None]


@pytest.mark.parametrize("accelerator", ACCELERATORS)
@pytest.mark.parametrize("cloud", PUBLIC)
def test_a_clouds_machines_stand_smallest_first(cloud: Cloud, accelerator: str) -> None:
    sizes = [(m.accelerators, m.vcpus) for m in machines_with(cloud, accelerator)]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(("accelerator", "shape"), [(a, t) for a, shapes in TOPOLOGIES.items() for t in shapes])
def test_every_tpu_shape_is_made_of_whole_machines(accelerator: str, shape: str) -> None:
    made = tpu_slice(accelerator, shape)
    sides = [int(side) for side in shape.split("x")]
    chips = sides[0] * sides[1] * (sides[2] if len(sides) > 2 else 1)
    assert made.chips == chips == made.hosts * made.machine.accelerators
    assert made.machine.accelerator == ACCELERATORS[accelerator]
    assert made.multi_host == (made.hosts > 1)


@pytest.mark.parametrize("row", machines(), ids=lambda m: f"{m.cloud}-{m.name}-{m.accelerator.name if m.accelerator else ''}")
def test_every_machines_numbers_say_where_and_when_they_were_read(row: Machine) -> None:
    assert row.source and row.as_of.startswith("20")


def test_a_part_of_a_gpu_is_had_by_its_machines_name_alone() -> None:
    parts = {m.name: m.part for m in machines() if m.part != 1}
    assert parts == {
        "Standard_NV6ads_A10_v5": Fraction(1, 6),
        "Standard_NV12ads_A10_v5": Fraction(1, 3),
        "Standard_NV18ads_A10_v5": Fraction(1, 2),
    }
    cluster = ClusterSpec.model_validate({"cloud": "azure", "region": "eastus"})
    assert choose_machine(PoolSpec(accelerator="nvidia-a10"), cluster).name == "Standard_NV36ads_A10_v5"
    named = PoolSpec(accelerator="nvidia-a10", machine="Standard_NV6ads_A10_v5")
    assert choose_machine(named, cluster).part == Fraction(1, 6)


def test_a_part_of_a_gpu_is_asked_for_as_one_and_draws_its_part_of_the_power() -> None:
    whole, part = (machine(Cloud.AZURE, name) for name in ("Standard_NV36ads_A10_v5", "Standard_NV6ads_A10_v5"))
    assert whole is not None and part is not None
    assert pool_of(part).placement(1).count == pool_of(part).per_node == 1
    assert (whole.device_gib, part.device_gib) == (24, 4)
    claimed = pool_of(part, dra=True).placement(1).claim
    assert claimed is not None and "quantity('3Gi')" in claimed.selectors[0]
    (of_whole, of_part) = (
        pool_cost(Cloud.AZURE, "eastus", row, offer(row, "eastus"), purchase="on-demand", nodes=6) for row in (whole, part)
    )
    assert of_part.usd_month == Decimal("0.454") * 6 * 730
    assert of_whole.kg_month is not None and of_part.kg_month is not None
    assert abs(of_whole.kg_month - of_part.kg_month * 6) < 1
