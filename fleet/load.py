"""From a stack file to a checked `StackSpec`, or to every fault in it at once, each with its line and remedy.

Two passes over one parse: the shape (`fleet.checks.shape`), then facts (`fleet.checks`) on everything whose shape is
sound, so that one fault gives one error and two give two. Imports no engine and no provider SDK.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path as File
from typing import Any

from fleet import checks
from fleet.checks import shape
from fleet.checks.finding import Finding
from fleet.positions import Document, Path, Twice, YamlError, parse
from fleet.printed import one_line
from fleet.spec import StackSpec
from fleet.terraform import references

_MOST_BYTES = 1_000_000


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
        where = f"{self.file}:{self.line}:{self.column}" + (f" {self.path}" if self.path else "")
        details = {"got": self.got, "allowed:": self.allowed, "mend:": self.remedy}
        said = "; ".join(f"{name} {text}" for name, text in details.items() if text)
        return one_line(f"{where}: {self.message}" + (f" — {said}" if said else ""))

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
    document = _read(path, shown)
    resolved = references.resolve(document.data)
    found = shape.check(document)
    shapes = [fault for fault in found.faults if not fault.hangs_on(resolved.broken)]
    facts = checks.run(path, found.spec, found.broken | resolved.broken)
    errors = [_error(shown, document, fault) for fault in [*resolved.faults, *shapes, *facts]]
    # A map that aliases repeat has its keys at one place only.
    errors += {(double.line, double.column): _twice(shown, double) for double in document.twice}.values()
    if errors:
        raise StackErrors(sorted(errors, key=lambda e: (e.line, e.column)))
    return found.spec


def _read(path: File, shown: str) -> Document:
    """The file as data with places.

    Raises:
        StackErrors: it holds no map at all.
    """

    def refuse(message: str, remedy: str, line: int = 1, column: int = 1) -> StackErrors:
        return StackErrors([StackError(shown, line, column, "", message, remedy=remedy)])

    if path.exists() and (not path.is_file() or _leads_out(path)):
        raise refuse("is a link out of its folder, or no file", "put the file itself there")
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        if len(raw) > _MOST_BYTES:
            raise refuse(f"has more than {_MOST_BYTES:,} bytes", "a stack file is a few hundred lines: is this one?")
        document = parse(raw.decode("utf-8"))
    except UnicodeDecodeError as wrong:
        raise refuse(f"cannot be read: {wrong.reason} at byte {wrong.start}", "save it as UTF-8 text") from None
    except OSError as wrong:
        raise refuse(f"cannot be read: {wrong.strerror}", "check the stack's name and the file's rights") from None
    except YamlError as wrong:
        raise refuse(wrong.message, wrong.remedy, wrong.line, wrong.column) from None
    if not isinstance(document.data, dict):
        kinds = {type(None): "empty", list: "a list, not a map"}
        what = kinds.get(type(document.data), "a single value, not a map")
        raise refuse(f"the file is {what}", "start with owner:, environment: and clusters:, as stacks/aws-dev.yaml does")
    return document


def _leads_out(path: File) -> bool:
    """Whether reading it would read, and a message then show, what lies elsewhere on the machine."""
    return not path.resolve().is_relative_to(path.parent.resolve())


def _shown(path: File) -> str:
    """The path as people know it: from the repository's root if it lies there."""
    root = File(__file__).resolve().parents[1]
    full = path.resolve()
    return str(full.relative_to(root)) if full.is_relative_to(root) else str(path)


def _error(file: str, document: Document, fault: Finding) -> StackError:
    line, column = document.place(fault.path, key=fault.at_key)
    return StackError(
        file, line, column, _dotted(document.written(fault.path)), fault.message, fault.got, fault.allowed, fault.remedy
    )


def _twice(file: str, double: Twice) -> StackError:
    message = f"'{double.path[-1]}' is said twice, first in line {double.first_line}"
    remedy = "keep one of the two, or rename one"
    return StackError(file, double.line, double.column, _dotted(double.path), message, remedy=remedy)


def _dotted(path: Path) -> str:
    return ".".join(str(part) for part in path)
