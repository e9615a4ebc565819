"""Where else a pool's accelerators are to be had: price against carbon of every place in the catalogue, as a picture.

One for each accelerator of a stack, for as many as its pools have at their bounds; what has no figure of carbon is not in it.
"""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from fleet.catalog.accelerators import ACCELERATORS
from fleet.cost import HOURS_A_MONTH
from fleet.place.candidates import Candidate, Want, Where, candidates
from fleet.report.model import Estimate

_WIDTH, _HEIGHT, _EDGE = 560, 280, 48
_TICKS = 4


@dataclass(frozen=True)
class Point:
    """One way to have them, USD and kgCO2e a month."""

    usd: Decimal
    kg: Decimal
    label: str
    here: bool
    spot: bool


def scatters(estimate: Estimate) -> Iterator[str]:
    """A figure for each accelerator of which there is more than one place."""
    for name, (_, _, most) in estimate.accelerators.items():
        if not most or name not in ACCELERATORS:
            continue
        found = candidates(Want(name, (name,), most), Where(purchases=("on-demand", "spot"))).candidates
        places = {(line.cloud, line.region) for line in estimate.lines if line.accelerator == name}
        points = [point for one in found if (point := _point(one, places))]
        if len(points) > 1:
            yield _figure(f"{most} x {name}: price and carbon of each place", points)


def _point(one: Candidate, places: set[tuple[str, str]]) -> Point | None:
    if one.kg_hour is None:
        return None
    usd, kg = one.usd_hour * HOURS_A_MONTH, one.kg_hour * HOURS_A_MONTH
    label = f"{one.cloud} {one.region}, {one.nodes} x {one.machine}, {one.purchase}: ${usd:,.2f}, {kg:,.1f} kg a month"
    return Point(usd, kg, label, one.place in places, one.purchase == "spot")


def _figure(title: str, points: list[Point]) -> str:
    most_usd, most_kg = max(p.usd for p in points), max(p.kg for p in points)
    marks = "".join(_mark(point, most_usd, most_kg) for point in sorted(points, key=lambda p: p.here))
    axes = "".join(_axis(most_usd, most_kg))
    cheapest, cleanest = min(points, key=lambda p: p.usd), min(points, key=lambda p: p.kg)
    said = f"Cheapest: {cheapest.label}. Cleanest: {cleanest.label}."
    return (
        f"<figure><figcaption>{html.escape(title)}</figcaption>"
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role=img aria-label="{html.escape(f"{title}. {said}")}">{axes}{marks}</svg>'
        f"<p><small>Filled: where a pool of the stack is. Squares: spot. {html.escape(said)}</small></p></figure>"
    )


def _place(value: Decimal, most: Decimal, length: int) -> Decimal:
    return value / most * (length - 2 * _EDGE) if most else Decimal(0)


def _mark(point: Point, most_usd: Decimal, most_kg: Decimal) -> str:
    x = _EDGE + _place(point.usd, most_usd, _WIDTH)
    y = _HEIGHT - _EDGE - _place(point.kg, most_kg, _HEIGHT)
    title = f"<title>{html.escape(point.label)}</title>"
    kind = "here" if point.here else "there"
    if point.spot:
        return f'<rect class={kind} x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8">{title}</rect>'
    return f'<circle class={kind} cx="{x:.1f}" cy="{y:.1f}" r="5">{title}</circle>'


def _axis(most_usd: Decimal, most_kg: Decimal) -> Iterator[str]:
    left, bottom, right = _EDGE, _HEIGHT - _EDGE, _WIDTH - _EDGE
    yield f'<path class=axis d="M{left} {_EDGE}V{bottom}H{right}"/>'
    yield f'<text x="{right}" y="{_HEIGHT - 8}" text-anchor="end">USD a month</text>'
    yield f'<text x="4" y="{_EDGE - 20}">kgCO2e a month</text>'
    for tick in range(_TICKS + 1):
        usd, kg = most_usd * tick / _TICKS, most_kg * tick / _TICKS
        x, y = left + _place(usd, most_usd, _WIDTH), bottom - _place(kg, most_kg, _HEIGHT)
        yield f'<text x="{x:.0f}" y="{bottom + 18}" text-anchor="middle">{usd:,.0f}</text>'
        yield f'<text x="{left - 6}" y="{y + 4:.0f}" text-anchor="end">{kg:,.0f}</text>'
