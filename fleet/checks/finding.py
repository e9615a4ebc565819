"""A fault in a stack file, before it has a line number, and what it hangs on."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Finding:
    """What is wrong at a path, what was given, what would do and how to mend it.

    Attributes:
        at_key: the place to point at is the key, not its value.
        needs: everything the check read, `path` alone if empty. Where one of these is broken already the finding is
            a consequence and goes unsaid: one fault gives one error.
    """

    path: Path
    message: str
    got: str = ""
    allowed: str = ""
    remedy: str = ""
    at_key: bool = False
    needs: tuple[Path, ...] = ()

    def hangs_on(self, broken: Iterable[Path]) -> bool:
        """Whether something it read is broken, or lies in or around something broken."""
        return any(_meet(need, other) for other in broken for need in self.needs or (self.path,))


def _meet(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def nearest(word: str, known: Iterable[str], otherwise: str) -> str:
    """`did you mean …?` for the known word that is closest, else the other advice."""
    near = closest(word, known)
    return f"did you mean {near}?" if near else otherwise


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that a misspelt one most likely stands for."""
    near = difflib.get_close_matches(word.lower(), list(known), 1)
    return near[0] if near else None


def listed(words: Iterable[object]) -> str:
    return ", ".join(str(word) for word in words) or "none"


def fields(entry: Path, *names: str) -> tuple[Path, ...]:
    """Paths of fields below an entry, `nodes.min` meaning two steps."""
    return tuple((*entry, *name.split(".")) for name in names)
