"""Which image a tag is: `data/digests.csv`, a row an image that an add-on of ours runs.

A row pins an image; one without a row goes by its maker's tag, under a waiver of the policy pack. The file was written where
no registry could be reached: `python -m infra.digests` fills it, see `fleet.registry`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from functools import cache
from pathlib import Path

FILE = Path(__file__).parent / "data" / "digests.csv"
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class DigestError(Exception):
    """A digest could not be had, or is another one than before; the message says of which image and what to do."""


@dataclass(frozen=True, order=True)
class Pin:
    """A row. `digest` is of the index of all platforms, where there is one."""

    image: str
    digest: str
    source: str
    as_of: str


@cache
def pins() -> dict[str, Pin]:
    """The rows by image.

    Raises:
        DigestError: one is none.
    """
    with FILE.open(newline="") as file:
        rows = [row for row in csv.reader(file) if row][1:]
    for number, row in enumerate(rows, 2):
        if len(row) != len(fields(Pin)) or not row[0] or not _DIGEST.fullmatch(row[1]):
            raise DigestError(f"{FILE}, line {number}: expected image,sha256:… of 64 lower-case digits,source,as_of")
    return {row[0]: Pin(*row) for row in rows}


def pinned(image: str) -> str:
    """The image by its digest, too, where somebody has looked it up: the tag then says it to people alone."""
    pin = pins().get(image)
    return f"{image}@{pin.digest}" if pin else image


def write(rows: Iterable[Pin]) -> None:
    """Put these in the file's place."""
    part = FILE.with_suffix(".part")
    with part.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(field.name for field in fields(Pin))
        out.writerows(astuple(row) for row in sorted(rows))
    part.replace(FILE)
    pins.cache_clear()
