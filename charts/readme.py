"""Each chart's README: what is above the mark is written by hand, the table below comes from values.yaml.

Refuses a value without a `# --` comment. Run it after changing one: `python charts/readme.py`; with `--check` it writes
nothing and exits with 1 where a README is not what values.yaml says.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

CHARTS = Path(__file__).parent
MARK = "<!-- Below: from values.yaml, by charts/readme.py -->"


def rows(values: str) -> Iterator[tuple[str, str, str]]:
    """Every value of a values.yaml: its path, its default as JSON, its comment.

    Raises:
        ValueError: a value has no comment.
    """
    root = yaml.compose(values, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode), "values.yaml is a mapping"
    yield from _rows(root, values.splitlines(), ())


def _rows(node: yaml.MappingNode, lines: list[str], at: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    for key, value in node.value:
        path, comment = (*at, key.value), _comment(lines, key.start_mark.line)
        if comment:
            default = yaml.SafeLoader("").construct_object(value, deep=True)
            yield ".".join(path), json.dumps(default), comment
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from _rows(value, lines, path)
        else:
            raise ValueError(f"{'.'.join(path)} (line {key.start_mark.line + 1}) has no comment: write '# -- …' above it")


def _comment(lines: list[str], line: int) -> str:
    """The comment right above a line, from its `# --` on; empty where there is none."""
    found: list[str] = []
    for text in reversed(lines[:line]):
        if not text.strip().startswith("#"):
            break
        found.insert(0, text.strip().removeprefix("#").strip())
        if found[0].startswith("--"):
            return " ".join(found).removeprefix("--").strip()
    return ""


def readme(chart: Path) -> str:
    """What the chart's README.md should be."""
    by_hand = (chart / "README.md").read_text().partition(MARK)[0]
    table = "\n".join(
        f"| `{path}` | `{default}` | {comment} |" for path, default, comment in rows((chart / "values.yaml").read_text())
    )
    return f"{by_hand}{MARK}\n\n| Value | Default | Meaning |\n|---|---|---|\n{table}\n"


def main(arguments: Sequence[str] | None = None, charts: Path = CHARTS) -> int:
    """Write every chart's README, or with `--check` only say which is stale; returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a README is stale")
    check = parser.parse_args(arguments).check
    stale = [made.parent for made in sorted(charts.glob("*/Chart.yaml")) if not _is_current(made.parent)]
    for chart in stale:
        if check:
            sys.stderr.write(f"{chart / 'README.md'} is not what values.yaml says: run python charts/readme.py\n")
        else:
            (chart / "README.md").write_text(readme(chart))
    return 1 if check and stale else 0


def _is_current(chart: Path) -> bool:
    return (chart / "README.md").read_text() == readme(chart)


if __name__ == "__main__":
    sys.exit(main())
