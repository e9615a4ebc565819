"""A file of any of the kinds that can be read, told apart by what is in it; and what two of them differ in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from fleet.collector import rests
from fleet.inventory import events, state, terraform
from fleet.inventory.resource import Program, Resource, Step
from fleet.inventory.state import InventoryError

_LONGEST = 200
_DEEPEST = 100


@rests()
def read(file: Path) -> Program:
    """The program that a file tells of.

    Raises:
        InventoryError: it cannot be read, or is of none of the kinds.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as wrong:
        raise InventoryError(f"{file}: cannot be read: {wrong}") from None
    where = file.name
    try:
        found = document(text)
        if is_deep(found):
            raise RecursionError(f"nested more than {_DEEPEST} deep")
        return _program(found, file.stem, where)
    except json.JSONDecodeError as wrong:
        said = "neither a state, nor the engine's events, nor a Terraform state"
        raise InventoryError(f"{where}: {said}: {wrong}; see docs/inventory.md") from None
    # The last two are numbers of thousands of digits, and lists in lists in lists.
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as wrong:
        raise InventoryError(f"{where}: is not as such a file should be: {type(wrong).__name__} {wrong}") from None


def is_deep(value: Any) -> bool:
    """Whether it is nested as no cloud's properties are; who walks through it would not come back."""
    level = [value]
    for _ in range(_DEEPEST):
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [one for some in inner for one in some]
    return bool(level)


def _program(found: Any, name: str, where: str) -> Program:
    if isinstance(found, list):
        return events.read(found, where)
    if "terraform_version" in found or "lineage" in found:
        return terraform.read(found, name, where)
    if "deployment" in found or "checkpoint" in found:
        return state.read(found, where)
    raise InventoryError(f"{where}: neither a state, nor the engine's events, nor a Terraform state; see docs/inventory.md")


def document(text: str) -> Any:
    """One JSON document, or the events of one a line; half a last line is what a killed engine leaves."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError:
        lines = [line for line in text.splitlines() if line.strip()]
        found = [json.loads(line) for line in lines[:-1]]
        if not found:
            raise
        try:
            return [*found, json.loads(lines[-1])]
        except json.JSONDecodeError:
            return found
    if isinstance(whole, dict) and isinstance(whole.get("events"), list):
        return whole["events"]
    # A stream of a single event is one document, too.
    return [whole] if isinstance(whole, dict) and "sequence" in whole else whole


def between(before: Program, after: Program) -> Program:
    """`after` with `before` as what it is compared with: what two files differ in, by URN."""
    return replace(after, before=before.after, rows_before=before.rows, steps=tuple(_steps(before.after, after.after)))


def _steps(before: tuple[Resource, ...], after: tuple[Resource, ...]) -> Iterator[Step]:
    old, new = ({one.urn: one for one in side} for side in (before, after))
    for urn, resource in new.items():
        if urn not in old:
            yield Step("create", resource)
        elif fields := tuple(_fields(old[urn].props, resource.props)):
            # Another id is another thing.
            anew = bool(old[urn].id and resource.id and old[urn].id != resource.id)
            yield Step("replace" if anew else "update", resource, fields)
    for urn, resource in old.items():
        if urn not in new:
            yield Step("delete", resource)


def _fields(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str | None]]:
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield name, _text(before.get(name)), _text(after.get(name))


def _text(value: Any) -> str | None:
    if value in (None, [], {}):
        return None
    words = json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else str(value)
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"
