"""What every project ends with: one table, for people or as JSON.

Owns how figures are shown. A figure that was not taken is None and reads `absent`, never zero.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, field

Cell = str | int | float | None


@dataclass(frozen=True)
class Table:
    """Rows under columns; `notes` say how they were taken, and what was not."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows), self.title

    def column(self, name: str) -> tuple[Cell, ...]:
        """Cells of one column, from the top."""
        n = self.columns.index(name)
        return tuple(row[n] for row in self.rows)

    def row(self, first: str) -> dict[str, Cell]:
        """The row whose first cell is `first`.

        Raises:
            KeyError: there is none.
        """
        for row in self.rows:
            if row[0] == first:
                return dict(zip(self.columns, row, strict=True))
        raise KeyError(f"{self.title}: no row {first!r}")

    def __str__(self) -> str:
        lines = [self.columns, *(tuple(_text(cell) for cell in row) for row in self.rows)]
        widths = [max(len(line[n]) for line in lines) for n in range(len(self.columns))]
        numbers = [any(isinstance(row[n], int | float) for row in self.rows) for n in range(len(self.columns))]
        shown = [
            "  ".join(c.rjust(w) if number else c.ljust(w) for c, w, number in zip(line, widths, numbers, strict=True)).rstrip()
            for line in lines
        ]
        rule = "  ".join("-" * w for w in widths)
        return "\n".join([self.title, "", shown[0], rule, *shown[1:], "", *self.notes]).rstrip()


def small() -> bool:
    """Whether to run at the size of the tests: `--small`, or PROJECTS_SMALL in a notebook's environment."""
    return "--small" in sys.argv or bool(os.environ.get("PROJECTS_SMALL"))


def show(table: Table) -> None:
    """Print the table; with `--json` as one document."""
    print(json.dumps({"version": 1, **asdict(table)}, indent=2) if "--json" in sys.argv else table)  # noqa: T201


def _text(cell: Cell) -> str:
    if cell is None:
        return "absent"
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return f"{cell:,}" if isinstance(cell, int) else cell
