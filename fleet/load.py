"""From a stack file to a checked `StackSpec`, or to every fault in it at once, each with its line and remedy.

Two passes over one parse: the shape (pydantic), then facts (`fleet.checks`) on the parts whose shape is sound, so
that one fault gives one error and two give two. Imports no engine and no provider SDK.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path as File
from types import UnionType
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fleet import checks
from fleet.checks.finding import Finding, listed, nearest
from fleet.positions import Document, Path, YamlError, parse
from fleet.spec import StackSpec


@dataclass(frozen=True)
class StackError:
    """One fault: where, what, what was given, what would do, and how to mend it."""

    file: str
    line: int
    column: int
    path: str
    message: str
    got: str = ""
    allowed: str = ""
    remedy: str = ""

    def __str__(self) -> str:
        parts = [f"{self.file}:{self.line}:{self.column} {self.path}: {self.message}".replace(" : ", " ")]
        parts += [f"got {self.got}"] if self.got else []
        parts += [f"allowed: {self.allowed}"] if self.allowed else []
        parts += [f"mend: {self.remedy}"] if self.remedy else []
        return "; ".join(parts)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class StackErrors(Exception):
    """Every fault of a stack file, in the file's order."""

    def __init__(self, errors: list[StackError]) -> None:
        super().__init__("\n".join(str(e) for e in errors))
        self.errors = errors


def load_stack(path: File) -> StackSpec:
    """Read and check one stack file.

    Raises:
        StackErrors: it is wrong.
    """
    shown = _shown(path)
    try:
        document = parse(path.read_bytes().decode("utf-8"))
    except (UnicodeDecodeError, OSError) as unreadable:
        raise StackErrors(
            [StackError(shown, 1, 1, "", f"cannot be read: {unreadable}", remedy="save it as UTF-8 text")]
        ) from None
    except YamlError as wrong:
        raise StackErrors([StackError(shown, wrong.line, wrong.column, "", wrong.message, remedy=wrong.remedy)]) from None
    if not isinstance(document.data, dict):
        kind = "empty" if document.data is None else f"a {type(document.data).__name__}, not a map"
        remedy = "start with owner:, environment: and clusters:, as stacks/aws-dev.yaml does"
        raise StackErrors([StackError(shown, 1, 1, "", f"the file is {kind}", remedy=remedy)])
    shape = list(_shape_faults(document))
    broken = [fault.path for fault in shape]
    spec = _sound_part(document.data)
    findings = checks.run(path, spec, document.data, broken) if spec is not None else []
    faults = [_error(shown, document, fault) for fault in [*shape, *findings]]
    if faults:
        raise StackErrors(sorted(faults, key=lambda e: (e.line, e.column)))
    assert spec is not None, "a file without faults has a spec"
    return spec


def _shown(path: File) -> str:
    """The path as people know it: from the repository's root if it lies there."""
    root = File(__file__).resolve().parents[1]
    full = path.resolve()
    return str(full.relative_to(root)) if full.is_relative_to(root) else str(path)


def _error(file: str, document: Document, fault: Finding) -> StackError:
    line, column = document.place(fault.path, key=fault.at_key)
    dotted = ".".join(str(part) for part in fault.path)
    return StackError(file, line, column, dotted, fault.message, fault.got, fault.allowed, fault.remedy)


def _shape_faults(document: Document) -> Iterator[Finding]:
    try:
        StackSpec.model_validate(document.data)
    except ValidationError as wrong:
        found = [_finding(detail) for detail in wrong.errors(include_url=False)]
        # A required key spelled wrong is one fault, not an unknown key and a missing one.
        meant = {(*f.path[:-1], f.remedy[len("did you mean ") : -1]) for f in found if f.remedy.startswith("did you mean ")}
        yield from (f for f in found if not (f.message.endswith(" is missing") and f.path in meant))


def _finding(detail: ErrorDetails) -> Finding:
    """Pydantic's detail in our words."""
    kind, context = detail["type"], detail.get("ctx") or {}
    path: Path = tuple(part for part in detail["loc"] if part != "[key]")
    got = repr(detail["input"]) if not isinstance(detail["input"], dict | list) else f"a {type(detail['input']).__name__}"
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "missing":
        about = _field_help(path)
        return Finding(path, f"'{path[-1]}' is missing", allowed=about, remedy=f"add {path[-1]}:", at_key=True)
    if kind == "enum":
        known = re.findall(r"'([^']+)'", str(context["expected"]))
        remedy = nearest(str(detail["input"]), known, "use one of the allowed values")
        return Finding(path, "is none of the allowed values", got, listed(known), remedy)
    if kind == "string_pattern_mismatch":
        at_key = "[key]" in detail["loc"]
        remedy = (
            "use lower-case letters, digits and hyphens, starting with a letter" if at_key else "write it in the allowed form"
        )
        return Finding(path, "is not of the allowed form", got, f"the pattern {context['pattern']}", remedy, at_key=at_key)
    if kind == "string_type" and isinstance(detail["input"], int | float):
        return Finding(path, "is a number, not text", got, "text", f'write it in quotes: "{detail["input"]}"')
    limit = next((f"{name} {context[key]}" for key, name in _LIMITS.items() if key in context), "")
    message = detail["msg"][0].lower() + detail["msg"][1:]
    return Finding(path, message, got, limit or _field_help(path), "write a value of the allowed kind")


_LIMITS = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than", "min_length": "length at least"}


def _unknown_key(path: Path) -> Finding:
    known = sorted(_fields_at(path[:-1]))
    remedy = nearest(str(path[-1]), known, "remove it")
    return Finding(path, f"unknown key '{path[-1]}'", allowed=listed(known), remedy=remedy, at_key=True)


def _model_at(path: Path) -> type[BaseModel] | None:
    """The spec model that a path leads into."""
    here: Any = StackSpec
    for part in path:
        if isinstance(here, type) and issubclass(here, BaseModel):
            known = here.model_fields.get(str(part))
            here = known.annotation if known else None
        else:
            # The value type of a map, or the item type of a list.
            arguments = getattr(here, "__args__", ())
            here = arguments[-1] if arguments else None
        if isinstance(here, UnionType):
            # `WeightsSpec | None`
            here = next((part for part in here.__args__ if isinstance(part, type) and issubclass(part, BaseModel)), None)
    return here if isinstance(here, type) and issubclass(here, BaseModel) else None


def _fields_at(path: Path) -> list[str]:
    model = _model_at(path)
    return list(model.model_fields) if model else []


def _field_help(path: Path) -> str:
    model = _model_at(path[:-1])
    known = model.model_fields.get(str(path[-1])) if model else None
    return known.description or "" if known else ""


def _sound_part(data: dict[str, Any]) -> StackSpec | None:
    """The spec with every misshapen part left out; None where nothing is left to check."""
    data = copy.deepcopy(data)
    for _ in range(100):
        try:
            return StackSpec.model_validate(data)
        except ValidationError as wrong:
            for detail in wrong.errors(include_url=False):
                path: Path = tuple(part for part in detail["loc"] if part != "[key]")
                if path in _STAND_INS and detail["type"] in ("missing", "enum", "string_type", "string_too_short"):
                    data[str(path[0])] = _STAND_INS[path]
                elif not _drop(data, path[:-1] if detail["type"] == "missing" else path):
                    return None
    return None


# Two plain facts that no check of another field depends on.
_STAND_INS: dict[Path, str] = {("owner",): "nobody", ("environment",): "dev"}


def _drop(data: Any, path: Path) -> bool:
    """Remove what is at the path; False when that is everything, or gone already."""
    if not path or path == ("clusters",):
        return False
    try:
        for part in path[:-1]:
            data = data[part]
        del data[path[-1]]
    except (KeyError, IndexError, TypeError):
        return False
    return True
