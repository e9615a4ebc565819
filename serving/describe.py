"""From a `--model` to a checked `ModelSpec`: a model.yaml, a folder that holds one, or a model file taken with defaults.

Owns finding the line of a fault; every fault of a file is told at once. Reads the description only, never the weights:
those are `serving.store`'s.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import yaml
from pydantic import ValidationError

from serving import store
from serving.errors import UsageError
from serving.spec import FileSpec, Kind, ModelSpec

FILE = "model.yaml"
_MOST_BYTES = 100_000
_SUFFIXES = {
    ".onnx": Kind.ONNX,
    ".xml": Kind.OPENVINO,
    ".pt": Kind.TORCHSCRIPT,
    ".ts": Kind.TORCHSCRIPT,
    ".jax": Kind.XLA,
    ".so": Kind.TVM,
}
# What pydantic says, as a person would: (its type, message, remedy); {…} are its own context.
_SAID = {
    "extra_forbidden": ("is no key here", "check its spelling and its place: docs/serving.md has them all"),
    "missing": ("is missing", "add it"),
}


@dataclass(frozen=True)
class Source:
    """A model's description and where it came from, which relative paths start at."""

    spec: ModelSpec
    base: str

    def resolve(self, file: FileSpec) -> str:
        """Where a file of the description is."""
        return file.path if store.is_absolute(file.path) else posixpath.join(self.base, file.path)


def describe(place: str, overrides: dict[str, Any]) -> Source:
    """Read one `--model`.

    Args:
        place: path or URL of a model.yaml, of a folder with one, or of a model file.
        overrides: values of flags by the field's dotted path; None where a flag was not given.

    Raises:
        UsageError: nothing there, or the description is wrong; all its faults, a line each.
        Missing: the package that reads such URLs.
    """
    suffix = PurePosixPath(place).suffix
    if suffix in (".yaml", ".yml"):
        return _from_yaml(place, overrides)
    if suffix in _SUFFIXES:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", PurePosixPath(place).stem).strip("-._") or "model"
        file: dict[str, Any] = {"path": posixpath.basename(place)}
        if _SUFFIXES[suffix] is Kind.OPENVINO:
            file["beside"] = [{"path": file["path"].removesuffix(".xml") + ".bin"}]
        # The file's precision is what a flag says it is; its suffix does not tell.
        files = {overrides.get("precision") or "fp32": file}
        return _checked(place, {"name": name, "runtime": _SUFFIXES[suffix].value, "files": files}, None, overrides)
    return _from_yaml(posixpath.join(place, FILE), overrides)


def _from_yaml(place: str, overrides: dict[str, Any]) -> Source:
    try:
        text = store.read(place, _MOST_BYTES).decode("utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except UnicodeDecodeError as wrong:
        raise UsageError(f"{place}: is no UTF-8 text ({wrong.reason} at byte {wrong.start}); save it as UTF-8") from None
    except yaml.YAMLError as wrong:
        mark = getattr(wrong, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise UsageError(f"{place}{line}: is no YAML: {getattr(wrong, 'problem', None) or wrong}") from None
    except RecursionError:
        raise UsageError(f"{place}: is nested too deep; a model.yaml has four levels") from None
    if not isinstance(data, dict):
        raise UsageError(f"{place}:1: is no map; start with name: and files:, as docs/serving.md shows")
    return _checked(place, data, node, overrides)


def _checked(place: str, data: dict[str, Any], node: yaml.Node | None, overrides: dict[str, Any]) -> Source:
    for path, value in overrides.items():
        if value is not None:
            _set(data, path.split("."), value)
    try:
        spec = ModelSpec.model_validate(data)
    except ValidationError as wrong:
        faults = wrong.errors(include_url=False)
        raise UsageError("\n".join(_fault(place, node, dict(fault)) for fault in faults)) from None
    return Source(spec, posixpath.dirname(place))


def _set(data: dict[str, Any], path: list[str], value: object) -> None:
    for key in path[:-1]:
        inner = data.setdefault(key, {})
        if not isinstance(inner, dict):
            return  # the file's own fault, told by the schema
        data = inner
    data[path[-1]] = value


def _fault(place: str, node: yaml.Node | None, fault: dict[str, Any]) -> str:
    path = [str(part) for part in fault["loc"] if part != "[key]"]
    message, remedy = _SAID.get(fault["type"], (fault["msg"].removeprefix("Value error, "), ""))
    got = fault["input"]
    if not remedy and isinstance(got, str | int | float | bool):
        remedy = f"got {got!r:.60}"
    line = f":{_line(node, path)}" if node is not None else ""
    where = f" {'.'.join(path)}:" if path else ""
    return f"{place}{line}:{where} {message}" + (f"; {remedy}" if remedy else "")


def _line(node: yaml.Node, path: list[str]) -> int:
    """The line of a field, or of the innermost thing around it that is there."""
    line: int = node.start_mark.line + 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == part), None)
            if found is None:
                return line
            line, node = found[0].start_mark.line + 1, found[1]
        elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
            node = node.value[int(part)]
            line = node.start_mark.line + 1
        else:
            return line
    return line
