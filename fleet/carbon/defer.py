"""Work put off to the cleanest hours before its deadline: a plan from a forecast, and what it would have saved.

Hour by hour, in the order in which work comes: the floor's replicas do theirs at once, the rest waits for the cleanest hours
that still have room, the last of which is the deadline's. With no more work an hour than all replicas do, there is always room:
what came before cannot have taken all of the hours up to a later deadline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fleet.carbon.replay import Effect

_NONE = 1e-9


@dataclass(frozen=True)
class Moved:
    """Work that came in one hour and is done in another; in hours of one replica."""

    came: int
    done: int
    work: float


def plan(forecast: Sequence[float], arriving: float, least: int, most: int, deadline_h: int) -> list[Moved]:
    """When each hour's work is done; hours after the forecast's last count as its mean.

    Args:
        arriving: replica hours of work that come each hour, `most` at most. deadline_h: hours that work may wait.

    Raises:
        ValueError: no forecast, or more work than the replicas ever do.
    """
    if not forecast or not 0 <= arriving <= most:
        raise ValueError(f"{arriving} replica hours of work an hour, and {most} replicas do {most} at most")
    mean = sum(forecast) / len(forecast)
    known = [*forecast, *[mean] * deadline_h]
    room = [float(most)] * len(known)
    moved: list[Moved] = []

    def put(came: int, hour: int, work: float) -> float:
        taken = min(work, room[hour])
        if taken > _NONE:
            room[hour] -= taken
            moved.append(Moved(came, hour, taken))
        return work - taken

    for came in range(len(forecast)):
        # Of the floor's replicas, those that earlier work does not hold already.
        at_once = min(arriving, max(0.0, least - (most - room[came])))
        left = arriving - at_once + put(came, came, at_once)
        # Of two hours as clean, the earlier.
        for hour in sorted(range(came, came + deadline_h + 1), key=lambda h: (known[h], h)):
            if left <= _NONE:
                break
            left = put(came, hour, left)
    return moved


def deferred(
    intensities: Sequence[float],
    arriving: float,
    least: int,
    most: int,
    kw: float,
    deadline_h: int,
    forecast: Sequence[float] = (),
) -> Effect:
    """What a plan would have saved over hours whose intensity is known.

    Args:
        forecast: what was thought of these hours; without one it comes true. kw: of one busy replica.

    Raises:
        ValueError: see `plan`; or a forecast of other hours.
    """
    if forecast and len(forecast) != len(intensities):
        raise ValueError(f"a forecast of {len(forecast)} hours, for {len(intensities)}")
    moved = plan(forecast or intensities, arriving, least, most, deadline_h)
    hours, mean = len(intensities), sum(intensities) / len(intensities)
    kg = sum(m.work * (intensities[m.done] if m.done < hours else mean) for m in moved) * kw / 1000
    done = [sum(m.work for m in moved if m.done == hour) for hour in range(hours)]
    return Effect(
        hours=hours,
        kg_plain=arriving * kw * sum(intensities) / 1000,
        kg_flexible=kg,
        hours_held=sum(work < arriving - _NONE for work in done),
        delayed_replica_hours=sum(m.work for m in moved if m.done > m.came),
        longest_h=max((m.done - m.came for m in moved), default=0),
        left_replica_hours=sum(m.work for m in moved if m.done >= hours),
    )
