"""Files that are made from the code and kept beside it: written on request, or told when they are stale."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path


def keep(path: Path, text: str, command: str, arguments: list[str]) -> int:
    """Write `text`, or with `--check` among the arguments only say whether it stands; returns the exit status.

    Args:
        command: what a person runs to write it.
    """
    if "--check" not in arguments:
        path.write_text(text)
        return 0
    if path.exists() and path.read_text() == text:
        return 0
    sys.stderr.write(f"{path.name} is stale: run `{command}`\n")
    return 1


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in markdown, without a newline behind it."""
    lines = [" | ".join(head), " | ".join("---" for _ in head), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)
