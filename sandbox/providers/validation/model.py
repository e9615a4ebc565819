"""A vendor's API model as a tree of nodes, and the walk of a resource's inputs beside it.

The inputs and the model name things alike but not the same, so a property is judged only where its name leads to exactly
one node of a fitting kind; everything else passes. Lists that Terraform flattened into one object are followed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.providers.validation.failure import Failure, show
from sandbox.providers.validation.names import did_you_mean, normal, singular
from sandbox.providers.validation.shapes import is_known

Kind = Literal["object", "list", "map", "string", "number", "other"]

_MOST_VALUES_LISTED = 12


@dataclass(frozen=True)
class Node:
    """A value of the vendor's API.

    Attributes:
        enum: the values it may have; empty for any.
        pattern: it must match as a whole; None for any.
        low, high: bounds, inclusive: of a number, of a string's length, of a list's.
        members: of an object, by normalised name. item: of a list.
    """

    kind: Kind
    enum: tuple[str, ...] = ()
    pattern: str | None = None
    low: float | None = None
    high: float | None = None
    members: Callable[[], Mapping[str, Node]] = dict
    item: Callable[[], Node | None] = lambda: None

    def member(self, name: str) -> Node | None:
        """The member of that name, a singular for a plural and the other way round; None where none or two answer."""
        known = self.members()
        wanted = normal(name)
        if wanted in known:
            return known[wanted]
        alike = [node for key, node in known.items() if singular(key) == singular(wanted)]
        return alike[0] if len(alike) == 1 else None

    def descend(self, path: str) -> Node | None:
        """The node at a dotted path, lists entered without a mark: `logging.clusterLogging.types`."""
        node: Node | None = self
        for name in path.split("."):
            while node is not None and node.kind == "list":
                node = node.item()
            node = node.member(name) if node is not None else None
        return node


Aliases = Mapping[str, str]
"""Where the names differ: path of the input without indices → path in the model from its root, or "" for not there."""


def walk(inputs: Mapping[str, Any], root: Node, aliases: Aliases) -> Iterator[Failure]:
    """Failures of the values the model has an opinion on."""
    yield from _walk_object("", "", inputs, root, root, aliases)


def _walk_object(
    path: str, plain: str, value: Mapping[str, Any], node: Node, root: Node, aliases: Aliases
) -> Iterator[Failure]:
    for name, item in value.items():
        where, key = (f"{path}.{name}", f"{plain}.{name}") if path else (name, name)
        below = node.member(name) if key not in aliases else root.descend(aliases[key]) if aliases[key] else None
        if below is not None:
            yield from _walk(where, key, item, below, root, aliases)


def _walk(path: str, plain: str, value: Any, node: Node, root: Node, aliases: Aliases) -> Iterator[Failure]:
    if not is_known(value):
        return
    if isinstance(value, list | tuple):
        if node.kind == "list":
            yield from _check_size(path, len(value), node, "items")
            inner = node.item()
        else:
            inner = node
        if inner is not None:
            for index, item in enumerate(value):
                yield from _walk(f"{path}[{index}]", plain, item, inner, root, aliases)
        return
    if node.kind == "list":
        item_node = node.item()
        if item_node is not None:
            yield from _walk(path, plain, value, item_node, root, aliases)
    elif isinstance(value, Mapping):
        if node.kind == "object":
            yield from _walk_object(path, plain, value, node, root, aliases)
    elif node.kind == "string" and isinstance(value, str) and not _is_id(path):
        yield from _check_string(path, value, node)
    elif node.kind == "number" and isinstance(value, int | float) and not isinstance(value, bool):
        yield from _check_number(path, value, node)


def _is_id(path: str) -> bool:
    """Ids are the cloud's own making: whether one is good, it says itself."""
    return re.search(r"(?<=[a-z])(Id|Ids|ID|IDs)(\[\d+\])*$", path) is not None


def _check_string(path: str, value: str, node: Node) -> Iterator[Failure]:
    # An empty string is Terraform's way of leaving a property out.
    if not value:
        return
    if node.enum:
        if value not in node.enum:
            yield Failure(path, f"{show(value)} is not one of its values{listed(value, node.enum)}")
        return
    if node.pattern is not None and not matches(node.pattern, value):
        yield Failure(path, f"{show(value)} does not match the pattern {node.pattern}")
        return
    yield from _check_size(path, len(value), node, "characters")


def listed(value: str, allowed: tuple[str, ...]) -> str:
    """The allowed values, or the nearest where they are too many to read."""
    nearest = did_you_mean(value, allowed, at_most=0)
    return nearest + (f"; allowed: {', '.join(allowed)}" if len(allowed) <= _MOST_VALUES_LISTED else "")


def _check_number(path: str, value: float, node: Node) -> Iterator[Failure]:
    if (node.low is not None and value < node.low) or (node.high is not None and value > node.high):
        yield Failure(path, f"{value:g} is out of range: {bounds(node.low, node.high)}")


def _check_size(path: str, size: int, node: Node, unit: str) -> Iterator[Failure]:
    if (node.low is not None and size < node.low) or (node.high is not None and size > node.high):
        yield Failure(path, f"has {size} {unit}, allowed: {bounds(node.low, node.high)}")


def bounds(low: float | None, high: float | None) -> str:
    """`1 to 100`, `at least 1` or `at most 100`."""
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    return f"at least {low:g}" if low is not None else f"at most {high:g}"


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        # The vendors write other dialects; what Python cannot read is not judged.
        return None


def matches(pattern: str, value: str) -> bool:
    """Whether the whole value matches; yes where the pattern is of another dialect."""
    compiled = _compiled(pattern)
    return compiled is None or compiled.fullmatch(value) is not None
