"""YAML with the place of every key and value, so that an error can name its line. Values are plain Python.

Takes plain YAML only: no tags, no dates (a date is text here), no bottomless nesting; refuses what is none of these
with its line instead of raising whatever the YAML library raises.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]
# Anchors can make a small file huge; no stack file is anywhere near these.
_MOST_NODES = 20_000
_MOST_CHARACTERS = 250_000
# Beyond some thousand levels libyaml's composer overflows the C stack and takes the process with it.
_DEEPEST = 40

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NUMBERS_AND_SUCH = {f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool", "null")}
# Plain words that YAML 1.1 reads as something a stack file has no use for.
_WORDS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "timestamp", "value", "merge")}
_MERGE = "tag:yaml.org,2002:merge"


class YamlError(Exception):
    """The text is no YAML that a stack file may be; with the place, counted from one."""

    def __init__(self, message: str, line: int, column: int, remedy: str) -> None:
        super().__init__(message)
        self.message, self.line, self.column, self.remedy = message, line, column, remedy


@dataclass(frozen=True)
class Twice:
    """A key said a second time in the same map; the first one counts."""

    path: Path
    line: int
    column: int
    first_line: int


@dataclass
class Document:
    """Parsed data, and where each path starts.

    Attributes:
        values, keys: line and column of the value and of the key at a path.
        texts: scalars as they are written, before YAML made 1.30 a 1.3.
        twice: keys said more than once.
        respelt: path as it is meant -> the key that the file has there (`fleet.checks.shape`).
    """

    data: Any = None
    values: dict[Path, tuple[int, int]] = field(default_factory=dict)
    keys: dict[Path, tuple[int, int]] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)
    twice: list[Twice] = field(default_factory=list)
    respelt: dict[Path, str] = field(default_factory=dict)

    def written(self, path: Path) -> Path:
        """The path with its keys as the file spells them."""
        return tuple(self.respelt.get(path[: i + 1], part) for i, part in enumerate(path))

    def place(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Line and column of the value (or key) at the path, or of the nearest thing around it that is there."""
        path = self.written(path)
        while True:
            found = (self.keys if key else self.values).get(path) or self.values.get(path)
            if found or not path:
                return found or (1, 1)
            path, key = path[:-1], True


def parse(text: str) -> Document:
    """Parse one document.

    Raises:
        YamlError: syntax, or a file too large or too deep to be a stack file.
    """
    if len(text) > _MOST_CHARACTERS:
        raise YamlError(f"the file has {len(text):,} characters", 1, 1, "a stack file is a few hundred lines: is this one?")
    document = Document()
    try:
        _refuse_depth(text)
        root = yaml.compose(text, Loader=_Loader)
        if root is not None:
            document.data = _Builder(document).build(root, (), 0)
    except yaml.MarkedYAMLError as wrong:
        raise _syntax(wrong, text) from None
    except yaml.reader.ReaderError as wrong:
        # libyaml counts bytes from the document's start; a position past the end means that it ends there.
        at = min(len(text.encode()[: wrong.position].decode(errors="ignore")), len(text) - 1)
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        message = f"not valid YAML: the character U+{ord(text[at]):04X} is not allowed"
        raise YamlError(message, line, column, "remove this character: most editors do not show it") from None
    except yaml.YAMLError as wrong:
        raise YamlError(f"not valid YAML: {wrong}".splitlines()[0], 1, 1, "save the file as UTF-8 text") from None
    return document


def _refuse_depth(text: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise _too_deep(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _too_deep(what: Any) -> YamlError:
    place = (what.start_mark.line + 1, what.start_mark.column + 1)
    return YamlError(f"nested more than {_DEEPEST} levels deep", *place, "check brackets and aliases: a stack file has about 8")


def _syntax(wrong: yaml.MarkedYAMLError, text: str) -> YamlError:
    mark = wrong.problem_mark or wrong.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    what = " ".join(part for part in (wrong.context, wrong.problem) if part)
    lines = text.splitlines()
    tabs = line <= len(lines) and "\t" in lines[line - 1][:column]
    remedy = "indent with spaces: YAML takes no tabs" if tabs else "check indentation, quotes and brackets at this place"
    return YamlError(f"not valid YAML: {what}", line, column, remedy)


class _Builder:
    def __init__(self, document: Document) -> None:
        self._document = document
        self._nodes = 0
        self._constructor = _Loader("")

    def build(self, node: Any, path: Path, depth: int) -> Any:
        self._nodes += 1
        place = (node.start_mark.line + 1, node.start_mark.column + 1)
        if self._nodes > _MOST_NODES:
            message = f"the file has more than {_MOST_NODES:,} entries once its aliases unfold"
            raise YamlError(message, *place, "write the repeated part out once, without nesting aliases")
        if depth > _DEEPEST:
            # An alias inside its own anchor has no end.
            raise _too_deep(node)
        self._document.values[path] = place
        if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.build(item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            self._document.texts[path] = node.value
            if node.tag in _WORDS:
                return node.value
            if node.tag in _NUMBERS_AND_SUCH:
                return self._scalar(node, place)
        raise YamlError(f"not valid YAML: the tag {node.tag} is not allowed", *place, "remove the tag")

    def _scalar(self, node: Any, place: tuple[int, int]) -> Any:
        try:
            return self._constructor.construct_object(node)
        except (ValueError, KeyError, OverflowError):
            # `!!int foo`, and integers of thousands of digits.
            kind = node.tag.rpartition(":")[2]
            raise YamlError(f"not valid YAML: {node.value[:40]!r} is no {kind}", *place, "write it in quotes") from None

    def _mapping(self, node: Any, path: Path, depth: int) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        made: dict[str, Any] = {}
        # Merges first: what the map says itself counts, and its places with it.
        for key, value in node.value:
            if key.tag == _MERGE:
                for part in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    if not isinstance(part, yaml.MappingNode):
                        place = (part.start_mark.line + 1, part.start_mark.column + 1)
                        raise YamlError("not valid YAML: << merges maps only", *place, "name an anchor of a map: <<: *name")
                    merged = {**self.build(part, path, depth + 1), **merged}
        self._document.values[path] = (node.start_mark.line + 1, node.start_mark.column + 1)
        for key, value in node.value:
            if key.tag == _MERGE:
                continue
            place = (key.start_mark.line + 1, key.start_mark.column + 1)
            if not isinstance(key, yaml.ScalarNode):
                raise YamlError("a key is a list or a map", *place, "use a plain word as the key")
            word = str(key.value)
            if word in made:
                first = self._document.keys[*path, word][0]
                self._document.twice.append(Twice((*path, word), *place, first))
                continue
            self._document.keys[*path, word] = place
            made[word] = self.build(value, (*path, word), depth + 1)
        return {**merged, **made}
