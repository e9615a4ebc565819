"""Every value of a values.yaml: what it is by default, and what the comment above it says and demands.

`# -- words` are for people. A line `# @ {minimum: 1}` has more of the value's JSON Schema than its default shows.
Refuses a value without words, and a demand that is no mapping.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

_WORDS, _DEMANDS = "--", "@"


@dataclass(frozen=True)
class Value:
    """A value, or a section of several, whose `default` is None and which has no words of its own."""

    path: tuple[str, ...]
    default: Any
    words: str
    demands: dict[str, Any] = field(default_factory=dict)


def values(text: str) -> Iterator[Value]:
    """Sections before what is in them.

    Raises:
        ValueError: a value has no comment, or its demands are no mapping.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode), "values.yaml is a mapping"
    yield from _values(root, text.splitlines(), ())


def _values(node: yaml.MappingNode, lines: list[str], at: tuple[str, ...]) -> Iterator[Value]:
    for key, value in node.value:
        path = (*at, key.value)
        words, demands = _comment(lines, key.start_mark.line, path)
        if words:
            yield Value(path, yaml.SafeLoader("").construct_object(value, deep=True), words, demands)
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield Value(path, None, "", demands)
            yield from _values(value, lines, path)
        else:
            raise ValueError(f"{'.'.join(path)} (line {key.start_mark.line + 1}) has no comment: write '# -- …' above it")


def _comment(lines: list[str], line: int, path: tuple[str, ...]) -> tuple[str, dict[str, Any]]:
    """The words and demands right above a line, from its `# --` on; empty where there are none."""
    words: list[str] = []
    demands: dict[str, Any] = {}
    for text in reversed(lines[:line]):
        if not text.strip().startswith("#"):
            break
        said = text.strip().removeprefix("#").strip()
        if said.startswith(_DEMANDS):
            demands = _mapping(said.removeprefix(_DEMANDS), path)
            continue
        words.insert(0, said)
        if said.startswith(_WORDS):
            return " ".join(words).removeprefix(_WORDS).strip(), demands
    return "", demands


def _mapping(text: str, path: tuple[str, ...]) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as fault:
        raise ValueError(f"{'.'.join(path)}: '# @{text}' is no YAML: {fault}") from fault
    if not isinstance(found, dict):
        raise ValueError(f"{'.'.join(path)}: '# @{text}' is no mapping: write '# @ {{minimum: 1}}'")
    return found
