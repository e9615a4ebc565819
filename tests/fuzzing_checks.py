"""What holds for every generated input: no traceback, no hang, no control character, and a report that can be read."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path

from rich.console import Console

from fleet.inventory.file import read
from fleet.inventory.state import InventoryError
from fleet.load import StackErrors, load_stack
from fleet.printed import is_plain
from fleet.report.build import report
from fleet.report.document import dump
from fleet.report.markdown import markdown
from fleet.report.model import Report
from fleet.report.page import page
from fleet.report.program import report as report_of
from fleet.report.sarif import sarif
from fleet.report.terminal import terminal

# Of a processor, far above what any takes: by the clock a busy machine would be the one that is found.
MOST_S = 20
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)


def check_stack_file(place: Path, content: bytes) -> bool:
    """Load it; whether it is sound."""
    place.write_bytes(content)
    started = time.process_time()
    try:
        load_stack(place)
    except StackErrors as wrong:
        assert wrong.errors
        for error in wrong.errors:
            assert error.line >= 1
            assert error.column >= 1
            assert error.message
            said = str(error)
            assert not _CONTROL.search(said), f"a control character reaches the terminal: {said!r}"
            assert "\n" not in said, f"a second line, which could be a workflow command: {said!r}"
            assert len(said) < 5000
        return False
    finally:
        assert time.process_time() - started < MOST_S
    return True


def check_report(directory: Path, after: bytes, before: bytes) -> bool:
    """Compare the two and write the report in every shape; False where the stack is refused before."""
    base = directory / "base"
    base.mkdir(exist_ok=True)
    (base / "s.yaml").write_bytes(before)
    (directory / "s.yaml").write_bytes(after)
    started = time.process_time()
    try:
        spec = load_stack(directory / "s.yaml")
    except StackErrors:
        return False
    made = report({"s": spec}, base, "base", {})
    _check_shapes(made)
    assert made.stacks[0].stack == "s"
    assert time.process_time() - started < MOST_S
    return True


def check_program(file: Path, content: bytes) -> bool:
    """Read it as `fleet report --from` does and write its report in every shape; False where it is refused."""
    file.write_bytes(content)
    started = time.process_time()
    try:
        program = read(file)
    except InventoryError as wrong:
        assert is_plain(str(wrong))
        return False
    _check_shapes(report_of(program, "what stands", {}))
    assert time.process_time() - started < MOST_S
    return True


def _check_shapes(made: Report) -> None:
    assert len(json.loads(dump(made))["stacks"]) == len(made.stacks)
    text = markdown(made)
    assert not _CONTROL.search(text)
    # In a code span it is text, one that holds backticks has a longer fence; and so it is behind a backslash.
    assert not re.search(r"(?<!\\)<script", _CODE_SPAN.sub("", text))
    shown = page(made)
    assert "<script>alert" not in shown
    assert not _CONTROL.search(shown)
    json.loads(sarif(made))
    console = Console(width=140, file=io.StringIO())
    for part in terminal(made):
        console.print(part, highlight=False)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert not _CONTROL.search(printed)
    assert not re.search(r"^\s*::|##\[", printed, re.MULTILINE)
