"""What changed between two trees of plain values, as the engine's property paths.

Owns paths and comparison; which change forces a replacement is each provider's own knowledge.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Change = Literal["add", "delete", "update"]
_PLAIN_KEY = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)


@dataclass(frozen=True)
class Diff:
    """The outcome of a comparison.

    Args:
        replaces: property paths that cannot change in place.
        changes: property path to kind of change; what is in `replaces` alone counts as an update.
        delete_before_replace: the new one cannot stand beside the old one.
    """

    replaces: list[str] = field(default_factory=list)
    changes: Mapping[str, Change] = field(default_factory=dict)
    delete_before_replace: bool = False


def join(path: str, key: str | int) -> str:
    """One step further down a property path: `spec.ports[0]`, `metadata.labels["a/b"]`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if _PLAIN_KEY.fullmatch(key):
        return f"{path}.{key}" if path else key
    return f"{path}[{json.dumps(key)}]"


def changed_paths(old: Any, new: Any, path: str = "") -> dict[str, Change]:
    """The deepest paths at which two values differ; a null and an absent property are the same."""
    return dict(_walk(old, new, path))


def _walk(old: Any, new: Any, path: str) -> Iterator[tuple[str, Change]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({**old, **new}):
            yield from _walk(old.get(key), new.get(key), join(path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else None
            after = new[index] if index < len(new) else None
            yield from _walk(before, after, join(path, index))
    elif old is None and new is not None:
        yield path, "add"
    elif old is not None and new is None:
        yield path, "delete"
    elif old != new:
        yield path, "update"


def compare(old: Mapping[str, Any], new: Mapping[str, Any], fixed: Callable[[str], bool] = lambda _: False) -> Diff:
    """Compare inputs.

    Args:
        fixed: whether the property at a path cannot change in place.
    """
    changes = changed_paths(old, new)
    return Diff(replaces=[path for path in changes if fixed(path)], changes=changes)
