"""How far users are from each region: what was measured where they are, or else what light in fibre takes at the least.

The bound is a round trip along the great circle: no cable is shorter and no router is in it, so it says which region
cannot be near, and ranks regions of one continent. A measurement is never mixed with it: one would rank before the other
for being a bound.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

from fleet.catalog.places import Point, locations

# Light in silica fibre: 299,792 km/s by a group index of 1.468 (ITU-T G.652 fibre at 1,550 nm).
_FIBRE_KM_A_MS = 204.2
_POINT = re.compile(r"(-?\d{1,2}(?:\.\d+)?),(-?\d{1,3}(?:\.\d+)?)")
Milliseconds = Mapping[tuple[str, str], Decimal]


def point(text: str) -> Point:
    """`52.5,13.4`, or a region of any cloud, such as `eu-central-1`.

    Raises:
        ValueError: it is neither.
    """
    if found := _POINT.fullmatch(text):
        made = Point(float(found[1]), float(found[2]))
        if abs(made.latitude) > 90 or abs(made.longitude) > 180:
            raise ValueError(f"{text!r}: latitude is from -90 to 90, longitude from -180 to 180")
        return made
    for (_, region), location in locations().items():
        if region == text:
            return location.point
    raise ValueError(f"{text!r} is neither LATITUDE,LONGITUDE such as 52.5,13.4 nor a region that the catalogue knows")


def bounds(users: Iterable[Point]) -> dict[tuple[str, str], Decimal]:
    """Milliseconds that a round trip takes at the least, from those users who are farthest from the region."""
    all_ = list(users)
    return {
        (str(cloud), region): _tenth(max(2 * user.km_to(location.point) / _FIBRE_KM_A_MS for user in all_))
        for (cloud, region), location in locations().items()
    }


def measured(files: Iterable[Path]) -> dict[tuple[str, str], Decimal]:
    """What `fleet latency --format json` wrote where users are; of several files the slowest, of what all have.

    Raises:
        ValueError: a file is no such document, or has measured nothing.
    """
    all_ = [_read(file) for file in files]
    everywhere = set.intersection(*(set(one) for one in all_))
    return {place: max(one[place] for one in all_) for place in everywhere}


def _read(file: Path) -> dict[tuple[str, str], Decimal]:
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))["regions"]
        found = {
            (str(row["cloud"]), str(row["region"])): _tenth(float(row["milliseconds"]))
            for row in rows
            if row["milliseconds"] is not None
        }
    except (OSError, UnicodeDecodeError, ValueError, TypeError, LookupError):
        raise ValueError(f"{file} is not what `fleet latency --format json` writes") from None
    if not found:
        raise ValueError(f"{file} has measured nothing: run `fleet latency --format json` where users are, not offline")
    return found


def _tenth(value: float) -> Decimal:
    return Decimal(f"{value:.1f}")
