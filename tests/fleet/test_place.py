"""`fleet place`: plans against brute force, limits, ranks, what is refused, and pools written into a stack file."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from decimal import Decimal
from pathlib import Path

import pytest
from click.testing import Result as Ended
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import fleet.place.cli
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine, offer
from fleet.cli import app
from fleet.load import load_stack
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


SOME = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20), st.sampled_from("ab")), min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(SOME, min_size=2, max_size=3),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 40)),
    st.one_of(st.none(), st.integers(0, 40)),
    st.integers(0, 3000),
)
def test_the_best_plan_is_what_trying_all_combinations_finds(
    pools: list[list[tuple[int, int, str]]], together: bool, max_usd: int | None, max_kg: int | None, tonne: int
) -> None:
    found = {str(i): [made(str(i), *one) for one in some] for i, some in enumerate(pools)}
    limits = [None if limit is None else Decimal(limit) for limit in (max_usd, max_kg)]
    aims = Aims(1, limits[0], limits[1], Decimal(tonne), together)
    everything = [Plan(parts) for parts in itertools.product(*found.values())]
    if together:
        everything = [plan for plan in everything if len({part.place for part in plan.parts}) == 1]
    kept = [plan for plan in everything if plan.keeps(aims)]
    chosen = plans(list(found), found, aims)
    assert bool(chosen) == bool(kept)
    if kept:
        assert chosen[0].rank(aims) == min(plan.rank(aims) for plan in kept)
        figures = {(plan.usd_hour, plan.kg_hour or Decimal(0)) for plan in kept}
        beaten = {p for p in figures for q in figures if q != p and q[0] <= p[0] and q[1] <= p[1]}
        assert {(plan.usd_hour, plan.kg_hour) for plan in chosen if plan.front} == figures - beaten


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_a_front_keeps_what_nothing_beats_and_no_more(points: list[tuple[int, int]]) -> None:
    kept = front(points, lambda p: (Decimal(p[0]), Decimal(p[1])))
    beaten = {p for p in points if any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)}
    assert set(kept) == set(points) - beaten
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
