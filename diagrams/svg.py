"""A drawing as one SVG file that needs nothing else: columns from left to right, arrows round the boxes in between.

The layout is the usual one of layered graphs: an arrow over several columns passes through a place in each, and places are
ordered by the mean of their neighbours, to and fro, to cross less. The letters are all of one width, so that a box is as wide
as its text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

from diagrams.graph import Box, Drawing, Group

_LETTER, _LINE, _PAD, _GAP_X, _GAP_Y, _EDGE = 7.2, 17, 12, 84, 18, 24
_SWEEPS = 8
# Light and dark, each kind with a fill and a stroke.
_KINDS = {
    "model": ("#e8f0fe", "#3367d6", "#1b2b4b", "#8ab4f8"),
    "pool": ("#e6f4ea", "#188038", "#16301f", "#81c995"),
    "rung": ("#f1f3f4", "#5f6368", "#2a2d30", "#9aa0a6"),
    "store": ("#fef7e0", "#b06000", "#3a2c10", "#fdd663"),
    "scaler": ("#fce8e6", "#c5221f", "#3d1d1c", "#f28b82"),
    "fleet": ("#e6f4ea", "#188038", "#16301f", "#81c995"),
    "infra": ("#e8f0fe", "#3367d6", "#1b2b4b", "#8ab4f8"),
    "sandbox": ("#fef7e0", "#b06000", "#3a2c10", "#fdd663"),
    "serving": ("#fce8e6", "#c5221f", "#3d1d1c", "#f28b82"),
    "sdk": ("#f1f3f4", "#5f6368", "#2a2d30", "#9aa0a6"),
}
_STYLE = """text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #202124 }
.title { font-size: 15px; font-weight: bold } .name { font-weight: bold } .label { font-size: 11px; fill: #5f6368 }
.back { fill: #ffffff } .frame { fill: none; stroke: #dadce0 } .arrow { fill: none; stroke: #80868b } .tip { fill: #80868b }
.box { rx: 6px }"""
_DARK = """text { fill: #e8eaed } .label { fill: #9aa0a6 } .back { fill: #17181a } .frame { stroke: #3c4043 }"""


@dataclass(frozen=True)
class _Place:
    x: float
    y: float
    width: float
    height: float


def svg(drawing: Drawing) -> str:
    """The text of an .svg file."""
    made = [_group(group) for group in drawing.groups]
    width = max([*(size[0] for _, size in made), len(drawing.title) * 9.2]) + 2 * _EDGE
    body, top = [f'<text class="title" x="{_EDGE}" y="{_EDGE + 8}">{escape(drawing.title)}</text>'], float(_EDGE + 24)
    for parts, (_, height) in made:
        body += [f'<g transform="translate({_EDGE} {top:g})">', *parts, "</g>"]
        top += height + _EDGE
    size = f"{width:g} {top:g}"
    kinds = "\n".join(f".{kind} {{ fill: {fill}; stroke: {stroke} }}" for kind, (fill, stroke, _, _) in _KINDS.items())
    dark = " ".join(f".{kind} {{ fill: {fill}; stroke: {stroke} }}" for kind, (_, _, fill, stroke) in _KINDS.items())
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {size}" width="{width:g}" height="{top:g}">',
            f"<title>{escape(drawing.title)}</title>",
            f"<style>{_STYLE}\n{kinds}\n@media (prefers-color-scheme: dark) {{ {_DARK} {dark} }}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path class="tip" d="M0 0 L8 4 L0 8 z"/></marker></defs>',
            f'<rect class="back" width="{width:g}" height="{top:g}"/>',
            *body,
            "</svg>\n",
        ]
    )


def _group(group: Group) -> tuple[list[str], tuple[float, float]]:
    """Its elements from 0, 0 on, and its size."""
    head = 34 if group.title else 0
    columns, ways = _ordered(group)
    places = _places(columns, {box.id: box for box in group.boxes}, head)
    width = max(place.x + place.width for place in places.values()) + _PAD
    height = max(place.y + place.height for place in places.values()) + _PAD
    parts = []
    if group.title:
        parts = [f'<rect class="frame" width="{width:g}" height="{height:g}" rx="10"/>']
        parts.append(f'<text class="name" x="{_PAD}" y="22">{escape(group.title)}</text>')
    for arrow, way in zip(group.arrows, ways, strict=True):
        parts += _arrow([places[at] for at in way], arrow.label)
    for box in group.boxes:
        parts += _box(box, places[box.id])
    return parts, (width, height)


def _ordered(group: Group) -> tuple[list[list[str]], list[list[str]]]:
    """Columns of places from top to bottom, and the places that each arrow passes; those between boxes are named by numbers."""
    column = group.columns()
    columns: list[list[str]] = [[] for _ in range(max(column.values()) + 1)]
    for box in group.boxes:
        columns[column[box.id]].append(box.id)
    ways = []
    for i, arrow in enumerate(group.arrows):
        first, last = column[arrow.source], column[arrow.target]
        between = [f"{i}/{at}" for at in range(first + 1, last)]
        for at, name in enumerate(between, first + 1):
            columns[at].append(name)
        ways.append([arrow.source, *between, arrow.target])
    beside: dict[str, set[str]] = {}
    for way in ways:
        for one, other in pairwise(way):
            beside.setdefault(one, set()).add(other)
            beside.setdefault(other, set()).add(one)
    for sweep in range(_SWEEPS):
        there = range(1, len(columns)) if sweep % 2 == 0 else range(len(columns) - 2, -1, -1)
        for at in there:
            neighbours = columns[at - 1] if sweep % 2 == 0 else columns[at + 1]
            means = {name: _mean(beside.get(name, set()), neighbours) for name in columns[at]}
            columns[at].sort(key=means.__getitem__)
    return columns, ways


def _mean(beside: set[str], column: list[str]) -> float:
    """Where its neighbours of one column are in the middle; one without stays at the end."""
    found = [i for i, name in enumerate(column) if name in beside]
    return sum(found) / len(found) if found else float(len(column))


def _places(columns: list[list[str]], boxes: Mapping[str, Box], top: float) -> dict[str, _Place]:
    """Where everything is; columns stand in the middle of the tallest."""
    sizes = {name: _size(boxes.get(name)) for column in columns for name in column}
    heights = [sum(sizes[name][1] + _GAP_Y for name in column) - _GAP_Y for column in columns]
    found: dict[str, _Place] = {}
    x = float(_PAD)
    for column, height in zip(columns, heights, strict=True):
        width = max((sizes[name][0] for name in column), default=0)
        y = top + _PAD + (max(heights) - height) / 2
        for name in column:
            found[name] = _Place(x, y, width, sizes[name][1])
            y += sizes[name][1] + _GAP_Y
        x += width + _GAP_X if column else 0
    return found


def _size(box: Box | None) -> tuple[float, float]:
    if box is None:
        return 0, 4
    return max(len(text) for text in (box.title, *box.lines)) * _LETTER + 2 * _PAD, _LINE * (1 + len(box.lines)) + _PAD


def _box(box: Box, at: _Place) -> Iterator[str]:
    where = f'x="{at.x:g}" y="{at.y:g}" width="{at.width:g}" height="{at.height:g}"'
    yield f'<g><rect class="box {box.kind}" {where}/>'
    for i, text in enumerate((box.title, *box.lines)):
        style = ' class="name"' if i == 0 else ""
        yield f'<text{style} x="{at.x + _PAD:g}" y="{at.y + _PAD / 2 + _LINE * i + 13:g}">{escape(text)}</text>'
    yield "</g>"


def _arrow(way: list[_Place], label: str) -> Iterator[str]:
    """From the right of the first to the left of the last, straight through the places in between."""
    points = [(way[0].x + way[0].width, way[0].y + way[0].height / 2)]
    for place in way[1:-1]:
        points += [(place.x, place.y + 2), (place.x + place.width, place.y + 2)]
    points.append((way[-1].x, way[-1].y + way[-1].height / 2))
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for i, ((x, y), (to_x, to_y)) in enumerate(pairwise(points)):
        middle = (x + to_x) / 2
        # Every other stretch passes a column: straight.
        path += f" C{middle:g} {y:g} {middle:g} {to_y:g} {to_x:g} {to_y:g}" if i % 2 == 0 else f" L{to_x:g} {to_y:g}"
    yield f'<path class="arrow" d="{path}" marker-end="url(#tip)"/>'
    if label:
        x, y = points[-1]
        yield f'<text class="label" x="{x - 10:g}" y="{y - 5:g}" text-anchor="end">{escape(label)}</text>'
