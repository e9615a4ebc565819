"""A Terraform state, version 4 (`terraform state pull`), read as if Pulumi's bridged provider had made its resources.

Terraform's blocks are lists and its names have underscores; Pulumi's are objects and camels. Only names are translated
here; `fleet.inventory.resource.at` steps into the lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.inventory.kinds import by_terraform
from fleet.inventory.resource import Program, Resource
from fleet.inventory.state import InventoryError
from fleet.printed import is_plain

_VERSION = 4


def read(document: Mapping[str, Any], name: str, where: str) -> Program:
    """The resources of a state.

    Raises:
        InventoryError: it is of another version.
    """
    if document.get("version") != _VERSION:
        raise InventoryError(
            f"{where}: a Terraform state of version {document.get('version')}: `terraform state pull` writes 4"
        )
    return Program(name, "a Terraform state", tuple(_resources(document.get("resources") or ())))


def _resources(rows: Any) -> Iterator[Resource]:
    tokens = by_terraform()
    for row in rows:
        if row.get("mode") != "managed":
            continue
        address = ".".join(part for part in (row.get("module"), row["type"], row["name"]) if part)
        if not is_plain(address):
            raise TypeError("a resource has a name that cannot be printed")
        for number, instance in enumerate(row.get("instances") or ()):
            key = instance.get("index_key", number if len(row["instances"]) > 1 else None)
            own = address if key is None else f"{address}[{key!r}]"
            props = _camel(instance.get("attributes") or {})
            yield Resource(tokens.get(row["type"], row["type"]), own, own, props, str(props.get("id") or ""))


def _camel(value: Any) -> Any:
    if isinstance(value, dict):
        return {_name(key): _camel(one) for key, one in value.items()}
    return [_camel(one) for one in value] if isinstance(value, list) else value


def _name(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(word[:1].upper() + word[1:] for word in rest)
