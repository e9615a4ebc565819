"""`fleet place`: plans against brute force, limits, ranks, what is refused, and pools written into a stack file."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result as Ended
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import fleet.place.cli
from fleet.catalog.clouds import PUBLIC, Cloud, regions
from fleet.catalog.machines import machine, offer
from fleet.catalog.places import locations
from fleet.cli import app
from fleet.load import load_stack
from fleet.place import near
from fleet.place.candidates import Candidate, Want, Where, candidates, named
from fleet.place.choose import Aims, Plan, plans
from fleet.place.front import front
from fleet.workspace import STACKS


def run(*words: str) -> Ended:
    return CliRunner().invoke(app, ["place", *words], env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})


def plain(text: str) -> str:
    return re.sub(r"[\s│]+", " ", text)


def made(want: str, usd: int, kg: int | None, place: str = "a", ms: int | None = None) -> Candidate:
    return Candidate(
        want=want,
        cloud="aws",
        region=place,
        machine="m",
        accelerator="nvidia-l4",
        nodes=1,
        accelerators=1,
        topology=None,
        purchase="on-demand",
        usd_hour=Decimal(usd),
        kg_hour=None if kg is None else Decimal(kg),
        ms=None if ms is None else Decimal(ms),
        gco2_kwh=None,
        quota="",
        source="",
        as_of="",
    )


MS = st.integers(0, 9)
SOME = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.sampled_from("ab"), MS), min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(SOME, min_size=2, max_size=3),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 40)),
    st.one_of(st.none(), st.integers(0, 40)),
    st.integers(0, 3000),
    st.booleans(),
)
def test_the_best_plan_is_what_trying_all_combinations_finds(
    pools: list[list[tuple[int, int, str, int]]],
    together: bool,
    max_usd: int | None,
    max_kg: int | None,
    tonne: int,
    by_latency: bool,
) -> None:
    found = {str(i): [made(str(i), *one) for one in some] for i, some in enumerate(pools)}
    limits = [None if limit is None else Decimal(limit) for limit in (max_usd, max_kg)]
    aims = Aims(1, limits[0], limits[1], Decimal(tonne), together, by_latency)
    everything = [Plan(parts) for parts in itertools.product(*found.values())]
    if together:
        everything = [plan for plan in everything if len({part.place for part in plan.parts}) == 1]
    kept = [plan for plan in everything if plan.keeps(aims)]
    chosen = plans(list(found), found, aims)
    assert bool(chosen) == bool(kept)
    if kept:
        assert chosen[0].rank(aims) == min(plan.rank(aims) for plan in kept)
        figures = {found for plan in kept if (found := plan.figures(aims))}
        assert {plan.figures(aims) for plan in chosen if plan.front} == figures - beaten(figures)


def beaten(points: Iterable[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    """By trying all pairs."""
    return {p for p in points for q in points if q != p and all(a <= b for a, b in zip(q, p, strict=True))}


# Few values, so that many are equal; and many, so that the front is long.
AXIS = st.one_of(st.integers(0, 5), st.integers(0, 1000))


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.lists(st.tuples(AXIS, AXIS), max_size=40), st.lists(st.tuples(AXIS, AXIS, AXIS), max_size=40)))
def test_a_front_keeps_what_nothing_beats_and_no_more(points: list[tuple[int, ...]]) -> None:
    kept = front(points, lambda p: tuple(map(Decimal, p)))  # type: ignore[arg-type, return-value]
    assert set(kept) == set(points) - beaten(points)
    assert len(kept) == len(set(kept))


def test_a_candidate_costs_nodes_times_price_and_emits_by_its_grid() -> None:
    (found,) = [
        one
        for one in candidates(Want("a", ("nvidia-l4",), 10), Where(("aws",), ("us-east-1",))).candidates
        if one.machine == "g6.12xlarge"
    ]
    row = machine(Cloud.AWS, found.machine)
    assert row is not None
    price = offer(row, "us-east-1")
    assert price is not None
    assert price.on_demand is not None
    assert (found.nodes, found.accelerators) == (3, 12)
    assert found.usd_hour == 3 * price.on_demand
    # 12 x 72 W x 0.6 x PUE 1.14 x 323.05 g.
    assert found.kg_hour == pytest.approx(Decimal("12") * 72 / 1000 * Decimal("0.6") * Decimal("1.14") * Decimal("0.32305"))
    assert found.source
    assert found.quota == row.quota


def test_chips_come_in_slices() -> None:
    found = candidates(Want("a", ("tpu-v5e",), 9), Where()).candidates
    assert found
    assert {(one.topology, one.nodes, one.accelerators) for one in found} == {("4x4", 4, 16)}
    assert candidates(Want("a", ("tpu-v5e",), 100_000), Where()).candidates == []


def test_spot_only_where_it_will_do_and_no_way_to_buy_that_is_not_sold() -> None:
    sure = candidates(Want("a", ("nvidia-h100-80gb", "nvidia-h200"), 8), Where()).candidates
    both = candidates(Want("a", ("nvidia-h100-80gb", "nvidia-h200"), 8), Where(purchases=("on-demand", "spot"))).candidates
    assert {one.purchase for one in sure} == {"on-demand"}
    assert any(one.purchase == "spot" for one in both)
    assert not any(one.machine == "p5e.48xlarge" for one in sure)


def test_unknown_carbon_ranks_by_money_and_is_left_out_where_carbon_counts() -> None:
    found = {"a": [made("a", 1, None), made("a", 5, 1)]}
    assert [plan.usd_hour for plan in plans(["a"], found, Aims())] == [1, 5]
    for aims in (Aims(usd_a_tonne=Decimal(1)), Aims(max_kg=Decimal(10_000))):
        assert [plan.usd_hour for plan in plans(["a"], found, aims)] == [5]


def test_a_price_of_carbon_turns_the_rank() -> None:
    found = {"a": [made("a", 10, 100), made("a", 12, 1)]}
    assert plans(["a"], found, Aims())[0].usd_hour == 10
    assert plans(["a"], found, Aims(usd_a_tonne=Decimal(100)))[0].usd_hour == 12


def test_pools_together_are_in_one_region() -> None:
    done = json.loads(run("a=nvidia-l4:8", "b=nvidia-a100-80gb:8", "--together", "--format", "json", "--top", "99").stdout)
    assert done["plans"]
    for plan in done["plans"]:
        assert len({(part["cloud"], part["region"]) for part in plan["pools"]}) == 1
    apart = json.loads(run("a=nvidia-l4:8", "b=nvidia-a100-80gb:8", "--format", "json").stdout)
    assert Decimal(apart["plans"][0]["usd"]) <= Decimal(done["plans"][0]["usd"])


def test_limits_hold_for_all_hours_together() -> None:
    cheapest = Decimal(json.loads(run("nvidia-l4:8", "--hours", "10", "--format", "json").stdout)["plans"][0]["usd"])
    assert run("nvidia-l4:8", "--hours", "10", "--max-usd", str(cheapest)).exit_code == 0
    over = run("nvidia-l4:8", "--hours", "10", "--max-usd", str(cheapest - 1))
    assert over.exit_code == 1
    assert "no plan within these limits" in over.stdout
    assert "candidates" in over.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nvidia-l5:8",), "did you mean nvidia-l4?"),
        (("nvidia-l4",), "is not [POOL=]ACCELERATOR"),
        (("nvidia-l4:0",), "is not [POOL=]ACCELERATOR"),
        (("nvidia-l4:1", "nvidia-l4:2"), "two pools are called nvidia-l4"),
        (("nvidia-l4:1", "--cloud", "asw"), "none of aws, gcp, azure"),
        (("nvidia-l4:1", "--write", "nobody"), "no stack file"),
        (("nvidia-l4:1", "--users", "Berlin"), "neither LATITUDE,LONGITUDE"),
        (("nvidia-l4:1", "--users", "95,13"), "latitude is from -90 to 90"),
        (("nvidia-l4:1", "--max-ms", "50"), "say where users are"),
        (("nvidia-l4:1", "--users", "1,2", "--latency", "pyproject.toml"), "a bound does not rank beside a measurement"),
        (("nvidia-l4:1", "--latency", "pyproject.toml"), "is not what `fleet latency --format json` writes"),
        (("nvidia-l4:1", "--prices", "pyproject.toml"), "a vms.csv is of one cloud"),
        (("nvidia-l4:1", "--prices", "pyproject.toml", "--cloud", "aws"), "has not the columns of SkyPilot"),
        ((), "Missing argument"),
    ],
)
def test_wrong_usage_ends_with_2_and_the_reason(words: tuple[str, ...], said: str) -> None:
    done = run(*words)
    assert done.exit_code == 2
    assert said in plain(done.output)


def test_explain_says_where_figures_are_from_and_what_was_left_out() -> None:
    said = plain(run("nvidia-l4:2", "--cloud", "aws", "--explain").stdout)
    assert "an hour (" in said
    assert "quota L-" in said
    assert "of another cloud or region" in said


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "stacks"
    shutil.copytree(STACKS, directory)
    monkeypatch.setattr(fleet.place.cli, "STACKS", directory)
    return directory / "aws-dev.yaml"


HERE = ("--cloud", "aws", "--region", "us-east-1", "--write", "aws-dev")


def test_a_plan_is_written_as_a_pool_and_the_rest_of_the_file_stays(stack: Path) -> None:
    before = stack.read_text()
    done = run("big=nvidia-l40s:4", *HERE)
    assert done.exit_code == 0, done.output
    assert "added main/big" in done.output
    pool = load_stack(stack).clusters["main"].pools["big"]
    assert (pool.accelerator, pool.purchase, pool.nodes.max) == ("nvidia-l40s", "on-demand", 4)
    kept = iter(stack.read_text().splitlines())
    assert all(line in kept for line in before.splitlines()), "lines of before, in their order"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("l4=nvidia-l4:4", *HERE), "has a pool l4 already"),
        (("big=nvidia-t4:4", "--cloud", "azure", "--write", "aws-dev"), "no cluster in azure"),
        (("much-too-long-a-name=nvidia-l4:4", *HERE), "would have faults"),
    ],
)
def test_what_does_not_go_into_the_file_leaves_it_as_it_was(stack: Path, words: tuple[str, ...], said: str) -> None:
    before = stack.read_bytes()
    done = run(*words)
    assert done.exit_code == 1
    assert said in plain(done.output)
    assert stack.read_bytes() == before
    assert sorted(p.name for p in stack.parent.parent.iterdir()) == ["stacks"]


def test_words_are_read_as_pools() -> None:
    assert named(["a=nvidia-l4,nvidia-a10g:8", "nvidia-t4:2"]) == [
        Want("a", ("nvidia-l4", "nvidia-a10g"), 8),
        Want("nvidia-t4", ("nvidia-t4",), 2),
    ]


def test_nodes_of_a_size_are_of_that_size() -> None:
    assert named(["train=nvidia-h100-80gb:2x8"]) == [Want("train", ("nvidia-h100-80gb",), 16, 8)]
    found = candidates(Want("a", ("nvidia-l4",), 8, 4), Where()).candidates
    assert {(one.nodes, one.accelerators) for one in found} == {(2, 8)}
    assert {one.machine for one in found} >= {"g6.12xlarge", "g2-standard-48"}


def test_every_region_has_a_place_and_the_bound_is_below_what_people_measure() -> None:
    known = locations()
    assert set(known) == {(cloud, region) for cloud in PUBLIC for region in regions(cloud)}
    assert all(one.source and one.as_of for one in known.values())
    # 5,300 km and 8,800 km by any atlas; cables are measured at 67 to 76 ms, and at 150 ms and more.
    atlantic = near.bounds([near.point("eu-west-1")])["aws", "us-east-1"]
    pacific = near.bounds([near.point("us-west-2")])["aws", "ap-northeast-1"]
    assert 48 < atlantic < 67
    assert 70 < pacific < 90
    assert near.bounds([near.point("eu-west-1")])["aws", "eu-west-1"] == 0


def test_users_in_two_places_count_by_the_farther() -> None:
    both = near.bounds([near.point("eu-central-1"), near.point("35.68,139.77")])
    each = [near.bounds([near.point(one)]) for one in ("eu-central-1", "35.68,139.77")]
    assert all(both[place] == max(one[place] for one in each) for place in both)


def test_near_users_is_an_objective_and_a_limit() -> None:
    words = ("nvidia-l4:8", "--users", "eu-central-1", "--format", "json", "--top", "999")
    plans_ = json.loads(run(*words).stdout)["plans"]
    marked = {tuple(map(Decimal, (p["usd"], p["kg"], p["ms"]))) for p in plans_ if p["front"]}
    assert marked == marked - beaten(marked)
    two = {
        (p["usd"], p["kg"])
        for p in json.loads(run("nvidia-l4:8", "--format", "json", "--top", "999").stdout)["plans"]
        if p["front"]
    }
    assert len(marked) > len(two), "the nearest is neither the cheapest nor the cleanest"
    near_ = json.loads(run(*words, "--max-ms", "20").stdout)
    assert near_["plans"]
    assert all(Decimal(p["ms"]) <= 20 for p in near_["plans"])
    assert near_["refused"]["nvidia-l4"]["too far from the users"]
    said = plain(run("nvidia-l4:8", "--users", "eu-central-1").stdout)
    assert "cheaper, cleaner and nearer; ms: light in fibre" in said


def test_what_was_measured_counts_and_of_two_files_the_slower(tmp_path: Path) -> None:
    def written(name: str, **ms: float | None) -> str:
        rows = [{"cloud": "aws", "region": region.replace("_", "-"), "milliseconds": value} for region, value in ms.items()]
        (tmp_path / name).write_text(json.dumps({"version": 1, "regions": rows}))
        return str(tmp_path / name)

    one = written("one.json", us_east_1=80.04, eu_west_1=9.0, us_west_2=None)
    two = written("two.json", us_east_1=4.0, eu_west_1=90.5)
    done = json.loads(run("nvidia-t4:8", "--latency", one, "--latency", two, "--format", "json", "--top", "999").stdout)
    seen = {p["pools"][0]["region"]: p["ms"] for p in done["plans"]}
    assert (seen["us-east-1"], seen["eu-west-1"], seen["us-west-2"]) == ("80.0", "90.5", None)
    assert {p["pools"][0]["region"] for p in done["plans"] if p["front"]} <= {"us-east-1", "eu-west-1"}
    nothing = run("nvidia-t4:8", "--latency", written("none.json", us_east_1=None))
    assert nothing.exit_code == 2
    assert "has measured nothing" in plain(nothing.output)


VMS = """\
InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone
g6.xlarge,L4,1.0,4.0,16.0,,0.9,0.5,us-east-1,use1-az1
g6.xlarge,L4,1.0,4.0,16.0,,0.9,0.3,us-east-1,use1-az2
g99.huge,L4,8.0,96.0,384.0,,5.0,,af-south-1,afs1-az1
g98.odd,Z9000,8.0,96.0,384.0,,0.1,,af-south-1,afs1-az1
m7i.large,,,2.0,8.0,,0.1,,us-east-1,use1-az1
"""


def test_another_price_list_is_chosen_from_in_the_catalogues_place(tmp_path: Path) -> None:
    file = tmp_path / "vms.csv"
    file.write_text(VMS)
    words = ("nvidia-l4:8", "--cloud", "aws", "--spot", "--prices", str(file), "--hours", "1", "--format", "json")
    found = json.loads(run(*words).stdout)["plans"]
    seen = [(p["usd"], p["pools"][0]["machine"], p["pools"][0]["nodes"], p["pools"][0]["purchase"]) for p in found]
    assert seen == [
        ("2.40", "g6.xlarge", 8, "spot"),
        ("5.00", "g99.huge", 1, "on-demand"),
        ("7.20", "g6.xlarge", 8, "on-demand"),
    ]
    assert all(p["pools"][0]["source"] == "SkyPilot catalog vms.csv" for p in found)
    file.write_text(VMS.replace(",0.9,0.5,", ",dear,0.5,"))
    wrong = run(*words)
    assert wrong.exit_code == 2
    assert "line 2: a figure is missing, or is no number" in plain(wrong.output)
