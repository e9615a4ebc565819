"""The engine's event stream: `pulumi preview --event-log FILE`, one JSON document a line, or what the service stores.

Tells both sides of a change, what happens to each resource, and what policies said: `pulumi preview --json` lacks the last.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from fleet.inventory.resource import Op, Program, Step, Violation, is_secret, plain, text
from fleet.inventory.state import InventoryError, checked, is_provider, made, place_of

# The engine's operations, by what they are to a reader. A replacement comes as several steps of one URN.
# https://github.com/pulumi/pulumi/blob/v3.259.0/sdk/go/common/apitype/events.go: OpType
_OPS: dict[str, Op | None] = {
    "same": None,
    "read": None,
    "refresh": None,
    "create": "create",
    "import": "create",
    "update": "update",
    "delete": "delete",
    "discard": "delete",
    "replace": "replace",
    "create-replacement": "replace",
    "delete-replaced": "replace",
    "read-replacement": "replace",
    "import-replacement": "replace",
    "discard-replaced": "replace",
}
_WEIGHT = {None: 0, "update": 1, "create": 2, "delete": 2, "replace": 3}
_LONGEST = 200
# A step of a path as the engine writes it: `["a.b"]`, `[0]` or `name`.
_PATH = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\[]+)')


def read(events: Iterable[Mapping[str, Any]], where: str) -> Program:
    """The program before and after.

    Raises:
        InventoryError: the stream names no resource.
    """
    seen: dict[str, dict[str, Any]] = {}
    violations: list[Violation] = []
    packs: set[str] = set()
    for event in events:
        if said := event.get("policyEvent"):
            violations.append(_violation(said))
            packs.add(text(said, "policyPackName") or "")
        summary = event.get("summaryEvent") or {}
        packs.update(summary.get("PolicyPacks") or summary.get("policyPacks") or ())
        step = event.get("resourcePreEvent") or event.get("resOutputsEvent")
        if step:
            _remember(seen, step["metadata"])
    if not seen:
        raise InventoryError(f"{where}: names no resource: write it by `pulumi preview --event-log FILE` and let it end")
    places = {
        urn: place
        for urn, one in seen.items()
        if is_provider(one["type"])
        for side in ("new", "old")
        if one[side] and (place := place_of(one[side]))
    }
    own = [one for one in seen.values() if _provided(one)]
    return Program(
        name=next(iter(seen)).split(":")[2],
        told_from="the engine's events",
        before=tuple(made(one["old"], places) for one in own if one["old"]),
        after=tuple(made(one["new"], places) for one in own if one["new"]),
        steps=tuple(_step(one, places) for one in own if one["op"]),
        violations=tuple(violations) if packs else None,
        packs=frozenset(packs),
        rows=tuple(one["new"] for one in seen.values() if one["new"]),
        rows_before=tuple(one["old"] for one in seen.values() if one["old"]),
    )


def _remember(seen: dict[str, dict[str, Any]], step: Mapping[str, Any]) -> None:
    if step["op"] not in _OPS:
        return
    op = _OPS[step["op"]]
    for side in (step, step.get("old"), step.get("new")):
        checked({**side, "urn": step["urn"]}) if side else None
    one = seen.setdefault(step["urn"], {"type": step["type"], "op": None, "old": None, "new": None, "diff": {}})
    if _WEIGHT[op] >= _WEIGHT[one["op"]]:
        one["op"] = op
    # A replaced one's second half has no `old` of its own that counts, and what is deleted has no `new`.
    if step.get("old") and one["old"] is None:
        one["old"] = {**step["old"], "urn": step["urn"]}
    if step.get("new") and op != "delete" and step["op"] not in ("delete-replaced", "discard-replaced"):
        one["new"] = {**step["new"], "urn": step["urn"]}
    if op == "delete":
        one["new"] = None
    for path in step.get("detailedDiff") or step.get("diffs") or ():
        one["diff"][path] = None


def _provided(one: Mapping[str, Any]) -> bool:
    return not is_provider(one["type"]) and bool((one["new"] or one["old"] or {}).get("custom"))


def _step(one: Mapping[str, Any], places: Mapping[str, str]) -> Step:
    resource = made(one["new"] or one["old"], places)
    if one["op"] in ("create", "delete"):
        return Step(one["op"], resource)
    old, new = ((one[side] or {}).get("inputs") or {} for side in ("old", "new"))
    return Step(one["op"], resource, tuple((path, _text(old, path), _text(new, path)) for path in one["diff"]))


def _text(inputs: Mapping[str, Any], path: str) -> str | None:
    """A value as one may show it: what is secret or unknown by that word, and not at any length."""
    raw = _value(inputs, path)
    if raw is None:
        return None
    shown = plain(raw)
    words = "known after `up`, or secret" if shown is None else str(shown).lower() if isinstance(shown, bool) else str(shown)
    return words if len(words) <= _LONGEST else f"{words[:_LONGEST]}…"


def _value(inputs: Any, path: str) -> Any:
    """What stands at a path, or the secret on the way to it; None where nothing does."""
    for quoted, number, name in _PATH.findall(path):
        if is_secret(inputs):
            return inputs
        if number:
            inputs = inputs[int(number)] if isinstance(inputs, list) and int(number) < len(inputs) else None
        else:
            inputs = inputs.get(quoted.replace('\\"', '"') or name) if isinstance(inputs, Mapping) else None
    return inputs


def _violation(said: Mapping[str, Any]) -> Violation:
    pack, rule, level, urn = (
        text(said, key) or "" for key in ("policyPackName", "policyName", "enforcementLevel", "resourceUrn")
    )
    return Violation(f"{pack}/{rule}", level, urn, " ".join(_uncoloured(said.get("message") or "").split()))


def _uncoloured(message: str) -> str:
    while "<{%" in message:
        head, _, rest = message.partition("<{%")
        message = head + rest.partition("%}>")[2]
    return message
