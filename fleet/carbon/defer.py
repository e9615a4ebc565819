"""What a deadline would have saved over hours whose intensity is known: the cluster's own rule, hour by hour.

`fleet.carbon.window` decides, as in the exporter, by as much of a forecast as that asks for; `fleet.carbon.replay` counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fleet.carbon.replay import Effect, worked_off
from fleet.carbon.source import horizon
from fleet.carbon.window import Deferral, every


def work_hours(load: float, least: int, most: int, deadline_h: int) -> int:
    """Hours in which all replicas do what the floor's leave over until a deadline; always some, and never all there are."""
    left = (load * most - least) / (most - least) if most > least else 0.0
    return max(1, min(math.ceil(left * deadline_h - 1e-9), deadline_h - 1))


def deferred(
    intensities: Sequence[float],
    load: float,
    least: int,
    most: int,
    kw: float,
    deadline_h: int,
    work_h: int,
    forecast: Sequence[float] = (),
) -> Effect:
    """Replay the hours with work put off.

    Args:
        load, kw: as `worked_off`'s. work_h: hours that what gathers takes.
        forecast: what was thought of these hours; without one it comes true.

    Raises:
        ValueError: no hours, or a forecast of others.
    """
    if forecast and len(forecast) != len(intensities):
        raise ValueError(f"a forecast of {len(forecast)} hours, for {len(intensities)}")
    thought, reach = forecast or intensities, horizon(deadline_h)
    memory = Deferral(deadline_h, work_h, now=0)
    held = [memory.deferred(hour, every(1, thought[hour : hour + reach], hour)) for hour in range(len(thought))]
    return worked_off(intensities, [least if off else most for off in held], most, load, kw)
