"""docs/accelerators.md says what the catalogue says; what it says no pool can have, no stack file may ask for."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from fleet.catalog import matrix
from fleet.catalog.accelerators import ACCELERATORS, Precision
from fleet.catalog.clouds import PUBLIC, Cloud, regions
from fleet.catalog.machines import Machine, machines, offers, regions_with
from fleet.load import StackErrors, load_stack
from tests.accelerator_pools import ON_OFFER, pool_of

CARRIERS = [m for m in machines() if m.accelerator]
NOWHERE = [name for name, row in ACCELERATORS.items() if row.instead]
STACK = """owner: ml-platform
environment: dev
clusters:
  main:
    cloud: {cloud}
    region: {region}
    api:
      allowed_cidrs: [203.0.113.0/24]
    pools:
      gpu:
        accelerator: {accelerator}
"""
PAGE = matrix.text()


def section(cloud: Cloud) -> str:
    title = {Cloud.AWS: "EKS", Cloud.GCP: "GKE", Cloud.AZURE: "AKS"}[cloud]
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def named(row: Machine) -> str:
    return f"{row.cloud}-{row.name}-{row.accelerator.name if row.accelerator else ''}"


def test_the_page_is_fresh(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert matrix.main(["--check"]) == 0, "run `make docs`"
    monkeypatch.setattr(matrix, "PAGE", tmp_path / "accelerators.md")
    assert matrix.main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err
    assert matrix.main([]) == 0
    assert matrix.main(["--check"]) == 0


@pytest.mark.parametrize("row", CARRIERS, ids=named)
def test_every_machine_has_a_line_with_its_prices_or_that_there_are_none(row: Machine) -> None:
    assert row.accelerator is not None
    start = f"| {row.accelerator.name} | {row.name} | {row.accelerators} | {row.vcpus} | {row.memory_gib:,} GiB |"
    (line,) = [line for line in section(row.cloud).splitlines() if line.startswith(start)]
    regions_, on_demand, spot, dates = (cell.strip() for cell in line.split("|")[6:10])
    if row.accelerator.withdrawn:
        assert regions_ == "withdrawn"
        return
    prices = [o for o in offers() if o.machine == row]
    assert regions_ == (str(len(regions_with(row))) if prices else "none known")
    for cell, how, of in ((on_demand, "on-demand", [o.on_demand for o in prices]), (spot, "spot", [o.spot for o in prices])):
        known = [price for price in of if price is not None]
        if how not in row.purchases:
            assert cell == (
                "capacity-block alone" if (row.purchases, how) == (("capacity-block",), "on-demand") else "not sold"
            )
        elif known:
            assert cell.startswith(f"{min(known):,.2f}")
            assert cell.endswith(f"{max(known):,.2f}")
        else:
            assert cell == "not priced"
    assert (dates == "-") == (not prices), "a price without its date"


@pytest.mark.parametrize("row", ON_OFFER, ids=named)
def test_every_region_quota_label_and_taint_of_a_machine_is_on_the_page(row: Machine) -> None:
    assert row.accelerator is not None
    there, page = regions_with(row), section(row.cloud)
    cells = ["yes" if region in there else "" for region in regions(row.cloud)]
    assert f"| {row.name} ({row.accelerator.name}) | {' | '.join(cells)} |" in page
    assert f"`{row.quota}` | `{row.spot_quota}`" in page or not row.quota
    for spot in (False, True):
        pool = pool_of(row, name=matrix.OWN, spot=spot)
        for by, labels, taints in (
            ("us", pool.node_labels, pool.node_taints),
            ("the cloud", pool.cloud_labels, pool.cloud_taints),
        ):
            for key, value in labels.items():
                assert any(f"| label | `{key}={said}` | {by} |" in page for said in (value, matrix.OWN)), key
            for taint in taints:
                assert f"| taint | `{taint.key}={taint.value}:{taint.effect}` | {by} |" in page


def test_a_spot_taint_is_said_of_spot_nodes_and_a_familys_of_its_own() -> None:
    assert "| taint | `accelfleet.io/spot=true:NoSchedule` | us | all spot |" in section(Cloud.AWS)
    assert "| taint | `aws.amazon.com/neuron=present:NoSchedule` | us | all neuron |" in section(Cloud.AWS)
    assert "| taint | `google.com/tpu=present:NoSchedule` | the cloud | all tpu |" in section(Cloud.GCP)
    assert "| label | `kubernetes.io/os=linux` | the cloud | all |" in section(Cloud.AZURE)


def test_every_accelerator_has_a_line_and_those_nowhere_a_reason() -> None:
    for row in ACCELERATORS.values():
        assert f"| {row.name} | {row.family} | {row.memory_gib} GiB |" in PAGE
        reason = row.instead or (row.withdrawn and f"withdrawn: {row.withdrawn}")
        assert not reason or f"| {row.name} | {reason} |" in PAGE.partition("## What no pool can have")[2]


def test_what_is_nowhere_has_no_machine_and_what_has_one_is_somewhere() -> None:
    carried = {m.accelerator.name for m in CARRIERS if m.accelerator}
    assert set(NOWHERE) == ACCELERATORS.keys() - carried


@pytest.mark.parametrize("name", ACCELERATORS)
def test_precisions_are_known_names_widest_first_and_none_twice(name: str) -> None:
    known = get_args(Precision)
    precisions = ACCELERATORS[name].precisions
    assert precisions
    assert list(precisions) == [precision for precision in known if precision in precisions]


@pytest.mark.parametrize("cloud", PUBLIC)
@pytest.mark.parametrize("name", NOWHERE)
def test_asking_for_one_that_is_nowhere_is_one_error_that_says_what_instead(name: str, cloud: Cloud, tmp_path: Path) -> None:
    file = tmp_path / "nowhere-dev.yaml"
    file.write_text(STACK.format(cloud=cloud, region=regions(cloud)[0], accelerator=name))
    with pytest.raises(StackErrors) as raised:
        load_stack(file)
    (error,) = raised.value.errors
    assert error.path == "clusters.main.pools.gpu.accelerator"
    assert str(ACCELERATORS[name].instead) in f"{error.message} {error.remedy}"


def test_a_price_says_when_it_was_read_and_what_is_undated_says_so() -> None:
    months = matrix._dates
    assert months({"2026-08-03"}) == "2026-08"
    assert months({"2026-07-20", ">=2025-11, commit date not stored"}) == "2025-11 to 2026-07"
    assert months({"2026-08-03 / T4 n.d."}) == "2026-08, partly undated"
    assert months({"n.d."}) == "undated"
    assert months(set()) == "-"
