"""Electricity Maps as the carbon exporter of a sandbox meets it: two questions, answered from `fleet sandbox grid`.

Until that says otherwise a grid has its yearly mean of the catalogue, now and in all hours ahead. The answers have the shape
of v3's `carbon-intensity/latest` and `/forecast`, https://portal.electricitymaps.com/docs/api. With ACCELFLEET_HOUR_S an hour
of the forecast, and of the models' deadlines, lasts so many seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fleet.carbon.source import HORIZONS_H
from fleet.catalog.clouds import Cloud
from fleet.cost import grid
from sandbox.cloud.records import Records

PATH = "/electricitymaps"
_TOKEN = "sandbox"  # noqa: S105 - no secret
# Whoever changes a grid here wants to see it at once.
_REFRESH_S = 1
_DEFAULT_H = 24


def hour_s() -> float:
    return float(os.environ.get("ACCELFLEET_HOUR_S", "3600"))


def environment(home: Path, url: str) -> dict[str, str]:
    """What leads the exporter here. No name of a cluster's Service is known on this machine, so it asks no peer."""
    token = home / "electricitymaps-token"
    token.write_text(_TOKEN)
    return {
        "ELECTRICITYMAPS_URL": f"{url}{PATH}",
        "ELECTRICITYMAPS_TOKEN_FILE": str(token),
        "REFRESH_S": str(_REFRESH_S),
        "HOUR_S": str(hour_s()),
        "PEER_URL": "",
    }


def put(records: Records, zone: str, gco2_kwh: float, ahead: Sequence[float] = ()) -> None:
    """Make a grid's intensity this, and these in the hours that follow; the last one stays."""
    records.set(f"grid/{zone}", {"from": time.time(), "hours": [gco2_kwh, *ahead]})


def latest(records: Records, token: str | None, zone: str) -> tuple[int, dict[str, Any]]:
    """Status and answer."""
    if refused := _refusal(token, zone):
        return refused
    (first, *_), said = _hours(records, zone, 1)
    now = datetime.now(UTC).timestamp()
    more = {"updatedAt": _text(now), "emissionFactorType": "lifecycle", "isEstimated": not said}
    return 200, {"zone": zone, "carbonIntensity": first[1], "datetime": _text(now), **more}


def forecast(records: Records, token: str | None, zone: str, horizon_h: str | None) -> tuple[int, dict[str, Any]]:
    """Status and answer."""
    if refused := _refusal(token, zone):
        return refused
    hours = int(horizon_h) if horizon_h and horizon_h.isdecimal() else _DEFAULT_H
    if hours not in HORIZONS_H:
        return 400, {"error": f"horizonHours is one of {HORIZONS_H}"}
    points, _ = _hours(records, zone, hours)
    told = [{"carbonIntensity": gco2, "datetime": _text(start)} for start, gco2 in points]
    return 200, {"zone": zone, "forecast": told, "updatedAt": _text(time.time())}


def _refusal(token: str | None, zone: str) -> tuple[int, dict[str, Any]] | None:
    if token != _TOKEN:
        return 401, {"error": "Invalid auth-token"}
    if grid(Cloud.EXISTING, zone) is None:
        return 404, {"error": f"Zone {zone!r} does not exist"}
    return None


def _hours(records: Records, zone: str, count: int) -> tuple[list[tuple[float, float]], bool]:
    """The hour that is and those that follow: when each begins, and its intensity; and whether somebody said so."""
    mean = grid(Cloud.EXISTING, zone)
    assert mean is not None
    said, length = records.setting(f"grid/{zone}"), hour_s()
    known = said or {"from": 0.0, "hours": [float(mean[0])]}
    first = int((time.time() - known["from"]) // length)
    figures = known["hours"]
    return [
        (known["from"] + number * length, figures[min(number, len(figures) - 1)]) for number in range(first, first + count)
    ], said is not None


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
