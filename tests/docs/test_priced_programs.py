"""The page of what the report prices of ordinary programs stands as its generator makes it, and hides nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal

import pytest

from docs import priced_programs
from fleet.workspace import ROOT


def test_the_page_is_as_its_generator_makes_it() -> None:
    # In a process of its own: programs load four SDKs, and leave them loaded.
    command = [sys.executable, "-W", "ignore", "-m", "docs.priced_programs", "--check"]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    text = priced_programs.PATH.read_text()
    programs = {directory.name for directory in (ROOT / "tests" / "programs").iterdir() if directory.is_dir()}
    assert {name for name in programs if f"| `{name}` |" in text} == programs


@pytest.mark.parametrize(
    ("program", "line", "usd"), [("aws_web", "server", "7.59"), ("eks", "nodes", "121.47"), ("gcp_web", "server", "12.23")]
)
def test_common_machines_cost_what_their_list_says(program: str, line: str, usd: str) -> None:
    # USD an hour: t3.micro 0.0104, two t3.large 0.0832, e2-small 0.016752855.
    _, found = priced_programs.estimate(ROOT / "tests" / "programs" / program)
    assert [one.usd.expected for one in found.lines if one.name == line and one.nodes] == [Decimal(usd)]
