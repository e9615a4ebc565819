"""`python -m charts`: write what is made from each values.yaml; with `--check` nothing, and what is stale is said."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from charts import readme, schema

CHARTS = Path(__file__).parent


def main(arguments: Sequence[str] | None = None, charts: Path = CHARTS) -> int:
    """Returns the exit status: 1 where `--check` found something stale."""
    parser = argparse.ArgumentParser(prog="python -m charts", description=(__doc__ or "").partition(":")[2])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a file is stale")
    check = parser.parse_args(arguments).check
    stale = [(file, text) for file, text in _made(charts) if file.read_text() != text]
    for file, text in stale:
        if check:
            sys.stderr.write(f"{file} is not what values.yaml says: run python -m charts\n")
        else:
            file.write_text(text)
    return 1 if check and stale else 0


def _made(charts: Path) -> list[tuple[Path, str]]:
    found = []
    for chart in sorted(file.parent for file in charts.glob("*/Chart.yaml")):
        found += [(chart / "README.md", readme.readme(chart)), (chart / "values.schema.json", schema.text(chart))]
    return found


if __name__ == "__main__":
    sys.exit(main())
