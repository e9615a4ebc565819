"""A Pulumi state: what `pulumi stack export` prints, or a checkpoint of a self-managed backend. Version 3 of both."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from fleet.inventory.resource import Program, Resource, plain, text
from fleet.printed import is_plain, one_line

_VERSION = 3
# azure-native:compute/v20240301:VirtualMachine is azure-native:compute:VirtualMachine of another API version.
_API_VERSION = re.compile(r"^(azure-native:\w+)/v\d{8}\w*:")
_ALWAYS = ("urn", "type")
_KINDS = {
    **dict.fromkeys((*_ALWAYS, "parent", "provider"), str),
    **dict.fromkeys(("inputs", "outputs", "propertyDependencies"), dict),
    "dependencies": list,
}
# A provider's settings by which its resources have a place; GCP's zone stands in for its region.
_PLACES = ("region", "location", "zone")


class InventoryError(Exception):
    """The file is none that can be read; the message says why and how to mend it, in one line."""

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def read(document: Mapping[str, Any], where: str) -> Program:
    """The resources of a state.

    Raises:
        InventoryError: it is of another version, or has no resources' list.
    """
    if document.get("version") != _VERSION:
        raise InventoryError(f"{where}: a state of version {document.get('version')}: write it anew by `pulumi stack export`")
    deployment = document.get("deployment") or (document.get("checkpoint") or {}).get("latest")
    rows = (deployment or {}).get("resources")
    if rows is None and deployment is None:
        raise InventoryError(f"{where}: has neither deployment nor checkpoint: write it by `pulumi stack export`")
    # One that waits to be deleted has been replaced already.
    standing = [checked(row) for row in rows or () if not row.get("delete")]
    name = next((row["urn"].split(":")[2] for row in standing), where)
    return Program(name, "a state", resources(standing), rows=tuple(standing))


def checked(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The engine's row, if what everybody reads of it is of its kind.

    Raises:
        TypeError: it is not, or a name cannot be printed.
    """
    for key, kind in _KINDS.items():
        value = row[key] if key in _ALWAYS else row.get(key)
        if not isinstance(value, kind) and (value is not None or key in _ALWAYS):
            raise TypeError(f"{key} of a resource is {type(value).__name__}, no {kind.__name__}")
    needs = [urn for urns in (row.get("propertyDependencies") or {}).values() for urn in urns or ()]
    for name in (row["urn"], row["type"], row.get("parent") or "", *(row.get("dependencies") or ()), *needs):
        if not isinstance(name, str) or not is_plain(name):
            raise TypeError("a resource has a name that cannot be printed")
    return row


def resources(rows: Iterable[Mapping[str, Any]]) -> tuple[Resource, ...]:
    """The engine's rows as resources: those that a provider has, without components and providers."""
    all_ = list(rows)
    places = {row["urn"]: place for row in all_ if is_provider(row["type"]) and (place := place_of(row))}
    return tuple(made(row, places) for row in all_ if row.get("custom") and not is_provider(row["type"]))


def is_provider(type_: str) -> bool:
    return type_.startswith("pulumi:providers:")


def place_of(provider: Mapping[str, Any]) -> str | None:
    """Where a provider's resources are unless they say otherwise."""
    settings = plain({**(provider.get("outputs") or {}), **(provider.get("inputs") or {})})
    return text(settings, *_PLACES)


def made(row: Mapping[str, Any], places: Mapping[str, str]) -> Resource:
    """One row of the engine's."""
    provider = (row.get("provider") or "").rpartition("::")[0]
    given = plain({**(row.get("outputs") or {}), **(row.get("inputs") or {})})
    needs = row.get("propertyDependencies") or {}
    return Resource(
        type=_API_VERSION.sub(r"\1:", row["type"]),
        name=row["urn"].rsplit("::", 1)[-1],
        urn=row["urn"],
        props=given,
        id=text(plain({"id": row.get("id")}), "id") or "",
        region=places.get(provider),
        needs={name: tuple(urns or ()) for name, urns in needs.items()},
    )
