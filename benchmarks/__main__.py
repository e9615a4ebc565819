"""`python -m benchmarks [--quick] [--json] [NAME…]`: one table of ratios; the exit status says nothing of the aims."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from benchmarks import (
    bad_input,
    clusters,
    fleet_size,
    placement,
    policies,
    preview,
    program_start,
    reaction,
    report,
    report_program,
    scale,
    serving,
    split,
    warm,
)
from benchmarks.measure import Ratio

_MODULES = (
    program_start,
    preview,
    report,
    report_program,
    policies,
    placement,
    fleet_size,
    clusters,
    split,
    scale,
    reaction,
    serving,
    bad_input,
    warm,
)
BENCHMARKS: dict[str, Callable[[bool], list[Ratio]]] = {module.NAME: module.measure for module in _MODULES}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "name", nargs="*", choices=[[], *BENCHMARKS], help=f"which of {', '.join(BENCHMARKS)}; all of them when none is named"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller stacks")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    asked = parser.parse_args()
    progress = Console(stderr=True)
    found: list[Ratio] = []
    for name in asked.name or BENCHMARKS:
        with progress.status(f"{name} …"):
            found += BENCHMARKS[name](asked.quick)
    if asked.json:
        print(json.dumps([ratio.to_json() for ratio in found], indent=2))
    else:
        # A pipe has no width of its own; 80 columns would break every cell.
        Console(width=None if Console().is_terminal else 170).print(table(found))


def table(found: list[Ratio]) -> Table:
    """The ratios as rows; the medians say what the ratio is of, and hold for this machine alone."""
    made = Table("Benchmark", "What", "Against", "Medians", "Ratio", "Spread", "Aim")
    for ratio in found:
        medians = " / ".join(f"{statistics.median(side):.3g}" for side in (ratio.whats, ratio.againsts))
        low, high = ratio.spread
        aim = "-" if ratio.aim is None else f"{ratio.aim} {'met' if ratio.aim.met(ratio.median) else 'missed'}"
        made.add_row(
            ratio.benchmark,
            ratio.what,
            ratio.against,
            f"{medians} {ratio.unit}",
            f"{ratio.median:.2f}",
            f"{low:.2f} to {high:.2f}",
            aim,
        )
    return made


if __name__ == "__main__":
    main()
