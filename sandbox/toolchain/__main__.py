"""`python -m sandbox.toolchain [--list | --pin] [TOOL…]`: make what is missing, or show where each tool comes from.

$TOOLCHAIN=download fetches the projects' releases instead of building; $TOOLCHAIN_MIRROR says from where.
"""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Table

from sandbox.toolchain import TOOLS, crds, ensure, find, pins


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.toolchain", description=__doc__)
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=f"any of {', '.join(TOOLS)}; default: all")
    parser.add_argument("--list", action="store_true", help="show versions and places, make nothing")
    parser.add_argument("--pin", action="store_true", help="write the published checksums to releases.csv, make nothing")
    args = parser.parse_args()
    if unknown := [t for t in args.tools if t not in TOOLS]:
        parser.error(f"unknown tool {', '.join(unknown)}; there are {', '.join(TOOLS)}")
    try:
        _run(args.tools, show=args.list, pin=args.pin)
    except RuntimeError as problem:
        sys.exit(str(problem))
    except KeyboardInterrupt:
        sys.exit(130)  # what was half made is gone already


def _run(asked: list[str], *, show: bool, pin: bool) -> None:
    if pin:
        Console().print(f"{pins.pin()} rows in {pins.PINS}: read the difference before you commit it", highlight=False)
        return
    names = asked or list(TOOLS)
    if not show:
        ensure(names)
        if not asked:
            crds.files()
    table = Table("Tool", "Version", "Place", box=None)
    for name in names:
        table.add_row(name, TOOLS[name].version, str(find(name) or f"not built (about {TOOLS[name].expected_s} s)"))
    Console().print(table)


if __name__ == "__main__":
    main()
