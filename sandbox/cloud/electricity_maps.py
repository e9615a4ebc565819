"""Electricity Maps as the carbon exporter of a sandbox meets it: one question, answered from `fleet sandbox grid`.

Until that says otherwise a grid has its yearly mean of the catalogue. The answer's shape is that of v3's
`carbon-intensity/latest`, https://portal.electricitymaps.com/docs/api.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fleet.catalog.clouds import Cloud
from fleet.cost import grid
from sandbox.cloud.records import Records

PATH = "/electricitymaps"
_TOKEN = "sandbox"  # noqa: S105 - no secret
# Whoever changes a grid here wants to see it at once.
_REFRESH_S = 1


def environment(home: Path, url: str) -> dict[str, str]:
    """What leads the exporter here."""
    token = home / "electricitymaps-token"
    token.write_text(_TOKEN)
    return {
        "ELECTRICITYMAPS_URL": f"{url}{PATH}",
        "ELECTRICITYMAPS_TOKEN_FILE": str(token),
        "REFRESH_S": str(_REFRESH_S),
    }


def put(records: Records, zone: str, gco2_kwh: float) -> None:
    """Make a grid's intensity this."""
    records.set(f"grid/{zone}", gco2_kwh)


def latest(records: Records, token: str | None, zone: str) -> tuple[int, dict[str, Any]]:
    """Status and answer."""
    if token != _TOKEN:
        return 401, {"error": "Invalid auth-token"}
    mean = grid(Cloud.EXISTING, zone)
    if mean is None:
        return 404, {"error": f"Zone {zone!r} does not exist"}
    said = records.setting(f"grid/{zone}")
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return 200, {
        "zone": zone,
        "carbonIntensity": float(mean[0]) if said is None else said,
        "datetime": now,
        "updatedAt": now,
        "emissionFactorType": "lifecycle",
        "isEstimated": said is None,
    }
