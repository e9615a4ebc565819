"""How projects take times: all sides in turn, so that what else the machine does falls on all alike, and the medians.

A time says as much about the machine as about the code; the tables show ratios beside it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

K = TypeVar("K")


def milliseconds(sides: Mapping[K, Callable[[], object]], rounds: int) -> dict[K, float]:
    """The median time of one call of each side, after one that is not counted."""
    taken: dict[K, list[float]] = {name: [] for name in sides}
    for n in range(rounds + 1):
        for name, side in sides.items():
            started = time.perf_counter()
            side()
            if n:
                taken[name].append((time.perf_counter() - started) * 1000)
    return {name: statistics.median(times) for name, times in taken.items()}


def ready(found: Any) -> Any:
    """JAX's answer once it is there: JAX hands back a promise, and a clock that stops at it measures nothing."""
    import jax  # noqa: PLC0415 - not every project has it

    return jax.tree.map(lambda one: one.block_until_ready(), found)
