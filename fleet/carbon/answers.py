"""What is known of a grid: its intensity now, and its forecast, each for as long as it counts. For all threads.

Part of what a cluster runs from a ConfigMap: needs nothing but Python.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any, Generic, TypeVar

from fleet.carbon.window import Forecast

T = TypeVar("T")
# Name, further labels, value.
Row = tuple[str, dict[str, object], float]


def say(zone: str, words: str) -> None:
    """To the log."""
    sys.stderr.write(f"{zone}: {words}\n")
    sys.stderr.flush()


def gauges(zone: str, rows: list[Row]) -> str:
    """Prometheus' text."""
    text, named = "", ""
    for name, labels, value in rows:
        of = ",".join(f"{key}={json.dumps(str(word))}" for key, word in {"zone": zone, **labels}.items())
        text += ("" if name == named else f"# TYPE {name} gauge\n") + f"{name}{{{of}}} {value}\n"
        named = name
    return text


class Kept(Generic[T]):
    """The last answer to one question.

    Attributes:
        value, at: the answer, and of which time it is, seconds since 1970.
        failures: questions in a row that got no answer; error: the last one's words.
    """

    def __init__(self, zone: str, stale_s: float) -> None:
        self.zone, self.stale_s = zone, stale_s
        self.value: T | None = None
        self.at, self.failures, self.error = 0.0, 0, "not asked yet"
        self._lock = threading.Lock()

    def know(self, value: T, at: float) -> None:
        with self._lock:
            self.value, self.at, self.failures, self.error = value, at, 0, ""

    def fail(self, error: str) -> int:
        """Note it; returns how many there were in a row."""
        with self._lock:
            self.failures, self.error = self.failures + 1, error
            return self.failures

    def fresh(self, now: float) -> T | None:
        """The answer, while it counts."""
        with self._lock:
            return self.value if now - self.at <= self.stale_s else None

    def state(self, now: float) -> dict[str, Any]:
        """Of the answer, beside it."""
        with self._lock:
            age = round(now - self.at, 1) if self.value is not None else None
            stale = age is None or now - self.at > self.stale_s
            return {"age_s": age, "stale": stale, "failures": self.failures, "error": self.error}


class Grid(Kept[float]):
    """The intensity, gCO2e a kWh, over the life cycle."""

    def document(self, now: float) -> dict[str, Any]:
        """What `/v1/intensity` answers. `capping` is the intensity, and 0 where it is not known: nothing is capped then."""
        known = self.fresh(now)
        capping = 0.0 if known is None else known
        return {"zone": self.zone, "gco2_per_kwh": known, "capping": capping, **self.state(now)}

    def rows(self, now: float) -> list[Row]:
        """What Prometheus reads; without the intensity where it is not known."""
        known, state = self.fresh(now), self.state(now)
        rows: list[Row] = [
            ("grid_intensity_stale", {}, int(state["stale"])),
            ("grid_intensity_failures", {}, state["failures"]),
        ]
        return rows if known is None else [*rows, ("grid_intensity_gco2_per_kwh", {}, known)]


class Ahead(Kept[Forecast]):
    """The forecast."""

    def rows(self, now: float) -> list[Row]:
        """What Prometheus reads: whether there is none, and what the failures are."""
        state = self.state(now)
        return [("grid_forecast_missing", {}, int(state["stale"])), ("grid_forecast_failures", {}, state["failures"])]
