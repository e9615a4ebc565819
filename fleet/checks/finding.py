"""A fault in a stack file, before it has a line number."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Finding:
    """What is wrong at a path, what was given, what would do and how to mend it; `at_key` points at the key itself."""

    path: Path
    message: str
    got: str = ""
    allowed: str = ""
    remedy: str = ""
    at_key: bool = False


def nearest(word: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean …?` for the known word that is closest, else the other advice."""
    near = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {near[0]}?" if near else otherwise


def listed(words: Iterable[object]) -> str:
    return ", ".join(str(word) for word in words) or "none"
