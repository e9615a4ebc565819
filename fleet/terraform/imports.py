"""From Terraform's resources to what `pulumi import --file` takes: types and ids, by types.csv.

The ids are those of the Import sections of the providers' own pages; where that is Terraform's `id`, the column is empty.
A type that the table lacks is named, never guessed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from fleet.terraform.state import Resource

_TYPES = Path(__file__).parent / "types.csv"
# What `pulumi preview --import-file` writes where it knows no id.
PLACEHOLDER = "<PLACEHOLDER>"


@dataclass(frozen=True)
class Mapped:
    """One resource in Pulumi's words."""

    resource: Resource
    type: str
    id: str

    def as_json(self) -> dict[str, str]:
        return {"type": self.type, "name": self.resource.name, "id": self.id}


@dataclass
class Told:
    """What maps, and what does not: address and reason."""

    mapped: list[Mapped] = field(default_factory=list)
    unmapped: list[tuple[str, str]] = field(default_factory=list)


@cache
def types() -> dict[str, tuple[str, str]]:
    """Terraform's type -> Pulumi's type token, and how its id is made of attributes; empty for `id`."""
    with _TYPES.open(newline="") as file:
        return {row["terraform"]: (row["pulumi"], row["id"]) for row in csv.DictReader(file)}


def map_all(resources: Iterable[Resource]) -> Told:
    """All of them, in their order."""
    found = Told()
    for one in resources:
        known = types().get(one.type)
        if known is None:
            found.unmapped.append((one.address, f"{one.type} is not in fleet/terraform/types.csv"))
            continue
        token, form = known
        wanted = re.findall(r"{(\w+)}", form) or ["id"]
        lacking = [key for key in wanted if not isinstance(one.attributes.get(key), (str, int))]
        if lacking:
            found.unmapped.append((one.address, f"the state has no {', '.join(lacking)} of it"))
        else:
            id_ = form.format_map(one.attributes) if form else str(one.attributes["id"])
            found.mapped.append(Mapped(one, token, id_))
    return found


def document(found: Told) -> dict[str, Any]:
    """The import file: everything at the stack's top, to be given code by `pulumi import --out`."""
    return {"resources": [one.as_json() for one in found.mapped]}


def fill(wanted: Mapping[str, Any], found: Told) -> tuple[dict[str, Any], list[str]]:
    """The import file of our own program, with ids from the state; and what a person has to choose, one line each.

    Args:
        wanted: what `pulumi preview --import-file` wrote, with names and parents of the components' resources.

    A resource gets an id where both sides have exactly one of its type. The others are left out of the file, as
    `pulumi import` takes no placeholder: what stays out, `pulumi up` would make anew.
    """
    asked = [one for one in wanted["resources"] if one.get("id") == PLACEHOLDER]
    kept, open_ = [], []
    for one in wanted["resources"]:
        if one.get("id") != PLACEHOLDER:
            kept.append(one)
            continue
        there = [mapped for mapped in found.mapped if mapped.type == one["type"]]
        if len(there) == 1 and sum(other["type"] == one["type"] for other in asked) == 1:
            kept.append({**one, "id": there[0].id})
        elif there:
            choices = ", ".join(f"{mapped.id} ({mapped.resource.address})" for mapped in there)
            open_.append(f"{one['type']} {one['name']}: choose its id: {choices}")
    return {**wanted, "resources": kept}, open_
