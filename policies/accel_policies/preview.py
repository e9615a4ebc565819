"""What `pulumi preview --json` says of a program, as resources that rules can judge."""

from __future__ import annotations

from typing import Any

from policies.accel_policies.rule import Resource
from policies.accel_policies.wire import plain

_GOES = ("delete", "delete-replaced", "discard", "read-discard", "remove-pending-replace")


def resources(document: Any) -> list[Resource]:
    """Every resource that will stand.

    Raises:
        ValueError: it is no such document.
    """
    steps = document.get("steps") if isinstance(document, dict) else None
    if not isinstance(steps, list):
        raise ValueError("is no preview: `pulumi preview --json` writes a map with `steps`")
    # A replacement has a step for each of its halves: the last word counts.
    found: dict[str, Resource] = {}
    for step in steps:
        state = step.get("newState") or {}
        if step.get("op") in _GOES or not state:
            continue
        urn = str(state.get("urn", step.get("urn", "")))
        found[urn] = Resource(
            type=str(state.get("type", "")),
            name=urn.rpartition("::")[2],
            props=plain(state.get("inputs") or {}),
            urn=urn,
            parent=str(state.get("parent", "")),
        )
    return list(found.values())
