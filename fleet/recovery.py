"""Before a run: mend what a killed run left, with no human step (docs/adr/0005).

1. A lock whose process is dead on this host is broken; anyone else's lock, never.
2. Creates that were in flight, or that a dead plugin never reported, are looked up in the cloud by their deterministic
   name or ownership tags, written into the state and refreshed from the cloud.

Stock Pulumi leaves the lock, warns, and makes them again (8 orphans of 60, measured). Refuses to guess: what is found
twice is an error that names both.
"""

from __future__ import annotations

import json
import socket
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import psutil

from fleet.engine import Engine, Event

# Adopting a parent can make its children's inputs known, and so findable; a platform is not deeper than this.
_ROUNDS = 10
# Server-side apply makes these again without harm, so they need no look-up.
_IDEMPOTENT = ("kubernetes:", "pulumi:", "accelfleet:")


@dataclass
class Recovered:
    """What was mended, for the log: locks broken, resources adopted, pending operations that came to nothing."""

    locks: list[str] = field(default_factory=list)
    adopted: list[str] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        return (
            [f"broke the lock of dead process {pid}" for pid in self.locks]
            + [f"adopted {urn}" for urn in self.adopted]
            + [f"cleared an unfinished operation on {urn}" for urn in self.cleared]
        )


def recover(engine: Engine, *, unclean: bool, on_event: Callable[[Event], None] | None = None) -> Recovered:
    """Mend the stack's state, once its dead lock is broken (`break_dead_locks`).

    Args:
        unclean: the last run of this stack did not end well, so the cloud may hold what no state mentions.

    Raises:
        RuntimeError: somebody else holds the lock, a resource exists twice, or the engine refused a repaired state.
    """
    done = Recovered()
    pending = _pending(engine.export())
    if pending and engine.workspace.view is None:
        raise RuntimeError(_by_hand(engine.stack, pending))
    if not (pending or unclean) or engine.workspace.view is None:
        return done
    for _ in range(_ROUNDS):
        adopted = _adopt_found(engine, on_event)
        if not adopted:
            break
        done.adopted += adopted
    done.cleared = _clear_pending(engine)
    return done


def _pending(export: dict[str, Any]) -> list[dict[str, Any]]:
    return list((export.get("deployment") or {}).get("pending_operations") or [])


def _adopt_found(engine: Engine, on_event: Callable[[Event], None] | None) -> list[str]:
    """One round: find what is planned or pending and exists already, put it into the state, read it back."""
    export = engine.export()
    deployment = export["deployment"]
    state = {r["urn"]: r for r in deployment.get("resources") or []}
    planned = {p["urn"]: p for p in _planned_creates(engine, on_event)}
    candidates = planned | {op["resource"]["urn"]: op["resource"] for op in _pending(export) if op["type"] == "creating"}
    adopted = []
    for urn, resource in candidates.items():
        if urn in state or not resource.get("custom") or resource["type"].startswith(_IDEMPOTENT):
            continue
        view = engine.workspace.view
        ids = view.find(engine.stack, resource["type"], resource.get("inputs") or {}) if view else []
        if len(ids) > 1:
            raise RuntimeError(f"{urn} exists {len(ids)} times ({', '.join(ids)}): delete all but one, then run again")
        if ids:
            _put(state, candidates, urn, ids[0])
            adopted.append(urn)
    if not adopted:
        return []
    deployment["resources"] = list(state.values())
    deployment["pending_operations"] = [op for op in _pending(export) if op["resource"]["urn"] not in adopted]
    _import(engine, export)
    targets = [flag for urn in adopted for flag in ("--target", urn)]
    outcome = engine.run("refresh", *targets, on_event=on_event)
    if not outcome.ok:
        raise RuntimeError("adopted resources could not be read back: " + "; ".join(outcome.errors))
    return adopted


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


def _by_hand(stack: str, pending: list[dict[str, Any]]) -> str:
    """What to do where no look-up is at hand: the exact command, with the ids to fill in."""
    urns = [op["resource"]["urn"] for op in pending if op["type"] == "creating"]
    pairs = " ".join(f"--import-pending-creates '{urn}' --import-pending-creates <id>" for urn in urns)
    return (
        f"stack {stack} has {len(urns)} creates that a killed run left unfinished; find them in the cloud by their names "
        f"and run: pulumi refresh --stack {stack} {pairs}"
    )


def break_dead_locks(engine: Engine) -> list[str]:
    """Break locks of dead processes of this host; returns their pids. Only the file backend keeps locks we can read.

    Raises:
        RuntimeError: a living process, or another host, holds the lock.
    """
    backend = urlparse(engine.workspace.env.get("PULUMI_BACKEND_URL", ""))
    if backend.scheme != "file":
        return []
    broken = []
    for lock in Path(backend.path).glob(f".pulumi/locks/organization/*/{engine.stack}/*.json"):
        about: dict[str, Any] = json.loads(lock.read_text())
        if about.get("hostname") != socket.gethostname() or _alive(int(about["pid"])):
            raise RuntimeError(
                f"stack {engine.stack} is locked by {about.get('username')}@{about.get('hostname')} (pid {about.get('pid')}) "
                f"since {about.get('timestamp')}: wait for that run; if it is surely gone, "
                f"`pulumi cancel --stack {engine.stack}`"
            )
        lock.unlink()
        broken.append(str(about["pid"]))
    return broken


def _alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
