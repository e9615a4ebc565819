"""The walk-through from a model to its metrics: the half that needs no cluster, run whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from projects.table import Table

ROOT = Path(__file__).parents[2]


def test_the_model_is_served_asked_and_watched(executed: Callable[[str], dict[str, Any]]) -> None:
    table: Table = executed("fastapi_k8s")["table"]
    found = {str(row[0]): str(row[2]) for row in table.rows}
    right = re.fullmatch(r"([\d.]+)% of 50 right, .* ms each", found["ask"])
    assert right
    assert float(right[1]) > 90
    assert found["watch"] == "50 requests counted, 0 wait"
    assert found["probe"] == "200"
    assert found["end"] == "exit code 0", "it drains and ends by itself"


def test_the_pages_commands_name_what_there_is() -> None:
    text = (ROOT / "projects/fastapi_k8s/README.md").read_text()
    paths = set(re.findall(r"(?:projects|serving|tests|docs)/[\w/.-]+\.(?:yaml|md|py)|serving/Dockerfile", text))
    assert len(paths) >= 4
    assert not [path for path in paths if not (ROOT / path).exists()]
