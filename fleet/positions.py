"""YAML with the place of every key and value, so that an error can name its line. Values are plain Python."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]
# Anchors can make a small file huge; no stack file is anywhere near this.
_MOST_NODES = 50_000
_MOST_BYTES = 1_000_000

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class YamlError(Exception):
    """The text is no YAML, or says something twice; with the place, counted from one."""

    def __init__(self, message: str, line: int, column: int, remedy: str) -> None:
        super().__init__(message)
        self.message, self.line, self.column, self.remedy = message, line, column, remedy


@dataclass
class Document:
    """Parsed data, and where each path starts: the value's place, and the key's."""

    data: Any = None
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def place(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Line and column of the value (or key) at the path, or of the nearest thing around it that is there."""
        while True:
            found = (self.keys if key else self.values).get(path) or self.values.get(path)
            if found or not path:
                return found or (1, 1)
            path, key = path[:-1], True


def parse(text: str) -> Document:
    """Parse one document.

    Raises:
        YamlError: syntax, a key said twice, or a file too large to be a stack file.
    """
    if len(text) > _MOST_BYTES:
        raise YamlError(f"the file has {len(text):,} characters", 1, 1, "a stack file is a few hundred lines: is this one?")
    document = Document()
    try:
        root = yaml.compose(text, Loader=_Loader)
        if root is not None:
            document.data = _Builder(document).build(root, ())
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        what = " ".join(part for part in (wrong.context, wrong.problem) if part)
        tabs = "\t" in text.splitlines()[line - 1][:column] if line <= len(text.splitlines()) else False
        remedy = "indent with spaces: YAML takes no tabs" if tabs else "check indentation, quotes and brackets at this place"
        raise YamlError(f"not valid YAML: {what}", line, column, remedy) from None
    except yaml.reader.ReaderError as wrong:
        # libyaml counts bytes from the document's start; a position past the end means that it ends there.
        at = min(len(text.encode()[: wrong.position].decode(errors="ignore")), len(text) - 1)
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        message = f"not valid YAML: the character U+{ord(text[at]):04X} is not allowed"
        raise YamlError(message, line, column, "remove this character: most editors do not show it") from None
    except yaml.YAMLError as wrong:
        raise YamlError(f"not valid YAML: {wrong}".splitlines()[0], 1, 1, "save the file as UTF-8 text") from None
    return document


class _Builder:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0
        self._constructor = _Loader("")

    def build(self, node: Any, path: Path) -> Any:
        self._nodes += 1
        place = (node.start_mark.line + 1, node.start_mark.column + 1)
        if self._nodes > _MOST_NODES:
            raise YamlError(
                "the file's anchors unfold to too much", *place, "write the repeated part out once, without nesting aliases"
            )
        self._document.values[path] = place
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._constructor.construct_object(node)

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line, column = key_node.start_mark.line + 1, key_node.start_mark.column + 1
            if key_node.tag == "tag:yaml.org,2002:merge":
                parts = value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
                for part in parts:
                    merged = {**self.build(part, path), **merged}
                continue
            key = str(key_node.value) if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                raise YamlError("a key is a list or a map", line, column, "use a plain word as the key")
            if key in made:
                first = self._document.keys[*path, key][0]
                raise YamlError(
                    f"'{key}' is said twice, first in line {first}", line, column, "keep one of the two, or rename one"
                )
            self._document.keys[*path, key] = (line, column)
            made[key] = self.build(value_node, (*path, key))
        return {**merged, **made}
