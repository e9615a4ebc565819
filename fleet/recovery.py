"""Before a run: take over what a killed run made and no state mentions, with no human step (docs/adr/0005).

Creates that were in flight, or that a dead plugin never reported, are looked for by their deterministic name or
ownership tags (`fleet.lookup`), written into the state and refreshed from the cloud, which drops what is not there.
Locks and torn files are mended before (`fleet.file_backend`).

Stock Pulumi warns, and makes them again (8 orphans of 60, measured). Refuses to guess: what is found twice is an error
that names both, and so is what carries another owner's tags.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fleet.engine import Engine, Event
from fleet.lookup import STACK_TAG, TAGS, Wanted, stack_of

# Adopting a parent can make its children's inputs known, and so findable; a platform is not deeper than this.
_ROUNDS = 10
# Server-side apply makes these again without harm, so they need no look-up.
_IDEMPOTENT = ("kubernetes:", "pulumi:", "accelfleet:")


@dataclass
class Recovered:
    """What was mended, for the log: the state, locks broken, resources adopted, pending operations that came to nothing."""

    state: str | None = None
    locks: list[str] = field(default_factory=list)
    adopted: list[str] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        return (
            [said for said in (self.state,) if said]
            + [f"broke the lock of dead process {pid}" for pid in self.locks]
            + [f"adopted {urn}" for urn in self.adopted]
            + [f"cleared an unfinished operation on {urn}" for urn in self.cleared]
        )


def recover(engine: Engine, *, unclean: bool, on_event: Callable[[Event], None] | None = None) -> Recovered:
    """Mend the stack's state, once its files are sound (`fleet.file_backend`).

    Args:
        unclean: the last run of this stack did not end well, so the cloud may hold what no state mentions.

    Raises:
        RuntimeError: a resource exists twice, or the engine refused a repaired state.
    """
    done = Recovered()
    if not (unclean or _pending(engine.export())):
        return done
    tried: set[str] = set()
    for _ in range(_ROUNDS):
        before = len(tried)
        done.adopted += _adopt_found(engine, tried, on_event)
        if len(tried) == before:
            break
    done.cleared = _clear_pending(engine)
    return done


def _pending(export: dict[str, Any]) -> list[dict[str, Any]]:
    return list((export.get("deployment") or {}).get("pending_operations") or [])


def _adopt_found(engine: Engine, tried: set[str], on_event: Callable[[Event], None] | None) -> list[str]:
    """One round: put what is planned or pending, and may exist, into the state and read it; returns what was there.

    Args:
        tried: urns of earlier rounds, which need no second look; gets those of this one.
    """
    export = engine.export()
    deployment = export["deployment"]
    state = {r["urn"]: r for r in deployment.get("resources") or []}
    planned = {p["urn"]: p for p in _planned_creates(engine, on_event)}
    candidates = planned | {op["resource"]["urn"]: op["resource"] for op in _pending(export) if op["type"] == "creating"}
    pending = {op["resource"]["urn"] for op in _pending(export)}
    wanted: dict[str, Wanted] = {}
    for urn, resource in candidates.items():
        if urn in state or urn in tried or not resource.get("custom") or resource["type"].startswith(_IDEMPOTENT):
            continue
        sought = Wanted(resource["type"], resource.get("inputs") or {}, _provider_inputs(resource, state, candidates))
        ids = engine.workspace.finder.find(engine.stack, sought)
        if ids is None and urn in pending:
            raise RuntimeError(_by_hand(engine.stack, urn))
        if ids is not None and len(ids) > 1:
            raise RuntimeError(f"{urn} exists {len(ids)} times ({', '.join(ids)}): delete all but one, then run again")
        if ids:
            _put(state, candidates, urn, ids[0])
            wanted[urn] = sought
    if not wanted:
        return []
    tried.update(wanted)
    deployment["resources"] = list(state.values())
    deployment["pending_operations"] = [op for op in _pending(export) if op["resource"]["urn"] not in wanted]
    _import(engine, export)
    targets = [flag for urn in wanted for flag in ("--target", urn)]
    outcome = engine.run("refresh", *targets, on_event=on_event)
    if not outcome.ok:
        raise RuntimeError("resources that may exist could not be read: " + "; ".join(outcome.errors))
    return _ours(engine, wanted)


def _ours(engine: Engine, wanted: dict[str, Wanted]) -> list[str]:
    """Which of the adopted are still there after the refresh; what is somebody else's goes out of the state again."""
    export = engine.export()
    resources = export["deployment"].get("resources") or []
    there = {r["urn"]: r for r in resources if r["urn"] in wanted}
    foreign = {
        urn: found["id"]
        for urn, found in there.items()
        if wanted[urn].stack is not None and _taggable(found) and stack_of(found.get("outputs") or {}) != wanted[urn].stack
    }
    if foreign:
        export["deployment"]["resources"] = [r for r in resources if r["urn"] not in foreign]
        _import(engine, export)
        named = ", ".join(f"{urn.rpartition('::')[2]} ({id_})" for urn, id_ in foreign.items())
        raise RuntimeError(
            f"{named}: exists, but its {STACK_TAG} tag does not name {engine.stack}; it is somebody else's, or was made by "
            "hand: rename ours in the stack file, or delete theirs, then run again"
        )
    return list(there)


def _taggable(found: dict[str, Any]) -> bool:
    return any(isinstance((found.get("outputs") or {}).get(place), dict) for place in TAGS)


def _provider_inputs(resource: dict[str, Any], state: dict[str, Any], candidates: dict[str, Any]) -> dict[str, Any]:
    urn = str(resource.get("provider") or "").rpartition("::")[0]
    provider = state.get(urn) or candidates.get(urn) or {}
    return dict(provider.get("inputs") or {})


def _put(state: dict[str, Any], candidates: dict[str, Any], urn: str, id_: str | None = None) -> None:
    """Add a resource to the state after its parent and provider, which a very early crash may have left out, too."""
    if urn in state or urn not in candidates:
        return
    resource = dict(candidates[urn])
    provider = str(resource.get("provider") or "").rpartition("::")[0]
    for needed in (resource.get("parent"), provider):
        if needed:
            _put(state, candidates, needed)
    if provider in state:
        resource["provider"] = f"{provider}::{state[provider]['id']}"
    if resource["type"].startswith("pulumi:providers:"):
        # Providers get their id from the engine; any will do.
        resource |= {"id": str(uuid.uuid4()), "outputs": resource.get("inputs") or {}}
    elif id_ is not None:
        resource |= {"id": id_, "outputs": {}}
    state[urn] = resource


def _planned_creates(engine: Engine, on_event: Callable[[Event], None] | None) -> list[dict[str, Any]]:
    """What a preview would create, providers and components included, as far as its inputs are known."""
    planned: list[dict[str, Any]] = []

    def take(event: Event) -> None:
        meta = (event.get("resourcePreEvent") or {}).get("metadata") or {}
        new = meta.get("new") or {}
        if meta.get("op") == "create":
            wanted = ("urn", "type", "custom", "parent", "provider", "inputs")
            planned.append({"custom": False, **{k: new[k] for k in wanted if new.get(k)}})
        if on_event is not None and "diagnosticEvent" in event:
            on_event(event)

    outcome = engine.run("preview", on_event=take)
    if not outcome.ok:
        raise RuntimeError("; ".join(outcome.errors))
    return planned


def _clear_pending(engine: Engine) -> list[str]:
    """Drop operations that are settled: a create found nowhere never happened, updates and deletes are done again by `up`."""
    export = engine.export()
    left = [op["resource"]["urn"] for op in _pending(export)]
    if left:
        export["deployment"]["pending_operations"] = []
        _import(engine, export)
    return left


def _import(engine: Engine, export: dict[str, Any]) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(export, file)
        file.flush()
        done = engine.plain("stack", "import", "--stack", engine.stack, "--file", file.name)
    if done.returncode != 0:
        raise RuntimeError(f"the repaired state of {engine.stack} was refused: {done.stderr.strip()}")


def _by_hand(stack: str, urn: str) -> str:
    """What to do about a type that nobody can look up: the exact command, with the id to fill in."""
    return (
        f"a killed run may have made {urn.rpartition('::')[2]}, and its id cannot be told from here; find it in the cloud by "
        f"its name and run: pulumi refresh --stack {stack} --import-pending-creates '{urn}' --import-pending-creates <id>; "
        f"if it is not there: pulumi refresh --stack {stack} --clear-pending-creates"
    )
