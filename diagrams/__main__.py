"""Writes the drawings: `python -m diagrams`, as mermaid and SVG beside this file; `--check` tells a stale one.

One a stack file, and the repository's layers. A drawing whose stack is gone is stale, too.
"""

from __future__ import annotations

import sys
from pathlib import Path

from diagrams import layers, stack
from diagrams.graph import Drawing
from diagrams.mermaid import mermaid
from diagrams.svg import svg
from fleet.generated import keep
from fleet.load import load_stack
from fleet.rollout import select
from fleet.workspace import STACKS

HERE = Path(__file__).parent
_HEAD = """# Drawings

Made from the stack files and the import graph by `make docs`; a test keeps them so. The same in mermaid lies beside each.
A number at an arrow is the order in which a pool's nodes are bought. In the layers, *below* is what a package's own
subpackages stand on and *above* what uses them; a cloud's package is loaded by its name, which no arrow shows."""


def drawings(stacks: Path = STACKS) -> list[Drawing]:
    """All of them, the layers first."""
    return [layers.drawing(), *(stack.drawing(name, load_stack(stacks / f"{name}.yaml")) for name in select(stacks, ["*"]))]


def files(made: list[Drawing]) -> dict[str, str]:
    """Every file by its name."""
    pages = "\n\n".join(f"## {one.title}\n\n![{one.title}]({one.name}.svg)\n\n[mermaid]({one.name}.mmd)" for one in made)
    drawn = {f"{one.name}.{end}": draw(one) for one in made for end, draw in (("mmd", mermaid), ("svg", svg))}
    return {**drawn, "README.md": f"{_HEAD}\n\n{pages}\n"}


def main(arguments: list[str]) -> int:
    wanted = files(drawings())
    done = max(keep(HERE / name, text, "make docs", arguments) for name, text in wanted.items())
    old = [path for path in sorted(HERE.iterdir()) if path.suffix in (".mmd", ".svg") and path.name not in wanted]
    for path in old:
        if "--check" in arguments:
            sys.stderr.write(f"{path.name} is of no stack: run `make docs`\n")
        else:
            path.unlink()
    return 1 if old and "--check" in arguments else done


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
