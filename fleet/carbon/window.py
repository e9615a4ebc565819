"""When work that can wait is done: in the cleanest window of a forecast, and never later than its deadline leaves.

One rule, for the exporter in a cluster (which gets this file as it is, and nothing but Python beside it) and for a replay.
Nobody knows how old a queue's messages are; so what is bounded is how long work is held back in a row: a deadline less the
time that the work takes, after which it is let go for as long as it takes. What came at the first moment of a hold is done in
time by that, and what came later has more. Times are of any unit, as long as it is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Of gCO2e a kWh: what a mean must differ by; two sums of the same figures do by less.
_DIGITS = 3


@dataclass(frozen=True)
class Forecast:
    """Intensities ahead; each counts until the next one's start, the last until `ends`, and the first before its start, too."""

    starts: tuple[float, ...]
    gco2_kwh: tuple[float, ...]
    ends: float

    def mean(self, start: float, length: float) -> float:
        """Over a window that ends before the forecast does."""
        total, borders = 0.0, (*self.starts[1:], self.ends)
        for number, (until, gco2) in enumerate(zip(borders, self.gco2_kwh, strict=True)):
            since = self.starts[number] if number else min(start, self.starts[0])
            total += gco2 * max(0.0, min(until, start + length) - max(since, start))
        return total / length


def every(step: float, gco2_kwh: Sequence[float], start: float) -> Forecast:
    """Figures that follow each other."""
    starts = tuple(start + step * number for number in range(len(gco2_kwh)))
    return Forecast(starts, tuple(gco2_kwh), start + step * len(gco2_kwh))


def cleanest(forecast: Forecast, now: float, latest: float, length: float) -> float | None:
    """Start of the cleanest window of that length, from now until `latest`; of two as clean the earlier.

    None where the forecast does not reach as far as the end of any. A mean over figures that stand for a while is least where
    a window begins or ends with one of them, or at a bound.
    """
    borders = (*forecast.starts, forecast.ends)
    marks = {now, latest, *borders, *(border - length for border in borders)}
    fit = [mark for mark in marks if now <= mark <= min(latest, forecast.ends - length)]
    return min(fit, key=lambda mark: (round(forecast.mean(mark, length), _DIGITS), mark), default=None)


@dataclass
class Deferral:
    """A rule's memory: since when work is held back, or until when it is let go.

    It begins as one that has forgotten: work may have been held back to its last moment, so it is let go first.

    Args:
        deadline: from when work comes until it is done. work: how long what gathers takes, with all replicas.
        now: when it begins.
    Attributes:
        since: of the hold; None while work is let go. until: the end of the window that is, or was last.
        window: start of the window that is, or that work is put off to.
    """

    deadline: float
    work: float
    now: float
    since: float | None = None

    def __post_init__(self) -> None:
        self.window, self.until = self.now, self.now + self.work

    def deferred(self, now: float, forecast: Forecast | None) -> bool:
        """Whether work is held back now; to be asked in the order of time. Without a forecast it is not.

        A window that has begun lasts, whatever a later forecast says, since it bounds what is left for the next one.
        """
        if now < self.until:
            return False
        since = now if self.since is None else self.since
        latest = since + self.deadline - self.work
        start = cleanest(forecast, now, latest, self.work) if forecast is not None and now < latest else None
        if start is None or start <= now:
            self.since, self.window, self.until = None, now, now + self.work
            return False
        self.since, self.window = since, start
        return True
