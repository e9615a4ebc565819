"""`python -m sandbox.toolchain [--list] [TOOL…]`: build what is missing, or show where each tool comes from."""

from __future__ import annotations

import argparse

from rich.console import Console
from rich.table import Table

from sandbox.toolchain import TOOLS, ensure, find


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.toolchain", description=__doc__)
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=f"any of {', '.join(TOOLS)}; default: all")
    parser.add_argument("--list", action="store_true", help="show versions and places, build nothing")
    args = parser.parse_args()
    if unknown := [t for t in args.tools if t not in TOOLS]:
        parser.error(f"unknown tool {', '.join(unknown)}; there are {', '.join(TOOLS)}")
    names = args.tools or list(TOOLS)
    if not args.list:
        ensure(names)
    table = Table("Tool", "Version", "Place", box=None)
    for name in names:
        table.add_row(name, TOOLS[name].version, str(find(name) or f"not built (about {TOOLS[name].expected_s} s)"))
    Console().print(table)


if __name__ == "__main__":
    main()
