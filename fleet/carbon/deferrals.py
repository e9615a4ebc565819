"""The deadlines of a cluster's models, and whether each one's work is put off now: what KEDA and Prometheus are told of it.

Part of what a cluster runs from a ConfigMap: needs nothing but Python. The rule itself is `fleet.carbon.window`'s.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fleet.carbon.answers import Ahead, Row, say
from fleet.carbon.window import Deferral


@dataclass(frozen=True, order=True)
class Rule:
    """Hours from when work comes until it is done, and hours that what gathers takes with all replicas."""

    deadline_h: int
    work_h: int

    @property
    def key(self) -> str:
        """Its name in `/v1/deferral`."""
        return f"{self.deadline_h}h-{self.work_h}h"

    def __str__(self) -> str:
        return f"{self.deadline_h}/{self.work_h}"

    @classmethod
    def read(cls, text: str) -> Rule:
        """As `str` writes it.

        Raises:
            ValueError: it is none.
        """
        deadline, _, work = text.partition("/")
        made = cls(int(deadline), int(work))
        if not 0 < made.work_h < made.deadline_h:
            raise ValueError(f"{text}: the work must take less than its deadline leaves, and an hour at least")
        return made


class Deferrals:
    """One memory a rule. Who asks, KEDA or Prometheus, brings it on.

    Args:
        hour_s: seconds of an hour, 3600 where nobody is in a hurry.
    """

    def __init__(self, ahead: Ahead, rules: Iterable[Rule], hour_s: float, now: float) -> None:
        self._ahead, self._lock = ahead, threading.Lock()
        self._of = {rule: Deferral(rule.deadline_h * hour_s, rule.work_h * hour_s, now) for rule in rules}
        self._said: dict[Rule, bool] = {}
        self._missing = False

    def adopt(self, document: dict[str, Any]) -> None:
        """Remember what another replica does; of what it does not know nothing.

        Raises:
            ValueError, TypeError, AttributeError: it says something else.
        """
        with self._lock:
            for rule, memory in self._of.items():
                if found := document["rules"].get(rule.key):
                    since = found["held_since"]
                    memory.since, memory.until = None if since is None else float(since), float(found["runs_until"])
                    memory.window = memory.until - memory.work

    def document(self, now: float) -> dict[str, Any]:
        """What `/v1/deferral` answers. Of two replicas KEDA takes the lesser figure, by which work goes on."""
        with self._lock:
            self._look(now)
            rules = {
                rule.key: {
                    # In a formula: 1 while work is put off.
                    "deferred": int(self._said[rule]),
                    # For Jobs, of which there are as many as the trigger with the least asks for, of those above -0.5.
                    "jobs": 0 if self._said[rule] else -1,
                    "window_starts": _text(memory.window),
                    "held_since": memory.since,
                    "runs_until": memory.until,
                }
                for rule, memory in self._of.items()
            }
        return {"zone": self._ahead.zone, "forecast": self._ahead.state(now), "rules": rules}

    def rows(self, now: float) -> list[Row]:
        """What Prometheus reads."""
        with self._lock:
            self._look(now)
            of = [({"deadline_h": rule.deadline_h, "work_h": rule.work_h}, rule, memory) for rule, memory in self._of.items()]
            deferred: list[Row] = [("grid_deferred", {**labels}, int(self._said[rule])) for labels, rule, _ in of]
            starts: list[Row] = [("grid_window_start_seconds", {**labels}, memory.window) for labels, _, memory in of]
        return [*self._ahead.rows(now), *deferred, *starts] if of else []

    def _look(self, now: float) -> None:
        forecast = self._ahead.fresh(now)
        if self._of and (forecast is None) != self._missing:
            self._missing = forecast is None
            said = f"no forecast ({self._ahead.error or 'too old'}): nothing is put off, work runs"
            say(self._ahead.zone, said if self._missing else "a forecast is there")
        for rule, memory in self._of.items():
            deferred = memory.deferred(now, forecast)
            if deferred != self._said.get(rule):
                words = f"put off until {_text(memory.window)}" if deferred else f"runs until {_text(memory.until)}"
                say(self._ahead.zone, f"deadline {rule.deadline_h} h, work {rule.work_h} h: {words}")
            self._said[rule] = deferred


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
