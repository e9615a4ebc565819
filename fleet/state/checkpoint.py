"""A stack's state as the engine wrote it, and what is wrong with it, told without an engine where the state is a file.

The engine refuses what is no JSON; a flipped bit that leaves JSON it takes for a wish: of one in a resource's name stock
Pulumi made a new resource and deleted the old (measured). The file backend keeps an MD5 beside each file, so that any
flip is found there; elsewhere what URNs, types, parents and providers say of each other has to agree.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from fleet.engine import Engine
from fleet.file_backend import directory

# Of deployments, sdk/go/common/apitype: older ones the engine migrates, a later one it refuses.
_VERSIONS = range(1, 5)


class Damaged(Exception):
    """The state cannot be what the engine wrote; the message says where and how."""


class Torn(Damaged):
    """It is not all there."""


@dataclass(frozen=True)
class State:
    """A sound state.

    Attributes:
        document: what `pulumi stack import` takes; secrets as the state has them, encrypted.
        checked: the backend's own checksum was there and is right.
    """

    document: dict[str, Any]
    checked: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of its content, however it is spaced."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def text(self) -> str:
        return json.dumps(self.document, sort_keys=True, separators=(",", ":"))

    @property
    def resources(self) -> int:
        return len((self.document.get("deployment") or {}).get("resources") or [])

    @property
    def written(self) -> datetime | None:
        """When the engine wrote it, by the clock of that machine; None where it does not say."""
        said = ((self.document.get("deployment") or {}).get("manifest") or {}).get("time")
        try:
            return datetime.fromisoformat(str(said))
        except ValueError:
            return None


def read(engine: Engine, *, unclean: bool = False) -> State | None:
    """The stack's state; None where the backend has none.

    Args:
        unclean: the last run was killed, so the checksum beside the file may be of a save that never came.

    Raises:
        Damaged: it is not what the engine wrote.
    """
    if (place := file_of(engine)) is not None:
        return _from_file(place, unclean) if place.exists() else None
    done = engine.plain("stack", "export", "--stack", engine.stack)
    if done.returncode != 0:
        if "no stack named" in done.stderr:
            return None
        raise Damaged(f"the engine cannot read it: {done.stderr.strip()}")
    return parse(done.stdout.encode())


def file_of(engine: Engine) -> Path | None:
    """The state's file, there or not; None where the backend is no directory."""
    place = directory(engine)
    if place is None:
        return None
    project = YAML(typ="safe").load(engine.workspace.project / "Pulumi.yaml")["name"]
    plain = place / ".pulumi" / "stacks" / str(project) / f"{engine.stack}.json"
    packed = plain.with_name(f"{plain.name}.gz")
    return packed if packed.exists() and not plain.exists() else plain


def previous(engine: Engine) -> State | None:
    """The save before the last, which the file backend keeps as `.bak`; None where there is none that is whole."""
    place = file_of(engine)
    if place is None:
        return None
    try:
        return parse(_unpacked(place.with_name(f"{place.name}.bak").read_bytes(), place))
    except (Damaged, OSError, EOFError):
        return None


def _unpacked(raw: bytes, place: Path) -> bytes:
    return gzip.decompress(raw) if place.suffix == ".gz" else raw


def _from_file(place: Path, unclean: bool) -> State:
    raw = place.read_bytes()
    if not raw.strip():
        raise Torn(f"{place} is empty")
    wanted = _kept_checksum(place)
    # MD5 is what the backend keeps; it is held against accidents here, not against anybody.
    right = wanted is None or hashlib.md5(raw, usedforsecurity=False).digest() == wanted
    try:
        found = parse(_unpacked(raw, place))
    except (Torn, EOFError) as wrong:
        raise Torn(f"{place}: {wrong}") from None
    except (Damaged, OSError) as wrong:
        raise Damaged(f"{place}: {wrong}") from None
    if not right and not unclean:
        raise Damaged(f"{place} is not what was written: its MD5 is not the one kept in {place.name}.attrs")
    return State(found.document, checked=wanted is not None and right)


def _kept_checksum(place: Path) -> bytes | None:
    try:
        return base64.b64decode(json.loads(place.with_name(f"{place.name}.attrs").read_bytes())["md5"] or "") or None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def parse(raw: bytes) -> State:
    """A state out of what the file backend or `pulumi stack export` wrote.

    Raises:
        Damaged: it is no state, or one that contradicts itself.
    """
    try:
        document = json.loads(raw)
    except ValueError as wrong:
        raise Torn(f"is cut off or no JSON ({wrong})") from None
    if not isinstance(document, dict) or document.get("version") not in _VERSIONS:
        version = document.get("version") if isinstance(document, dict) else None
        raise Damaged(f"has version {version!r}, and this engine's states have {_VERSIONS[0]} to {_VERSIONS[-1]}")
    if isinstance(checkpoint := document.get("checkpoint"), dict):
        rest = {key: value for key, value in document.items() if key != "checkpoint"}
        document = {**rest, "deployment": checkpoint.get("latest")}
    deployment = document.get("deployment")
    if deployment is None:
        return State(document)
    if not isinstance(deployment, dict) or not isinstance(deployment.get("resources") or [], list):
        raise Damaged("holds no list of resources")
    wrong_with = list(_contradictions(deployment.get("resources") or []))
    if wrong_with:
        more = f", and {len(wrong_with) - 3} more" if len(wrong_with) > 3 else ""
        raise Damaged("; ".join(wrong_with[:3]) + more)
    return State(document)


def _contradictions(resources: list[Any]) -> Iterator[str]:
    """What no engine writes: each resource names itself once, and only what stands before it."""
    known: set[str] = set()
    living: set[str] = set()
    providers: set[str] = set()
    for i, resource in enumerate(resources):
        urn = resource.get("urn") if isinstance(resource, dict) else None
        if not isinstance(urn, str) or not urn.startswith("urn:pulumi:") or urn.count("::") < 3:
            yield f"resource {i} has no URN"
            continue
        name = urn.rpartition("::")[2]
        kind = urn.split("::")[2].rpartition("$")[2]
        if resource.get("type") != kind:
            yield f"{name} is a {resource.get('type')}, and its URN says {kind}"
        if not resource.get("delete"):
            if urn in living:
                yield f"{name} is there twice"
            living.add(urn)
        if (parent := resource.get("parent")) and parent not in known:
            yield f"{name} lies under {str(parent).rpartition('::')[2]}, which is not there"
        if (provider := resource.get("provider")) and provider not in providers:
            yield f"{name} is of the provider {provider}, which is not there"
        for dependency in resource.get("dependencies") or []:
            if dependency not in known:
                yield f"{name} depends on {str(dependency).rpartition('::')[2]}, which is not there"
        known.add(urn)
        if kind.startswith("pulumi:providers:"):
            providers.add(f"{urn}::{resource.get('id')}")
