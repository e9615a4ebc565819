"""How a type of resource behaves in its cloud: its id, its outputs, what it refuses and what it sets in motion.

A type without a behaviour of its own is *unmodelled*: its checked inputs are recorded, its outputs are made from the
SDK's own types, and the plugin says so by name. Types are modelled where a program would notice the difference.
"""

from __future__ import annotations

import hashlib
import io
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandbox.cloud.errors import CloudError
from sandbox.cloud.records import Record

if TYPE_CHECKING:
    from sandbox.cloud.world import World

# The simulated account, the same everywhere so that programs and docs can name it.
AWS_ACCOUNT = "123456789012"
GCP_PROJECT = "accelfleet-sandbox"
GCP_PROJECT_NUMBER = "123456789012"
AZURE_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
AZURE_TENANT = "11111111-1111-1111-1111-111111111111"

# Inputs that are a resource's own name, in the order the providers prefer them.
NAME_INPUTS = (
    "name",
    "bucket",
    "clusterName",
    "nodeGroupName",
    "functionName",
    "accountId",
    "keyRingId",
    "workgroupName",
)


def serial(*parts: str, length: int = 17) -> str:
    """A stable made-up identifier: hexadecimal digits derived from the parts."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:length]


@dataclass(frozen=True)
class Behaviour:
    """What every type does unless a subclass says otherwise.

    Attributes:
        prefix: of ids that the cloud gives out (`vpc-`); None when the id is the resource's name or is made from inputs.
        key: inputs that, joined by `/`, are the id: a second create of the same key is the same thing.
        holds: (type, input) pairs: while a record of that type names this one in that input, it cannot be deleted.
        immutable: inputs that cannot change in place.
    """

    prefix: str | None = None
    key: tuple[str, ...] = ()
    holds: tuple[tuple[str, str], ...] = ()
    immutable: tuple[str, ...] = ()

    def identify(self, world: World, record: Record) -> str:
        """The id the cloud gives it."""
        if self.key:
            return "/".join(str(record.inputs.get(part, "")) for part in self.key)
        if self.prefix is not None:
            return self.prefix + world.next_serial(record.urn)
        for part in NAME_INPUTS:
            if isinstance(name := record.inputs.get(part), str) and name:
                return name
        return f"{record.type.rsplit(':', 1)[-1].lower()}-{world.next_serial(record.urn)}"

    def refuse(self, world: World, record: Record) -> None:
        """Raise CloudError for what this cloud would not create or change."""

    def outputs(self, world: World, record: Record) -> dict[str, Any]:
        """Outputs that the cloud computes; inputs are outputs already."""
        return {}

    def created(self, world: World, record: Record) -> dict[str, Any]:
        """Set things in motion; returns further outputs. The record exists already, as in a cloud."""
        return {}

    def updated(self, world: World, record: Record, old: dict[str, Any]) -> dict[str, Any]:
        """Carry a change of inputs out; returns outputs that changed with it."""
        return {}

    def observed(self, world: World, record: Record) -> dict[str, Any]:
        """Outputs that live a life of their own (an autoscaled size), as a refresh would find them."""
        return {}

    def deleting(self, world: World, record: Record) -> None:
        """Take down what `created` set in motion; raise CloudError when the cloud would refuse."""

    def check_unused(self, world: World, record: Record) -> None:
        """Refuse deletion while something holds this resource, by name, as the clouds do."""
        for type_, part in self.holds:
            for other in world.records.all(record.cloud, type_):
                if other.id != record.id and names(other.inputs, part, record.id):
                    raise CloudError(
                        "DependencyViolation",
                        f"{record.type} {record.name} ({record.id}) is in use by {other.type} {other.name} ({other.id})",
                    )


def own_id(world: World, record: Record) -> str:
    """An id for a type nobody models: its own name while that is free, as only some names have to be unique.

    Never the name of the bucket or cluster it belongs to, since several may belong to one.
    """
    name = record.inputs.get("name")
    if isinstance(name, str) and name and world.records.get(record.cloud, record.type, name) is None:
        return name
    return f"{record.type.rsplit(':', 1)[-1].lower()}-{world.next_serial(record.urn)}"


def bytes_of(record: Record) -> bytes | None:
    """The bytes of a record's asset (`source`) as the engine sends it, of an archive as a zip; None where there are none.

    A relative path is the program's, whose directory its plugin says.
    """
    files = _files(record.inputs.get("source"), Path(record.config.get("directory") or "/"))
    if not files or "" in files:
        return files.get("")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            # Without a date of its own, so that the same files are the same bytes.
            archive.writestr(zipfile.ZipInfo(name), data)
    return packed.getvalue()


def _files(source: Any, base: Path) -> dict[str, bytes]:
    """The files of an archive by their path in it; a single asset has the empty one."""
    match source:
        case {"text": str(text)}:
            return {"": text.encode()}
        case {"assets": dict(inside)}:
            parts = {name: _files(part, base) for name, part in inside.items()}
            return {f"{name}/{below}".rstrip("/"): data for name, part in parts.items() for below, data in part.items()}
        case {"path": str(path)}:
            place = base / path
            if place.is_file():
                return {"": place.read_bytes()}
            return {file.relative_to(place).as_posix(): file.read_bytes() for file in place.rglob("*") if file.is_file()}
    return {}


def ask_store(method: str, url: str, body: bytes | None = None, **headers: str) -> bytes:
    """One request to an object store; returns what it answers.

    Raises:
        CloudError: it refused, with its own status.
    """
    given = {"content-type": "application/octet-stream", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(url, body, given, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
            return bytes(reply.read())
    except urllib.error.HTTPError as refused:
        why = refused.read().decode(errors="replace")[:200]
        raise CloudError("StoreError", f"{method} {url}: {refused.reason} {why}", refused.code) from None


def names(inputs: dict[str, Any], path: str, wanted: str) -> bool:
    """Whether the input at a dotted path, a string or a list of them, is `wanted` or ends in it."""
    value: Any = inputs
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    values = value if isinstance(value, list) else [value]
    return any(isinstance(v, str) and (v == wanted or v.endswith("/" + wanted)) for v in values)
