"""How projects take times: all sides in turn, so that what else the machine does falls on all alike, and the medians.

A time says as much about the machine as about the code; the tables show ratios beside it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def milliseconds(sides: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median time of one call of each side, after one that is not counted."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for n in range(rounds + 1):
        for name, side in sides.items():
            started = time.perf_counter()
            side()
            if n:
                taken[name].append((time.perf_counter() - started) * 1000)
    return {name: statistics.median(times) for name, times in taken.items()}
