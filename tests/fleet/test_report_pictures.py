"""The page's map and graph as what they say: land and sea, names that do not cover each other, boxes and lines."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from decimal import Decimal
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.catalog.clouds import Cloud
from fleet.catalog.places import locations
from fleet.report import tree
from fleet.report.model import Band, Estimate, Line, Node, Report, StackReport, difference
from fleet.report.regions import _LAND, _NORTH, _STEP, regions, row, world
from fleet.report.tree import _columns, _edges, _reduced, outline, picture

USD = Band(Decimal(1), Decimal(10), Decimal(100))


def line(cloud: str, region: str, usd: Band = USD) -> Line:
    return Line("pool", "main/l4", cloud, region, "g6.xlarge", usd, USD, (0, 1, 4), "nvidia-l4", (0, 1, 4))


def report(*stacks: tuple[str, list[Line]]) -> Report:
    made = [
        StackReport(name, False, None, Estimate.of(lines), difference(None, None), difference(None, None), (), ())
        for name, lines in stacks
    ]
    return Report(1, None, tuple(made), ())


def is_land(latitude: float, longitude: float) -> bool:
    cells = _LAND.read_text().splitlines()
    return cells[int((_NORTH - latitude) / _STEP)][int((longitude + 180) / _STEP)] == "#"


@pytest.mark.parametrize("place", [(40, -100), (50, 10), (-15, -55), (20, 10), (60, 100), (-25, 135), (36, 138)])
def test_continents_are_land(place: tuple[float, float]) -> None:
    assert is_land(*place)


@pytest.mark.parametrize("place", [(0, -150), (40, -40), (-16, -20), (-16, -120), (-16, 80), (-40, 80), (30, 180 - 2)])
def test_oceans_are_water(place: tuple[float, float]) -> None:
    assert not is_land(*place)


def test_regions_add_up_over_stacks_and_a_site_is_in_the_table_alone() -> None:
    made = regions(report(("a", [line("aws", "us-east-1"), line("existing", "SE")]), ("b", [line("aws", "us-east-1")])))
    assert [(one.cloud, one.name, one.stacks) for one in made] == [("aws", "us-east-1", ("a", "b")), ("existing", "SE", ("a",))]
    where, place, stacks, accelerators, floor, *_ = row(made[0])
    assert (where, place, stacks, accelerators) == ("aws us-east-1", "Northern Virginia", "a, b", "nvidia-l4 0 to 8")
    assert floor == 2
    assert row(made[1])[1] == "not known"
    picture_ = world(made)
    assert picture_.count("class=site") == 1
    assert "SE" not in re.sub("<[^>]*>", "", picture_)
    assert world(made[1:]) == ""


def test_no_name_on_the_map_covers_another_with_every_region_on_it() -> None:
    every = [line(str(cloud), region) for cloud, region in locations()]
    drawn = world(regions(report(("all", every))))
    names = re.findall(r'<text class=name x="(-?\d+)" y="(\d+)">([^<]+)<', drawn)
    assert len(names) == len(every) == drawn.count("class=site")
    boxes = [(int(x), int(y) - 10, int(x) + 6 * len(name), int(y)) for x, y, name in names]
    for a, b in itertools.combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], (a, b)
    assert all(left >= 0 and right <= 720 for left, _, right, _ in boxes)


def node(name: str, type_: str = "aws:s3/bucket:Bucket", parent: str = "", needs: tuple[str, ...] = ()) -> Node:
    return Node(urn(name), type_, urn(parent) if parent else "", tuple(urn(one) for one in needs))


def urn(name: str) -> str:
    return f"urn:pulumi:s::p::t::{name}"


GRAPH = (
    node("net", "x:Net"),
    node("vpc", parent="net"),
    node("cluster", "x:Cluster"),
    node("plane", parent="cluster", needs=("vpc",)),
    node("pool", "x:Pool"),
    node("group", parent="pool", needs=("plane", "vpc")),
    node("<bucket>"),
)


@pytest.mark.parametrize("graph", [GRAPH, GRAPH[::-1]], ids=["parents first", "children first"])
def test_a_box_is_a_component_and_a_line_is_what_it_waits_for(graph: tuple[Node, ...]) -> None:
    drawn = picture(graph)
    assert drawn.count("class=box") == 4
    # The pool needs the network by way of the cluster: that way is drawn.
    assert drawn.count("class=edge") == 2
    assert "&lt;bucket&gt;" in drawn
    assert "<bucket>" not in drawn
    left = {unescape(name): int(x) for x, name in re.findall(r'<text class=name x="(\d+)" y="\d+">([^<]+)<', drawn)}
    assert left["net"] < left["cluster"] < left["pool"]
    assert left["<bucket>"] == left["net"]


def test_the_outline_has_every_resource_below_its_own() -> None:
    said = outline(GRAPH)
    assert "All 7 resources" in said
    assert said.count("<li>") == 7
    assert re.search(r"<code>net</code>.*?<ul><li><code>vpc</code>", said)


def test_a_page_says_so_where_nobody_told_what_waits_for_what() -> None:
    # The engine's events have parents and no dependencies.
    events = tuple(replace(one, needs=()) for one in GRAPH)
    assert "No lines: what was read names no dependencies" in "".join(tree.drawn(events))
    assert "No lines" not in "".join(tree.drawn(GRAPH))
    assert list(tree.drawn(())) == []


def test_more_boxes_than_one_can_read_are_one_a_type() -> None:
    many = [node(f"b{n}") for n in range(200)] + [node(f"k{n}", "aws:kms/key:Key", needs=(f"b{n}",)) for n in range(200)]
    drawn = picture(many)
    assert drawn.count("class=box") == 2
    assert drawn.count("class=edge") == 1
    assert picture(many[:1]) == ""


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=40))
def test_lines_go_to_the_right_and_lead_wherever_they_led_before(pairs: list[tuple[int, int]]) -> None:
    nodes = [node(str(n), needs=tuple(str(b) for a, b in pairs if a == n)) for n in range(12)]
    whole = _edges(nodes, {one.urn: one.urn for one in nodes})
    kept = _reduced(whole)

    def reach(edges: dict[str, set[str]], key: str) -> set[str]:
        return set().union(*({one} | reach(edges, one) for one in edges[key])) if edges[key] else set()

    assert {key: reach(kept, key) for key in kept} == {key: reach(whole, key) for key in whole}
    column = {key: number for number, some in enumerate(_columns([one.urn for one in nodes], kept)) for key in some}
    assert all(column[other] < column[key] for key, needs in kept.items() for other in needs)


def test_places_are_of_the_clouds_that_have_regions() -> None:
    assert {cloud for cloud, _ in locations()} == {Cloud.AWS, Cloud.GCP, Cloud.AZURE}
