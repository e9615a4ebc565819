"""The fleet by region: what stands where, on a map of dots and as rows of a table. Reads the report alone.

The land is Natural Earth's, 1:110 million, public domain (world-atlas 2.0.2), sampled every 2.5 degrees into land.txt from
80 degrees north on. A site of somebody's own has no place that we know: it is in the table and not on the map.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from fleet.catalog.clouds import Cloud
from fleet.catalog.places import Location, locations
from fleet.cost import grid
from fleet.report import words
from fleet.report.model import ZERO, Band, Line, Report, total

_LAND = Path(__file__).parent / "land.txt"
# Pixels a degree, and what land.txt begins at and steps by.
_SCALE, _NORTH, _STEP = 2, 80.0, 2.5
_WIDTH, _HEIGHT = 720, 272
_LEAST, _MOST = 4.0, 14.0
_LINE = 13


@dataclass(frozen=True)
class Region:
    """What a report's stacks have in one region, after the change."""

    cloud: str
    name: str
    stacks: tuple[str, ...]
    lines: tuple[Line, ...]

    @property
    def usd(self) -> Band:
        return total(line.usd for line in self.lines)

    @property
    def kg(self) -> Band:
        return total(line.kg or ZERO for line in self.lines)

    @property
    def location(self) -> Location | None:
        return locations().get((Cloud(self.cloud), self.name)) if self.cloud in set(Cloud) else None

    @property
    def accelerators(self) -> str:
        """`nvidia-l4 0 to 7`, for each."""
        count: dict[str, tuple[int, int]] = {}
        for line in self.lines:
            if line.accelerator and line.accelerators:
                low, high = count.get(line.accelerator, (0, 0))
                count[line.accelerator] = (low + line.accelerators[0], high + line.accelerators[2])
        return ", ".join(f"{name} {low} to {high}" for name, (low, high) in count.items())

    @property
    def grid(self) -> Decimal | None:
        """gCO2e a kWh, a year's mean."""
        found = grid(Cloud(self.cloud), self.name) if self.cloud in set(Cloud) else None
        return found[0] if found else None


HEAD = ("Region", "Place", "Stacks", "Accelerators", *(f"USD {name}" for name in words.CASES), "kg expected", "g CO2e/kWh")


def regions(report: Report) -> list[Region]:
    """Where the stacks are, the dearest first; lines that are in no region are in none."""
    lines: dict[tuple[str, str], list[Line]] = {}
    stacks: dict[tuple[str, str], dict[str, None]] = {}
    for stack in report.stacks:
        for line in stack.after.lines if stack.after else ():
            if line.region:
                lines.setdefault((line.cloud, line.region), []).append(line)
                stacks.setdefault((line.cloud, line.region), {})[stack.stack] = None
    made = [Region(cloud, name, tuple(stacks[cloud, name]), tuple(some)) for (cloud, name), some in lines.items()]
    return sorted(made, key=lambda one: (-(one.usd.expected or 0), one.cloud, one.name))


def row(one: Region) -> tuple[object, ...]:
    """A region's cells, in the order of HEAD."""
    where = one.location.name if one.location else "not known"
    usd = (one.usd.floor, one.usd.expected, one.usd.ceiling)
    return f"{one.cloud} {one.name}", where, ", ".join(one.stacks), one.accelerators, *usd, one.kg.expected, one.grid


def world(some: Iterable[Region]) -> str:
    """The map; empty where no region has a known place."""
    placed = [one for one in some if one.location]
    if not placed:
        return ""
    said = "; ".join(f"{one.cloud} {one.name} in {one.location.name}" for one in placed if one.location)
    return (
        f'<figure class=world><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img aria-label="{html.escape(f"Map: {said}")}">'
        f'<path class=land d="{"".join(_land())}"/>{"".join(_marks(placed))}</svg>'
        "<figcaption><small>A circle's area is the expected cost.</small></figcaption></figure>"
    )


def _land() -> Iterator[str]:
    """A dash of dots for each stretch of land; the stroke's pattern makes the dots."""
    step = int(_STEP * _SCALE)
    for number, cells in enumerate(_LAND.read_text(encoding="ascii").splitlines()):
        at = 0
        while (start := cells.find("#", at)) >= 0:
            at = cells.find(".", start) if "." in cells[start:] else len(cells)
            yield f"M{start * step + step / 2:g} {number * step + step / 2:g}h{(at - start - 1) * step or 0.1}"


def _marks(placed: list[Region]) -> Iterator[str]:
    most = max((one.usd.expected or Decimal(0) for one in placed), default=Decimal(0))
    taken: list[tuple[float, float, float]] = []
    names = []
    for one in placed:
        assert one.location is not None, "its caller looked"
        x = (one.location.point.longitude + 180) * _SCALE
        y = (_NORTH - one.location.point.latitude) * _SCALE
        share = float((one.usd.expected or 0) / most) if most else 0.0
        radius = max(_LEAST, _MOST * share**0.5)
        said = (
            f"{one.cloud} {one.name}, {one.location.name}: {words.usd(one.usd.expected)} a month expected. {one.accelerators}"
        )
        yield f'<circle class=site cx="{x:.0f}" cy="{y:.0f}" r="{radius:.1f}"><title>{html.escape(said)}</title></circle>'
        names.append((x, y, radius, f"{one.cloud} {one.name}"))
    # Names go over all circles, none over another: what would be is moved down by a line.
    for x, y, radius, name in sorted(names, key=lambda found: (found[1], found[0])):
        width = 6.2 * len(name)
        left = x + radius + 4 if x + radius + width < _WIDTH else x - radius - 4 - width
        down = y + 4
        while any(abs(down - other) < _LINE and left < end and start < left + width for start, end, other in taken):
            down += _LINE
        taken.append((left, left + width, down))
        yield f'<text class=name x="{left:.0f}" y="{down:.0f}">{html.escape(name)}</text>'
