"""What is done with a type of resource, from kinds.csv: read for what it costs, known to be free, or paid by use.

A type that no row names is none of these, and a report says that it does not know it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

_DATA = Path(__file__).parent / "kinds.csv"


@dataclass(frozen=True)
class Kind:
    """How a type is treated; a type may end in `*`, which stands for all that begin so.

    Attributes:
        terraform: the same type in Terraform's words. asked: what one pays by, for a type that is paid by use.
    """

    type: str
    terraform: str
    treatment: Literal["read", "free", "by-use"]
    asked: str


@cache
def kinds() -> tuple[Kind, ...]:
    """Every row."""
    with _DATA.open(newline="") as file:
        return tuple(Kind(**row) for row in csv.DictReader(file))  # type: ignore[arg-type]


@cache
def by_terraform() -> dict[str, str]:
    """Terraform's type -> Pulumi's token, where one stands for one."""
    return {kind.terraform: kind.type for kind in kinds() if kind.terraform and "*" not in kind.terraform + kind.type}


@cache
def kind_of(type_: str) -> Kind | None:
    """The row of a type, Pulumi's or Terraform's; the longest beginning where several fit."""
    found: tuple[int, Kind | None] = (-1, None)
    for kind in kinds():
        for name in (kind.type, kind.terraform):
            if name == type_:
                return kind
            if name.endswith("*") and type_.startswith(name[:-1]) and len(name) > found[0]:
                found = (len(name), kind)
    return found[1]
