"""docs/accelerators.md says what the catalogue says."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.catalog import matrix
from fleet.catalog.accelerators import ACCELERATORS
from fleet.catalog.machines import Machine, machines


def test_the_page_is_fresh(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert matrix.main(["--check"]) == 0, "run `make docs`"
    monkeypatch.setattr(matrix, "PAGE", tmp_path / "accelerators.md")
    assert matrix.main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err
    assert matrix.main([]) == 0
    assert matrix.main(["--check"]) == 0


@pytest.mark.parametrize(
    "row", [m for m in machines() if m.accelerator], ids=lambda m: f"{m.cloud}-{m.name}-{m.accelerator.name}"
)
def test_every_machine_has_a_line(row: Machine) -> None:
    assert row.accelerator is not None
    assert f"| {row.name} | {row.accelerators} x {row.accelerator.name} |" in matrix.text()


def test_every_accelerator_has_a_line_and_those_nowhere_a_reason() -> None:
    page = matrix.text()
    for row in ACCELERATORS.values():
        assert f"| {row.name} | {row.family.resource} |" in page
        if row.instead:
            assert f"| {row.name} | {row.instead} |" in page


def test_what_is_nowhere_has_no_machine_and_what_has_one_is_somewhere() -> None:
    carried = {m.accelerator.name for m in machines() if m.accelerator}
    assert {name for name, row in ACCELERATORS.items() if row.instead} == ACCELERATORS.keys() - carried
    assert all(row.precisions for row in ACCELERATORS.values())
