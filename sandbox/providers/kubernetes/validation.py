"""Whether the API server would take an object: its own dry run, its answers turned into property paths."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sandbox.providers.base import Failure, has_unknown
from sandbox.providers.kubernetes.api import Api, ApiError, Kind, UnreachableError
from sandbox.providers.kubernetes.objects import without_unknowns

_UNKNOWN_FIELD = re.compile(r'(?:unknown|duplicate) field "([^"]+)"')
# Server-side apply says it so, and with status 500: `.spec.containers[name="c"].imagge: field not declared in schema`.
_TYPED = re.compile(r"""^\s*\.((?:[^:"\[]|\["[^"]*"\]|\[[^\]]*\])+): (.+?)$""", re.MULTILINE)
# A refusal of a change and not of a value: Job and Deployment, Service, Pod and StatefulSet each in its own words.
ABOUT_CHANGE = re.compile(r"immutable|may not change|Forbidden: (pod )?updates|updates to \w+ spec")
_NOT_TYPED = "failed to create typed patch object"
_NOT_CONVERTED = "failed to convert new object"
_STEP = re.compile(r"\.?([^.\[]+)|\[([^\]]+)\]")
_KEY = re.compile(r'(\w+)=("[^"]*"|[^,]+)')


def dry_run(api: Api, kind: Kind, namespace: str | None, inputs: Mapping[str, Any]) -> list[Failure]:
    """Apply the object without keeping it.

    With unknown parts left out only unknown and mistyped fields count: what is missing may be what is unknown. An
    object whose namespace is not there yet is decoded, and so checked, before its namespace is looked for.
    """
    known = without_unknowns(inputs)
    try:
        api.apply(kind, namespace, known, force=True, dry_run=True)
    except UnreachableError:
        return []
    except ApiError as error:
        return failures(error, kind.kind, known, partial=has_unknown(inputs))
    return []


def failures(error: ApiError, kind: str, inputs: Mapping[str, Any], partial: bool = False) -> list[Failure]:
    """What of a refusal is about the inputs.

    Args:
        partial: parts of the object were not known.
    """
    text = str(error)
    if _NOT_TYPED in text:
        # The list of errors starts on the line of the heading when there is one, on the next when there are more.
        listed = re.sub(rf".*{_NOT_TYPED}[^:]*: ", "", text, count=1, flags=re.DOTALL)
        return [Failure(indexed(path, inputs), reason) for path, reason in _TYPED.findall(listed)] or [Failure("", listed)]
    if _NOT_CONVERTED in text:
        return [Failure("", text.rpartition(f"Kind={kind}: ")[2])]
    if unknown := _UNKNOWN_FIELD.findall(text):
        return [Failure(path, "unknown field") for path in unknown]
    if partial or error.code not in (400, 422):
        return []
    if error.code == 400:
        return [Failure("", text)]
    # A change of an immutable field is a replacement, which `diff` says.
    causes = [c for c in error.causes if not ABOUT_CHANGE.search(c.get("message", ""))]
    return [Failure(c.get("field", ""), c.get("message", text)) for c in causes]


def indexed(path: str, inputs: Any) -> str:
    """A path of server-side apply, which names list items by their keys, as a property path, which counts them."""
    made, at = "", inputs
    for name, keys in _STEP.findall(path):
        if name:
            made += f".{name}" if made else name
            at = at.get(name) if isinstance(at, Mapping) else None
            continue
        index = _index(at, keys)
        made += f"[{keys if index is None else index}]"
        at = at[index] if index is not None else None
    return made


def _index(items: Any, keys: str) -> int | None:
    wanted = {name: json.loads(value) for name, value in _KEY.findall(keys)}
    for index, item in enumerate(items if isinstance(items, list) else []):
        # A key that the object leaves out has its default, such as a port's protocol.
        if isinstance(item, Mapping) and wanted and all(item.get(name, value) == value for name, value in wanted.items()):
            return index
    return None
