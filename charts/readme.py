"""Each chart's README: what is above the mark is written by hand, the table below comes from values.yaml."""

from __future__ import annotations

import json
from pathlib import Path

from charts.values import values

MARK = "<!-- Below: from values.yaml, by python -m charts -->"


def readme(chart: Path) -> str:
    """What the chart's README.md should be."""
    by_hand = (chart / "README.md").read_text().partition(MARK)[0]
    table = "\n".join(
        f"| `{'.'.join(value.path)}` | `{json.dumps(value.default)}` | {value.words} |"
        for value in values((chart / "values.yaml").read_text())
        if value.words
    )
    return f"{by_hand}{MARK}\n\n| Value | Default | Meaning |\n|---|---|---|\n{table}\n"
