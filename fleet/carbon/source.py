"""Electricity Maps, for one zone: the intensity now and the hours ahead. Refuses an answer of another shape.

Part of what a cluster runs from a ConfigMap: needs nothing but Python. The token goes nowhere but into a request's header.
https://portal.electricitymaps.com/docs/api (v3, carbon-intensity/latest and /forecast; the latter is in paid plans alone,
read 2026-11-30)
"""

from __future__ import annotations

import http.client
import itertools
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from fleet.carbon.window import Forecast

URL = "https://api.electricitymaps.com"
# What `horizonHours` takes.
HORIZONS_H = (6, 24, 48, 72)
_TIMEOUT_S = 10
_MOST_BYTES = 200_000
# No answer, one of another shape, half of one, or JSON as deep as no answer is.
FAILURES = (OSError, http.client.HTTPException, ValueError, RecursionError)


def horizon(deadline_h: int) -> int:
    """Hours ahead to ask for: the least that cover a deadline, or as many as there are."""
    return next((hours for hours in HORIZONS_H if hours >= deadline_h), HORIZONS_H[-1])


class Source:
    """The token is asked for each time: whoever renews it restarts nothing.

    Both questions raise one of `FAILURES`; of a refusal `retry_after` says for how long.
    """

    def __init__(self, url: str, zone: str, token: Callable[[], str]) -> None:
        self._url, self._zone, self._token = url.rstrip("/"), zone, token

    def latest(self) -> tuple[float, float]:
        """Intensity, and of which time it is, seconds since 1970."""
        answer = self._ask("latest")
        return _intensity(answer), _time(answer, "datetime")

    def forecast(self, hours: int) -> tuple[Forecast, float]:
        """The hours ahead, and when they were foretold."""
        answer = self._ask("forecast", horizonHours=hours)
        points = answer.get("forecast")
        if not isinstance(points, list) or not all(isinstance(point, dict) for point in points):
            raise ValueError(f"forecast is {str(points)[:40]!r}")
        starts = tuple(_time(point, "datetime") for point in points)
        if len(points) < 2 or any(later <= earlier for earlier, later in itertools.pairwise(starts)):
            raise ValueError(f"{len(points)} points of a forecast, or not in the order of time")
        made = Forecast(starts, tuple(_intensity(point) for point in points), 2 * starts[-1] - starts[-2])
        return made, _time(answer, "updatedAt") if "updatedAt" in answer else time.time()

    def _ask(self, what: str, **more: int) -> dict[str, Any]:
        query = urllib.parse.urlencode({"zone": self._zone, **more})
        headers = {"auth-token": self._token(), "accept": "application/json"}
        # Whoever runs it says where; it reads no address from anybody else.
        request = urllib.request.Request(f"{self._url}/v3/carbon-intensity/{what}?{query}", headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as reply:  # noqa: S310
            answer = json.loads(reply.read(_MOST_BYTES))
        if not isinstance(answer, dict):
            raise ValueError(f"the answer is {str(answer)[:40]!r}")
        return answer


def _intensity(found: dict[str, Any]) -> float:
    value = found.get("carbonIntensity")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 5000:
        raise ValueError(f"carbonIntensity is {value!r}")
    return float(value)


def _time(found: dict[str, Any], key: str) -> float:
    return datetime.fromisoformat(str(found.get(key)).replace("Z", "+00:00")).timestamp()


def retry_after(error: Exception, now: float) -> float | None:
    """Seconds that a refusal asks to wait; None where it does not say."""
    said = error.headers.get("retry-after") if isinstance(error, urllib.error.HTTPError) and error.headers else None
    if said is None:
        return None
    try:
        return float(said) if said.strip().isdecimal() else parsedate_to_datetime(said).timestamp() - now
    except ValueError:
        return None
