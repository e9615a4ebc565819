"""The shapes that a report is had in, and the renderer of each. A shape that is not asked for is not loaded."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from fleet.report.model import Report


class Shape(StrEnum):
    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"
    HTML = "html"
    SARIF = "sarif"


def text(made: Report, as_: Shape, stacks: Path | None, everything: bool) -> str:
    """The report in a shape.

    Args:
        stacks: directory of the stack files, whose lines SARIF points at; None where there are none.
        everything: findings that were there before, too, which are else counted.
    """
    if as_ is Shape.SARIF:
        from fleet.report.sarif import sarif  # noqa: PLC0415

        return sarif(made, stacks=stacks)
    if as_ is Shape.MARKDOWN:
        from fleet.report.markdown import markdown  # noqa: PLC0415

        return markdown(made, everything)
    if as_ is Shape.HTML:
        from fleet.report.page import page  # noqa: PLC0415

        return page(made)
    if as_ is Shape.JSON:
        from fleet.report.document import dump  # noqa: PLC0415

        return dump(made)
    from rich.console import Console  # noqa: PLC0415

    console = Console(width=140, record=True, quiet=True)
    _print(made, console, everything)
    return console.export_text()


def show(made: Report, as_: Shape, stacks: Path | None, everything: bool) -> None:
    """The same on stdout; as text for the terminal that is there."""
    if as_ is not Shape.TEXT:
        print(text(made, as_, stacks, everything), end="")  # noqa: T201
        return
    from rich.console import Console  # noqa: PLC0415

    _print(made, Console(width=None if Console().is_terminal else 140), everything)


def _print(made: Report, console: Console, everything: bool) -> None:
    from fleet.report.terminal import terminal  # noqa: PLC0415

    for part in terminal(made, everything):
        console.print(part, highlight=False)
