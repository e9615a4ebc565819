"""What a flexible tier would have saved over hours whose intensity is known: kgCO2e, and how long work waited for it.

A fluid model, no forecast: so much work arrives each hour, the replicas under the ceiling do it, and what is left over
waits, first come first served. What still waits at the end counts at the mean intensity: not to do it saves nothing.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleet.carbon.ceiling import Ceiling


@dataclass(frozen=True)
class Effect:
    """Of one model, over all hours.

    Attributes:
        kg_plain, kg_flexible: emitted without and with the ceiling. hours_held: in which the ceiling was below the bound.
        delayed_replica_hours: work that was not done in the hour in which it came.
        longest_h: hours that the oldest work waited. left_replica_hours: what still waits at the end.
    """

    hours: int
    kg_plain: float
    kg_flexible: float
    hours_held: int
    delayed_replica_hours: float
    longest_h: int
    left_replica_hours: float

    @property
    def kg_saved(self) -> float:
        return self.kg_plain - self.kg_flexible


def effect(intensities: Sequence[float], ceiling: Ceiling, load: float, kw: float) -> Effect:
    """Replay the hours under thresholds; arguments as `worked_off`'s."""
    return worked_off(intensities, [ceiling.at(intensity) for intensity in intensities], ceiling.most, load, kw)


def worked_off(intensities: Sequence[float], ceilings: Sequence[int], all_: int, load: float, kw: float) -> Effect:
    """Replay the hours.

    Args:
        intensities: gCO2e a kWh, hour by hour. ceilings: replicas at most, of `all_`, hour by hour.
        load: of all replicas, the part that arriving work keeps busy. kw: of one busy replica, its building's overhead in it.

    Raises:
        ValueError: no hours.
    """
    if not intensities:
        raise ValueError("a replay needs one hour at least")
    arriving = load * all_
    waiting: list[tuple[int, float]] = []
    plain = flexible = delayed = 0.0
    held = longest = 0
    for hour, (intensity, most) in enumerate(zip(intensities, ceilings, strict=True)):
        held += most < all_
        plain += arriving * kw * intensity / 1000
        waiting.append((hour, arriving))
        room, done = float(most), 0.0
        while waiting and room > 1e-9:
            came, work = waiting[0]
            used = min(work, room)
            room, done = room - used, done + used
            delayed += used if came < hour else 0.0
            longest = max(longest, hour - came)
            waiting[0] = (came, work - used)
            if waiting[0][1] <= 1e-9:
                waiting.pop(0)
        flexible += done * kw * intensity / 1000
    left = sum(work for _, work in waiting)
    flexible += left * kw * sum(intensities) / len(intensities) / 1000
    longest = max(longest, len(intensities) - waiting[0][0] if waiting else 0)
    return Effect(len(intensities), plain, flexible, held, delayed + left, longest, left)


def hours(file: Path) -> list[float]:
    """Intensities of a file: a JSON list, or CSV whose last column is gCO2e a kWh, with a row of heads.

    Raises:
        ValueError: it is neither, or a figure is none.
    """
    text = file.read_text(encoding="utf-8")
    try:
        found = (
            json.loads(text) if text.lstrip().startswith("[") else [row[-1] for row in list(csv.reader(text.splitlines()))[1:]]
        )
        figures = [float(figure) for figure in found]
    except (ValueError, IndexError, TypeError) as wrong:
        raise ValueError(f"{file} is no list of intensities, one an hour: {wrong}") from None
    if not figures or not all(0 <= figure < 5000 for figure in figures):
        raise ValueError(f"{file} has no hours, or one that is no intensity in gCO2e a kWh")
    return figures
