"""Writes each project's notebook from its script: `python -m projects.notebooks`; `--check` only compares.

The script is the source; a notebook is never edited, holds no outputs, and comes out the same byte for byte each time.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent


def scripts() -> dict[str, Path]:
    """Every project's script by the project's name: the file that is called as its folder is."""
    return {path.parent.name: path for path in sorted(HERE.glob("*/*.py")) if path.stem == path.parent.name}


def written(script: Path) -> str:
    """The notebook's text that belongs to a script."""
    import jupytext  # noqa: PLC0415 - running a project needs none of it

    notebook = jupytext.read(script)
    for n, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{n}"  # jupytext draws them by lot
    # Its own version would make every upgrade rewrite every notebook.
    notebook.metadata.get("jupytext", {}).get("text_representation", {}).pop("jupytext_version", None)
    text: str = jupytext.writes(notebook, fmt="ipynb")
    return text.rstrip() + "\n"


def main(check: bool) -> int:
    stale = []
    for script in scripts().values():
        notebook, text = script.with_suffix(".ipynb"), written(script)
        if not notebook.exists() or notebook.read_text() != text:
            stale.append(notebook)
            if not check:
                notebook.write_text(text)
    for one in stale:
        print(f"{one.relative_to(HERE.parent)}: {'is not what its script makes' if check else 'written'}")  # noqa: T201
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv))
