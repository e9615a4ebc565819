"""What the projects' tests share. They run in the projects' own environment: `make projects-test`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from projects.notebooks import scripts


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Run a project's notebook, cell by cell in one namespace as Jupyter would, at the tests' size; the names it ends with."""
    monkeypatch.setenv("PROJECTS_SMALL", "1")

    def run(name: str) -> dict[str, Any]:
        script = scripts()[name]
        notebook = json.loads(script.with_suffix(".ipynb").read_text())
        names: dict[str, Any] = {"__name__": "__main__"}
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                exec(compile("".join(cell["source"]), f"{script.stem}.ipynb#{cell['id']}", "exec"), names)
        return names

    return run
