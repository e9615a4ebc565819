"""The drawings are fresh, whole and well-formed; what they show is what the spec, the plan and the imports say."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import pytest

from diagrams import __main__ as build
from diagrams import layers, stack
from diagrams.graph import Arrow, Box, Drawing, Group, reduced
from diagrams.mermaid import mermaid
from diagrams.svg import svg
from fleet.load import load_stack
from fleet.plan import pools
from fleet.workspace import STACKS

SVG = "{http://www.w3.org/2000/svg}"
STACK_NAMES = sorted(p.stem for p in STACKS.glob("*.yaml") if not p.name.startswith("Pulumi."))
EVERYTHING = """owner: ml-platform
environment: prod
clusters:
  main:
    cloud: aws
    region: us-east-1
    kubernetes: "1.35"
    api: {allowed_cidrs: [203.0.113.0/24]}
    monitoring: prometheus
    grid_token: grid
    teams:
      search: {accelerators: {nvidia-l4: 2}, priority: high}
    pools:
      l4: {accelerator: nvidia-l4, purchase: spot, fallback: on-demand, nodes: {max: 4}}
      idle: {accelerator: nvidia-h100-80gb, per_node: 8, fabric: efa}
    stores:
      weights: {}
    models:
      chat: {pool: l4, team: search, autoscaler: hpa, replicas: {min: 1, max: 2}, weights: {store: weights, path: chat}}
      batch: {pool: l4, autoscaler: keda, tier: flexible, carbon: {clean: 200, dirty: 500}, replicas: {min: 1, max: 4}}
secrets: [grid]
"""


def texts(drawn: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(drawn).iter(f"{SVG}text")]


@pytest.fixture
def everything(tmp_path: Path) -> Drawing:
    file = tmp_path / "all-prod.yaml"
    file.write_text(EVERYTHING)
    (tmp_path / "Pulumi.all-prod.yaml").write_text("config:\n  accelfleet:grid:\n    secure: v1:sealed\n")
    return stack.drawing("all-prod", load_stack(file))


def test_the_drawings_are_fresh(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert build.main(["--check"]) == 0, capsys.readouterr().err
    monkeypatch.setattr(build, "HERE", tmp_path)
    assert build.main([]) == 0
    (tmp_path / "gone.svg").write_text("<svg/>")
    assert build.main(["--check"]) == 1
    assert "gone.svg is of no stack" in capsys.readouterr().err
    assert build.main([]) == 0
    assert not (tmp_path / "gone.svg").exists()
    assert {p.stem for p in tmp_path.glob("*.svg")} == {*STACK_NAMES, "layers"}


@pytest.mark.parametrize("name", STACK_NAMES)
def test_every_pool_store_and_model_of_a_stack_is_drawn(name: str) -> None:
    spec = load_stack(STACKS / f"{name}.yaml")
    drawn = stack.drawing(name, spec)
    shown = texts(svg(drawn))
    for key, cluster in spec.clusters.items():
        assert any(text.startswith(f"{key}: ") and cluster.region in text for text in shown)
        rungs = [rung for pool in pools(name, key, cluster).values() for rung in pool.rungs]
        for one in (*cluster.pools, *cluster.stores, *cluster.models):
            assert one in shown, one
        for rung in rungs:
            assert shown.count(rung.machine.name) == sum(other.machine is rung.machine for other in rungs)
    text = mermaid(drawn)
    for group in drawn.groups:
        for box in group.boxes:
            assert f"<b>{box.title}</b>" in text
    assert text.count("-->") == sum(len(group.arrows) for group in drawn.groups)


def test_what_scales_shares_and_watches_is_drawn_beside_what_it_acts_on(everything: Drawing) -> None:
    (group,) = everything.groups
    to = {(arrow.source, arrow.target) for arrow in group.arrows}
    assert {("hpa", "model-chat"), ("keda-flexible", "model-batch"), ("team-search", "model-chat")} <= to
    assert {("prometheus", "model-chat"), ("prometheus", "model-batch"), ("model-chat", "store-weights")} <= to
    assert ("model-batch", "store-weights") not in to
    lines = {box.id: box.lines for box in group.boxes}
    assert "Electricity Maps" in lines["keda-flexible"]
    assert lines["team-search"] == ("2 x nvidia-l4", "priority high")
    assert "fabric: efa" in lines["pool-idle"]
    ladder = [(a.label, lines[a.target][0]) for a in group.arrows if a.source == "pool-l4"]
    assert ladder == [("1", "spot, 0 to 4 nodes"), ("2", "on-demand, 0 to 4 nodes")]
    assert group.title == "main: EKS us-east-1, Kubernetes 1.35"


def test_no_two_boxes_lie_on_each_other_and_all_text_fits(everything: Drawing) -> None:
    for drawing in (everything, *build.drawings()):
        root = ET.fromstring(svg(drawing))
        width, height = (float(number) for number in root.attrib["viewBox"].split()[2:])
        for outer in [*root.iter(f"{SVG}g")]:
            boxes = [
                tuple(float(box.attrib[key]) for key in ("x", "y", "width", "height"))
                for box in outer.iter(f"{SVG}rect")
                if "box" in box.attrib.get("class", "").split()
            ]
            for (x, y, w, h), (x2, y2, w2, h2) in combinations(boxes, 2):
                assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y, drawing.name
            for x, y, w, h in boxes:
                assert 0 <= x <= x + w <= width, drawing.name
                assert 0 <= y <= y + h <= height, drawing.name
            if len(boxes) == 1 and len(outer.findall(f"{SVG}rect")) == 1:
                longest = max(len(text.text or "") for text in outer.iter(f"{SVG}text"))
                assert longest * 7.2 + 24 <= boxes[0][2] + 0.01, drawing.name


def test_a_drawing_needs_nothing_from_elsewhere(everything: Drawing) -> None:
    for drawing in (everything, *build.drawings()):
        drawn = svg(drawing)
        assert not re.findall(r"(?:href|src|url\()\s*=?\s*[\"']?https?:", drawn)
        assert "<script" not in drawn
        assert "prefers-color-scheme: dark" in drawn


@pytest.mark.parametrize("word", ['a "b"', "a<b>", "a&b", "a: b"])
def test_any_word_is_only_a_word(word: str) -> None:
    drawing = Drawing("x", word, (Group(word, (Box("a", "pool", word, (word,)),)),))
    assert texts(svg(drawing)).count(word) == 4
    text = mermaid(drawing)
    assert len(re.findall(r'(?<!\\)"', text.partition("flowchart")[2])) == 4, "a quote of its own would end the label"


def test_a_drawing_that_lacks_something_is_refused() -> None:
    box = Box("a", "pool", "a")
    with pytest.raises(ValueError, match=r"boxes twice: \['a'\]"):
        Group("g", (box, box))
    with pytest.raises(ValueError, match=r"arrows to nowhere: \['b'\]"):
        Group("g", (box,), (Arrow("a", "b"),))
    round_ = Group("g", (box, Box("b", "pool", "b")), (Arrow("a", "b"), Arrow("b", "a")))
    with pytest.raises(ValueError, match="arrows go round"):
        round_.columns()


def test_the_layers_are_the_import_graphs() -> None:
    graph = layers.modules()
    assert "fleet.catalog.clouds" in graph["fleet.spec"]
    assert "pulumi_aws" in graph["infra.clouds.aws.network"]
    made = layers.layers(graph)
    (below,) = [one for one in made if "fleet (below)" in one]
    reach = {one: layers._reach([one], made) for one in made}
    assert not any(end.startswith("infra") or end in layers.SDKS for end in reach[below])
    assert not any(end.startswith("infra") for one in made if one.startswith("sandbox") for end in reach[one])
    for cloud, sdk in (("aws", "pulumi_aws"), ("gcp", "pulumi_gcp"), ("azure", "pulumi_azure_native")):
        assert [one for one in made if sdk in made[one]] == [f"infra.clouds.{cloud}"]
    assert all(one not in reach[one] for one in made), "a circle of boxes"
    assert not any(
        end.startswith(("fleet", "infra", "sandbox")) for one in made if one.startswith("serving") for end in reach[one]
    )


def test_packages_that_import_each_other_are_one_box_and_others_are_apart() -> None:
    graph: dict[str, set[str]] = {
        "fleet.cli": {"fleet.a.one"},
        "fleet.spec": set(),
        "fleet.a": set(),
        "fleet.a.one": {"fleet.b.two", "fleet.spec"},
        "fleet.b": set(),
        "fleet.b.two": {"fleet.a.one"},
    }
    assert layers.layers(graph) == {
        "fleet (above)": {"fleet.a + fleet.b"},
        "fleet.a + fleet.b": {"fleet (below)"},
        "fleet (below)": set(),
    }


def test_an_arrow_that_others_imply_is_left_out() -> None:
    assert reduced({"a": ["b", "c"], "b": ["c"], "c": []}) == {"a": {"b"}, "b": {"c"}, "c": set()}
    assert reduced({"a": ["b", "c"], "b": [], "c": []}) == {"a": {"b", "c"}, "b": set(), "c": set()}
