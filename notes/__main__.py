"""Puts the figures into the notes: `python -m notes` writes them, `--check` tells a stale note.

What stands between `<!-- figures: NAME -->` and `<!-- end -->` is made by `notes.figures`; all else is written by hand. A name
that nobody makes, and a mark without an end, are errors: a figure that goes stale in silence is worse than none.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from fleet.generated import keep
from notes.figures import FIGURES

NOTES = Path(__file__).parent
_MARK = re.compile(r"<!-- figures: (?P<name>[a-z-]+) -->\n(?P<old>.*?)<!-- end -->", re.DOTALL)


def filled(note: str) -> str:
    """The note with all its figures as they should stand.

    Raises:
        LookupError: it asks for figures that nobody makes, or a mark has no end.
    """
    if note.count("<!-- figures:") != len(_MARK.findall(note)) or note.count("<!-- end -->") != len(_MARK.findall(note)):
        raise LookupError("a mark is not closed, or not of the form <!-- figures: name -->, lines, <!-- end -->")

    def fill(found: re.Match[str]) -> str:
        name = found["name"]
        if name not in FIGURES:
            raise LookupError(f"nobody makes the figures {name!r}: one of {', '.join(FIGURES)}")
        return f"<!-- figures: {name} -->\n\n{FIGURES[name]()}\n\n<!-- end -->"

    return _MARK.sub(fill, note)


def main(arguments: list[str]) -> int:
    return max(keep(note, filled(note.read_text()), "make docs", arguments) for note in sorted(NOTES.glob("*.md")))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
