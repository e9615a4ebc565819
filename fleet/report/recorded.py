"""What a stack file's program registers, and what the program of its base does.

It comes from a child process, since only the program can tell and `fleet` loads no SDK. The program may be a stranger's: it
is confined (`fleet.confined`), and what it prints is looked at before it is believed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.confined.run import ConfinedError, run
from fleet.inventory.file import is_deep
from fleet.inventory.state import checked
from fleet.report.policy import Rows
from fleet.workspace import ROOT


class ProgramError(Exception):
    """The program did not run to its end; the message is its last words."""


@dataclass(frozen=True)
class Recorded:
    """What a stack's program registers.

    Attributes:
        base: the same of the base, empty where it has no such stack; None where there is no base or it did not run.
        fault: why it did not.
    """

    rows: Rows
    base: Rows | None = None
    fault: str = ""


def recorded(file: Path, base: Path | None, root: Path) -> Recorded:
    """Of a stack file, and of its base where there is one.

    Args:
        base: the stack file that it is compared with. root: the directory of the program that reads that.

    Raises:
        ProgramError: the stack's own failed. A base that does not run is none to refuse a change for.
    """
    rows = registrations(file, ROOT)
    if base is None or not base.exists():
        return Recorded(rows, None if base is None else ())
    try:
        return Recorded(rows, registrations(base, root))
    except ProgramError as wrong:
        return Recorded(rows, fault=str(wrong))


def registrations(file: Path, root: Path) -> list[dict[str, Any]]:
    """What the program of a stack file registers, as a preview would see it. Takes the SDKs of its clouds, and seconds.

    Args:
        root: the program's own directory.

    Raises:
        ProgramError: it failed, or printed something else.
    """
    try:
        return _rows(run("infra.recorded", str(file.resolve()), root=root, reads=(file.resolve().parent,)))
    except ConfinedError as wrong:
        raise ProgramError(f"{file.stem}: its program did not run with no cloud behind it: {wrong}") from None


def _rows(printed: bytes) -> list[dict[str, Any]]:
    """The registrations, if it is those.

    Raises:
        ConfinedError: it is something else.
    """
    try:
        rows = json.loads(printed)
        if not isinstance(rows, list) or is_deep(rows):
            raise TypeError("no list of resources")
        return [dict(checked(row)) for row in rows]
    # No JSON, no UTF-8, a number of a million digits, lists in lists in lists; or no resources.
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
        raise ConfinedError("what it printed is not its registrations") from None
