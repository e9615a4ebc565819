"""Where on earth the regions are: data/places.csv, read once. A degree's hundredth is a kilometre, and closer nobody says.

The clouds publish a city or a state; the coordinates are those of the row's source. A site of somebody's own is in none.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from math import asin, cos, radians, sin, sqrt
from pathlib import Path

from fleet.catalog.clouds import Cloud

_FILE = Path(__file__).parent / "data" / "places.csv"
# Mean radius of the earth, IUGG.
_EARTH_KM = 6371.0


@dataclass(frozen=True)
class Point:
    """A place on earth, degrees."""

    latitude: float
    longitude: float

    def km_to(self, other: Point) -> float:
        """Along the great circle."""
        north, south = radians(self.latitude), radians(other.latitude)
        high = sin((south - north) / 2) ** 2
        wide = sin(radians(other.longitude - self.longitude) / 2) ** 2
        return 2 * _EARTH_KM * asin(sqrt(min(1.0, high + cos(north) * cos(south) * wide)))


@dataclass(frozen=True)
class Location:
    """A region's place, by the name that its cloud gives it."""

    name: str
    point: Point
    source: str
    as_of: str


@cache
def locations() -> dict[tuple[Cloud, str], Location]:
    """By cloud and region."""
    with _FILE.open(newline="", encoding="utf-8") as file:
        return {
            (Cloud(row["cloud"]), row["region"]): Location(
                row["place"], Point(float(row["latitude"]), float(row["longitude"])), row["source"], row["as_of"]
            )
            for row in csv.DictReader(file)
        }
