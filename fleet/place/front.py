"""The Pareto front, exactly, of two objectives or of three, in n log n steps.

Sorted by the first objective, whatever comes later is no better in it; so a point is beaten if one before it is at most as
large in the others. Of those seen, only the staircase matters: what has a smaller second objective than all that have a
smaller third.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TypeVar

T = TypeVar("T")
Figures = tuple[Decimal, Decimal] | tuple[Decimal, Decimal, Decimal]
_NONE = Decimal(0)


def front(points: Iterable[T], of: Callable[[T], Figures]) -> list[T]:
    """Those that no other is at most as large as in all and smaller in one; by the first, of equals the first to come."""
    all_ = list(points)
    figures = [of(point) for point in all_]
    kept: list[T] = []
    # The staircase: seconds rise, thirds fall.
    seconds: list[Decimal] = []
    thirds: list[Decimal] = []
    for number in sorted(range(len(all_)), key=figures.__getitem__):
        _, second, third = (*figures[number], _NONE)[:3]
        here = bisect_right(seconds, second)
        if here and thirds[here - 1] <= third:
            continue
        kept.append(all_[number])
        end = here
        while end < len(thirds) and thirds[end] >= third:
            end += 1
        start = here - 1 if here and seconds[here - 1] == second else here
        seconds[start:end] = [second]
        thirds[start:end] = [third]
    return kept
