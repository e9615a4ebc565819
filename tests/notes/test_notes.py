"""The notes' figures are the catalogue's, worked again here by hand, and their recipes name what the platform makes."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

from fleet import contract
from fleet.catalog.accelerators import ACCELERATORS
from fleet.catalog.clouds import PUBLIC, Cloud
from fleet.catalog.machines import machine, offer, offers
from fleet.load import load_stack
from fleet.spec import ModelSpec, Purchase, StackSpec
from fleet.workspace import ROOT, STACKS
from infra.kubernetes import namespaces
from notes import __main__ as build
from notes.figures import FIGURES

NOTES = sorted((ROOT / "notes").glob("*.md"))
TABLES = {name: make() for name, make in FIGURES.items()}
MADE_HERE = {"profiling"}  # the recipe's own first lines make it


def cells(name: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in TABLES[name].splitlines()[2:]]


def row(name: str, first: str) -> list[str]:
    return next(row for row in cells(name) if row[0] == first)


def price(name: str) -> Decimal:
    found = machine(Cloud.AWS, name)
    listed = offer(found, "us-east-1") if found else None
    assert listed is not None
    assert listed.on_demand is not None
    return listed.on_demand


def test_every_figure_is_what_its_table_says(capsys: pytest.CaptureFixture[str]) -> None:
    assert build.main(["--check"]) == 0, capsys.readouterr().err


def test_every_table_is_in_a_note_and_a_changed_figure_is_noticed() -> None:
    text = "".join(note.read_text() for note in NOTES)
    assert set(re.findall(r"<!-- figures: (\S+) -->", text)) == set(FIGURES)
    pricing = (ROOT / "notes" / "pricing.md").read_text()
    assert build.filled(pricing.replace("587.50", "587.51")) == pricing


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ("<!-- figures: nobodys -->\n<!-- end -->", "nobody makes the figures 'nobodys'"),
        ("<!-- figures: spot -->\n", "not closed"),
        ("<!-- figures:spot -->\n<!-- end -->", "not closed"),
        ("<!-- end -->", "not closed"),
    ],
)
def test_a_mark_that_would_stay_empty_in_silence_is_an_error(note: str, said: str) -> None:
    with pytest.raises(LookupError, match=said):
        build.filled(note)


def test_the_worked_prices_are_the_catalogues() -> None:
    always = row("month", "On-demand, always up")
    assert Decimal(always[3].replace(",", "")) == (price("g6.xlarge") * 730).quantize(Decimal("0.01"))
    committed = (price("p4d.24xlarge") * 3 * 730 * Decimal("0.7")).quantize(Decimal("0.01"))
    two, three, five = (
        [Decimal(cell.replace(",", "")) for cell in row("commitment", running)[1:]] for running in ("2", "3", "5")
    )
    assert two[1] == three[1] == five[1] == committed
    assert abs(two[2] - committed / 3) < Decimal("0.01")
    assert two[4] < 0 < three[4] == five[4], "a commitment for three costs more where two run"
    assert abs(three[0] * Decimal("0.3") - three[4]) < 1
    assert five[3] == committed + five[0] - three[0]


def test_every_accelerator_has_a_line_and_its_price_is_the_lowest() -> None:
    lines = {line[0]: line for line in cells("hardware")}
    assert set(lines) == set(ACCELERATORS) == {line[0] for line in cells("precisions")}
    for name, one in ACCELERATORS.items():
        listed = [
            o.on_demand / o.machine.accelerators
            for o in offers()
            if o.machine.accelerator is one and o.machine.part == 1 and o.on_demand and not one.withdrawn
        ]
        said = lines[name][4]
        assert said == (f"{min(listed):,.2f}" if listed else "-" if one.instead or one.withdrawn else "not known"), name


def test_spot_is_compared_within_one_row_of_the_price_list() -> None:
    for accelerator, cloud, where, on_demand, spot, less, _ in cells("spot"):
        region, name = where.split(", ")
        found = machine(Cloud(cloud.lower()), name, accelerator)
        listed = offer(found, region) if found else None
        assert found is not None
        assert listed is not None
        assert listed.spot is not None
        assert listed.on_demand is not None
        assert f"{listed.spot / found.accelerators:,.2f}" == spot
        assert f"{listed.on_demand / found.accelerators:,.2f}" == on_demand
        assert less == f"{100 - 100 * listed.spot / listed.on_demand:.0f} %"


def test_a_surge_is_priced_by_what_it_asks_for() -> None:
    assert row("rollouts", "rolling, max-unavailable 1")[1:4] == ["0", "3 of 4", "0.00"]
    assert row("rollouts", "blue/green")[1:4] == ["32", "4 of 4", f"{price('p4d.24xlarge') * 4:,.2f}"]


def test_every_word_that_buys_is_explained() -> None:
    assert [line[0] for line in cells("purchases")] == [f"`{way}`" for way in Purchase]


def _code(note: str) -> str:
    return "\n".join(re.findall(r"```sh\n(.*?)```", (ROOT / "notes" / note).read_text(), re.DOTALL))


def test_recipes_name_what_the_platform_makes() -> None:
    code = _code("profiling.md")
    stacks = [load_stack(STACKS / f"{cloud}-dev.yaml") for cloud in PUBLIC]
    assert set(re.findall(r"-n (\S+)", code)) <= {namespaces.MODELS, *MADE_HERE}
    assert set(re.findall(r"namespace (\S+)", code)) <= MADE_HERE
    assert set(re.findall(r"deploy/(\S+)", code)) <= {name for spec in stacks for name in _models(spec)}
    assert set(re.findall(r"accelfleet\.io/[a-z-]+", code)) <= {contract.POOL_LABEL, contract.PURCHASE_LABEL}
    pools = {name for spec in stacks for cluster in spec.clusters.values() for name in cluster.pools}
    assert set(re.findall(r"accelfleet\.io/pool(?:=|\": \")([a-z0-9-]+)", code)) <= pools
    for resource in re.findall(r'"limits": \{"(\S+?)"', code):
        assert resource in {one.family.resource for one in ACCELERATORS.values()}


def _models(spec: StackSpec) -> dict[str, ModelSpec]:
    return {name: model for cluster in spec.clusters.values() for name, model in cluster.models.items()}


def test_the_recipes_are_of_these_programs() -> None:
    code = _code("profiling.md")
    for program in (
        "nvidia-smi dmon",
        "nvidia-smi topo -m",
        "nsys profile --trace=cuda",
        "nsys stats",
        "ncu --set basic",
        "dcgmi dmon",
        "neuron-top",
        "tpu-info",
        "hl-smi",
    ):
        assert program in code, program


def test_fleets_commands_in_the_notes_are_there() -> None:
    from typer.main import get_command

    from fleet.cli import app

    known = get_command(app)
    for note in NOTES:
        for line in re.findall(r"`fleet ([a-z]+)|^fleet ([a-z]+)", note.read_text(), re.MULTILINE):
            assert "".join(line) in known.commands, f"{note.name}: fleet {''.join(line)}"  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", [*NOTES, ROOT / "docs" / "coverage.md"], ids=lambda page: str(page.relative_to(ROOT)))
def test_no_link_leads_nowhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target
