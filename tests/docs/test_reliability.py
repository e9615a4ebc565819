"""docs/reliability.md names every test of a fault, and no other."""

from __future__ import annotations

import re

from docs.coverage import ROOT, exists

PAGE = (ROOT / "docs" / "reliability.md").read_text()
NAMED = {(path, name) for name, path in re.findall(r"\[(test_\w+)\]\(\.\./(tests/[\w/]+\.py)\)", PAGE)}
# Each test of these is of a fault, or of what it is measured by.
FILES = ("tests/e2e/test_full_disk.py", "tests/e2e/test_control_plane_faults.py", "tests/e2e/test_serving_faults.py")
WITHOUT = {"test_replicas_spread_over_zones_and_nodes"}


def test_every_test_that_the_page_names_is_there() -> None:
    assert len(NAMED) > 15
    assert [one for one in NAMED if not exists(ROOT, "::".join(one))] == []


def test_every_fault_is_on_the_page() -> None:
    tests = {(path, name) for path in FILES for name in re.findall(r"^def (test_\w+)", (ROOT / path).read_text(), re.MULTILINE)}
    assert {one for one in tests if one[1] not in WITHOUT} <= NAMED
