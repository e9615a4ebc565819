"""The program's graph: a picture of its components in the order in which they wait for each other, and every resource by
what it belongs to.

A box is a component with the resources directly below it, or a resource below none; a line goes from a box to those that
wait for it, but where another way leads there. Where there are more boxes than one can read, they are one a type.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fleet.report.model import Node
from fleet.report.policy import name_of

_READABLE = 60
_BOX, _HIGH, _GAP_X, _GAP_Y, _EDGE = 186, 40, 54, 12, 4
_LONGEST = 26
# https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/go/common/apitype/events.go: StepEventStateMetadata
_NO_LINES = (
    "<p><small>No lines: what was read names no dependencies, as the engine's events never do. A state has them: "
    "<code>pulumi stack export</code>, then <code>fleet report --from</code> it.</small></p>"
)


@dataclass
class _Box:
    """Some resources that are drawn as one."""

    name: str
    kind: str
    inside: list[Node] = field(default_factory=list)

    @property
    def said(self) -> str:
        kinds = Counter(_kind(node.type) for node in self.inside)
        parts = ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in sorted(kinds.items()))
        return f"{self.name} ({self.kind})" + (f": {parts}" if parts else "")


def picture(graph: Iterable[Node]) -> str:
    """The components' picture; empty where there is nothing to draw."""
    nodes = list(graph)
    boxes, box_of = _boxes(nodes)
    if len(boxes) > _READABLE:
        boxes, box_of = _by_type(nodes)
    if len(boxes) < 2:
        return ""
    edges = _reduced(_edges(nodes, box_of))
    columns = _columns(list(boxes), edges)
    place = {key: (x, y) for x, column in enumerate(columns) for y, key in enumerate(column)}
    width = len(columns) * (_BOX + _GAP_X) - _GAP_X + 2 * _EDGE
    height = max(map(len, columns)) * (_HIGH + _GAP_Y) - _GAP_Y + 2 * _EDGE
    lines = "".join(_line(place[of], place[to]) for to, needs in edges.items() for of in sorted(needs))
    drawn = "".join(_drawn(boxes[key], *place[key]) for key in place)
    said = f"{len(nodes)} resources in {len(boxes)} boxes; what waits for another stands to its right"
    # As large as it is, so that names can be read; what is wider than the page scrolls.
    return (
        f'<div class=wide tabindex=0 role=region aria-label="Picture of the resources"><svg viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role=img aria-label="{html.escape(said)}">{lines}{drawn}</svg></div>'
        f"<p><small>{html.escape(said)}.</small></p>"
    )


def outline(graph: Iterable[Node]) -> str:
    """Every resource below what it belongs to, as lists that unfold."""
    nodes = list(graph)
    below: dict[str, list[Node]] = {}
    for node in nodes:
        below.setdefault(node.parent, []).append(node)
    return f"<details><summary>All {len(nodes)} resources</summary>{_list(below, '')}</details>"


def _list(below: Mapping[str, list[Node]], parent: str) -> str:
    return f"<ul>{''.join(_item(below, node) for node in below.get(parent, ()))}</ul>"


def _item(below: Mapping[str, list[Node]], node: Node) -> str:
    text = f"<code>{html.escape(name_of(node.urn))}</code> <small>{html.escape(node.type)}</small>"
    if node.urn not in below:
        return f"<li>{text}</li>"
    return f"<li><details><summary>{text}</summary>{_list(below, node.urn)}</details></li>"


def _kind(type_: str) -> str:
    return type_.rsplit(":", 1)[-1]


def _boxes(nodes: list[Node]) -> tuple[dict[str, _Box], dict[str, str]]:
    components = {node.parent for node in nodes if node.parent}
    own = [node for node in nodes if node.urn in components or not node.parent]
    boxes = {node.urn: _Box(name_of(node.urn), _kind(node.type)) for node in own}
    box_of = {node.urn: node.urn for node in own}
    for node in nodes:
        if node.urn not in boxes:
            boxes[node.parent].inside.append(node)
            box_of[node.urn] = node.parent
    return boxes, box_of


def _by_type(nodes: list[Node]) -> tuple[dict[str, _Box], dict[str, str]]:
    boxes: dict[str, _Box] = {}
    for node in nodes:
        boxes.setdefault(node.type, _Box(_kind(node.type), node.type.partition(":")[0])).inside.append(node)
    return boxes, {node.urn: node.type for node in nodes}


def _edges(nodes: list[Node], box_of: Mapping[str, str]) -> dict[str, set[str]]:
    """Box -> the boxes that it needs; of a circle between boxes, which none between resources is, one way is left out."""
    found: dict[str, set[str]] = {key: set() for key in box_of.values()}
    for node in nodes:
        mine = box_of[node.urn]
        found[mine] |= {box_of[urn] for urn in node.needs if urn in box_of} - {mine}
    done: set[str] = set()
    open_: list[str] = []

    def visit(key: str) -> None:
        open_.append(key)
        found[key] -= set(open_)
        for other in sorted(found[key]):
            if other not in done:
                visit(other)
        done.add(open_.pop())

    for key in found:
        if key not in done:
            visit(key)
    return found


def _reduced(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """Without what another way leads to."""
    reach: dict[str, set[str]] = {}

    def reached(key: str) -> set[str]:
        if key not in reach:
            reach[key] = set().union(*({other} | reached(other) for other in edges[key])) if edges[key] else set()
        return reach[key]

    return {key: {one for one in needs if not any(one in reached(other) for other in needs)} for key, needs in edges.items()}


def _columns(keys: list[str], edges: Mapping[str, set[str]]) -> list[list[str]]:
    """As far to the right as the longest way there; in a column near what is needed, so that lines cross little."""
    depth: dict[str, int] = {}

    def deep(key: str) -> int:
        if key not in depth:
            depth[key] = 1 + max((deep(other) for other in edges[key]), default=-1)
        return depth[key]

    made: list[list[str]] = [[] for _ in range(max(map(deep, keys)) + 1)]
    for key in keys:
        made[deep(key)].append(key)
    row: dict[str, float] = {}
    for column in made:
        column.sort(key=lambda key: (sum(row[other] for other in edges[key]) / max(1, len(edges[key])), key))
        row.update({key: float(number) for number, key in enumerate(column)})
    return made


def _at(x: int, y: int) -> tuple[int, int]:
    return _EDGE + x * (_BOX + _GAP_X), _EDGE + y * (_HIGH + _GAP_Y)


def _line(of: tuple[int, int], to: tuple[int, int]) -> str:
    (x1, y1), (x2, y2) = _at(*of), _at(*to)
    left, right = x1 + _BOX, x2
    bend = min(_GAP_X, (right - left) / 2)
    y1, y2 = y1 + _HIGH // 2, y2 + _HIGH // 2
    return f'<path class=edge d="M{left} {y1}C{left + bend:g} {y1} {right - bend:g} {y2} {right} {y2}"/>'


def _drawn(box: _Box, x: int, y: int) -> str:
    left, top = _at(x, y)
    name = box.name if len(box.name) <= _LONGEST else f"{box.name[: _LONGEST - 1]}…"
    many = f" · {len(box.inside)} inside" if box.inside else ""
    return (
        f"<g><title>{html.escape(box.said)}</title>"
        f'<rect class=box x="{left}" y="{top}" width="{_BOX}" height="{_HIGH}" rx="6"/>'
        f'<text class=name x="{left + 10}" y="{top + 17}">{html.escape(name)}</text>'
        f'<text x="{left + 10}" y="{top + 32}">{html.escape(box.kind[:_LONGEST] + many)}</text></g>'
    )


def drawn(graph: tuple[Node, ...]) -> Iterator[str]:
    """What a page shows of the graph; lines that are missing, because nobody told of any, are said to be."""
    if graph:
        yield f"<h3>Resources</h3>{picture(graph)}{'' if any(node.needs for node in graph) else _NO_LINES}{outline(graph)}"


__all__ = ["drawn", "outline", "picture"]
