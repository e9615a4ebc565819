"""Whether the API server would take an object: its own dry run, its answers turned into property paths."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sandbox.providers.base import Failure, has_unknown
from sandbox.providers.kubernetes.api import Api, ApiError, Kind, UnreachableError
from sandbox.providers.kubernetes.objects import immutable, without_unknowns

# `strict decoding error: unknown field "spec.foo", unknown field "spec.bar"`, and as server-side apply says it:
# `.spec.foo: field not declared in schema`, `.spec.replicas: expected numeric (int or float), got string`.
_UNKNOWN_FIELD = re.compile(r'(?:unknown|duplicate) field "([^"]+)"')
_TYPED = re.compile(r"^\s*(?:failed to create typed patch object[^:]*: )?\.([\w.\[\]\"=,/-]+): (.+?)$", re.MULTILINE)


def dry_run(api: Api, kind: Kind, namespace: str | None, inputs: Mapping[str, Any]) -> list[Failure]:
    """Apply the object without keeping it.

    With unknown parts left out only unknown and mistyped fields count: what is missing may be what is unknown. An
    object in a namespace that is not there yet is decoded, and so checked, before its namespace is looked for.
    """
    try:
        api.apply(kind, namespace, without_unknowns(inputs), force=True, dry_run=True)
    except UnreachableError:
        return []
    except ApiError as error:
        return failures(error, kind.kind, partial=has_unknown(inputs))
    return []


def failures(error: ApiError, kind: str, partial: bool = False) -> list[Failure]:
    """What of a refusal is about the inputs.

    Args:
        partial: parts of the object were not known.
    """
    text = str(error)
    if error.code not in (400, 422) and "typed patch object" not in text:
        return []
    unknown = [Failure(path, "unknown field") for path in _UNKNOWN_FIELD.findall(text)]
    typed = [Failure(path, reason) for path, reason in _TYPED.findall(text)]
    if unknown or typed:
        return unknown + typed
    if error.code == 400:
        return [] if partial else [Failure("", text)]
    if partial:
        return []
    # A change of an immutable field is a replacement, which `diff` says.
    causes = [c for c in error.causes if not immutable(kind, c.get("field", "")) and "immutable" not in c.get("message", "")]
    return [Failure(c.get("field", ""), c.get("message", text)) for c in causes]
