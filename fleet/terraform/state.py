"""Terraform's state file, version 4, as resources and outputs; reads a local file and nothing else.

State has secrets in clear. A value is kept only where something here needs it, and neither errors nor `repr` show one.
https://developer.hashicorp.com/terraform/internals/json-format describes the stable form; this is the file itself, as Terraform
0.12 and later and OpenTofu write it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_VERSION = 4


class StateError(Exception):
    """The file is no state that can be read here; the message says why and what to do."""


@dataclass(frozen=True)
class Resource:
    """One resource that Terraform manages; `address` as Terraform prints it."""

    address: str
    type: str
    attributes: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """A name for Pulumi, unique as the address is: modules, name and key, without the type.

        >>> Resource('module.net.aws_subnet.private["us-east-1a"]', "aws_subnet", {}).name
        'net-private-us-east-1a'
        """
        words = re.sub(rf"(^|\.){re.escape(self.type)}\.", r"\1", self.address).replace("module.", "")
        return re.sub(r"[^A-Za-z0-9_]+", "-", words).strip("-")


@dataclass(frozen=True)
class Output:
    """One output of the root module."""

    value: Any = field(repr=False)
    sensitive: bool = False


@dataclass(frozen=True)
class State:
    resources: tuple[Resource, ...]
    outputs: Mapping[str, Output]


def read(path: Path) -> State:
    """The managed resources and the outputs; data sources and deposed instances are none of ours.

    Raises:
        StateError: it cannot be read, or is not of version 4.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as wrong:
        raise StateError(f"{path}: cannot be read: {wrong.strerror}") from None
    except ValueError:
        # The text may be a secret's: not quoted.
        raise StateError(f"{path}: is no JSON: give the state file itself, as `terraform state pull` prints it") from None
    version = found.get("version") if isinstance(found, dict) else None
    if version != _VERSION:
        said = f"is of version {version}" if isinstance(version, int) else "says no version"
        raise StateError(
            f"{path}: {said}, not {_VERSION}: let Terraform 0.12 or newer write it once (terraform apply -refresh-only)"
        )
    try:
        outputs = {key: Output(of["value"], bool(of.get("sensitive"))) for key, of in (found.get("outputs") or {}).items()}
        return State(tuple(_resources(found.get("resources") or [])), outputs)
    except (KeyError, TypeError, AttributeError):
        raise StateError(f"{path}: is not built as a state is: was it edited by hand?") from None


def _resources(listed: list[dict[str, Any]]) -> Iterator[Resource]:
    for one in listed:
        if one["mode"] != "managed":
            continue
        place = ".".join([*([one["module"]] if one.get("module") else []), one["type"], one["name"]])
        for instance in one["instances"]:
            if "deposed" in instance:
                continue
            key = instance.get("index_key")
            address = place if key is None else f"{place}[{json.dumps(key)}]"
            yield Resource(address, one["type"], instance.get("attributes") or {})
