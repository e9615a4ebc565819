"""docs/coverage.md is true: every item has a row, and every row's evidence is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from docs import coverage
from docs.coverage import Row

ITEMS, ROWS = coverage.seed(), coverage.rows()
SOUND = Row("thing", ("a.py::Thing",), ("test_a.py::test_thing",), pending=False)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "a.py").write_text("class Thing: ...\nOTHER: int = 1\n")
    (tmp_path / "test_a.py").write_text("class TestThing:\n    def test_inside(self): ...\n\ndef test_thing(): ...\n")
    return tmp_path


def test_every_item_has_a_row_and_its_evidence_is_there() -> None:
    assert coverage.faults(ITEMS, ROWS) == []


def test_the_page_is_fresh(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert coverage.main(["--check"]) == 0, "run `make docs`"
    monkeypatch.setattr(coverage, "PAGE", tmp_path / "coverage.md")
    assert coverage.main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err


def test_what_is_pending_is_said_on_the_page_and_nothing_else_is() -> None:
    page = coverage.text()
    waiting = {item for item, row in ROWS.items() if row.pending}
    assert {line.split(" | ")[0].removeprefix("| ") for line in page.splitlines() if "| not yet |" in line} == waiting
    assert ("Not yet:" in page) == bool(waiting)
    assert f"{len(ROWS) - len(waiting)} of {len(ROWS)} are covered" in page


def test_no_item_can_go_without_being_missed() -> None:
    for group, items in ITEMS.items():
        assert items, group
        for item in items:
            less = {key: row for key, row in ROWS.items() if key != item}
            assert f"{item}: no row in coverage.yaml" in coverage.faults(ITEMS, less)
    shorter = {group: items[1:] for group, items in ITEMS.items()}
    gone = [items[0] for items in ITEMS.values()]
    assert {f"{item}: a row, but no item of seed.yaml" for item in gone} <= set(coverage.faults(shorter, ROWS))


def test_an_item_said_twice_is_told() -> None:
    twice = {"one": ["thing"], "two": ["thing"]}
    assert coverage.faults(twice, {"thing": replace(SOUND, pending=True)}) == ["thing: twice in seed.yaml"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (SOUND, None),
        (replace(SOUND, where=("a.py::OTHER", "a.py")), None),
        (replace(SOUND, shown=("test_a.py::TestThing::test_inside",)), None),
        (replace(SOUND, where=("gone.py",)), "gone.py is not there"),
        (replace(SOUND, where=("a.py::Gone",)), "a.py::Gone is not there"),
        (replace(SOUND, shown=("test_a.py::test_gone",)), "test_a.py::test_gone is not there"),
        (replace(SOUND, shown=("test_a.py",)), "test_a.py names no test"),
        (replace(SOUND, where=()), "the row is empty"),
        (replace(SOUND, shown=()), "the row is empty"),
        (replace(SOUND, where=(), pending=True), "the row is empty"),
        (replace(SOUND, where=("gone.py",), pending=True), None),
    ],
)
def test_evidence_that_goes_is_missed(row: Row, said: str | None, tree: Path) -> None:
    found = list(row.faults(tree))
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_a_row_is_flipped_once_all_its_evidence_is_there(monkeypatch: pytest.MonkeyPatch, tree: Path) -> None:
    data = tree / "coverage.yaml"
    here = "{where: a.py, shown: 'test_a.py::test_thing', pending: true}"
    data.write_text(f"# Kept.\nhere: {here}\nelsewhere: {here.replace('a.py,', 'b.py,')}\n")
    monkeypatch.setattr(coverage, "DATA", data)
    monkeypatch.setattr(coverage, "ROOT", tree)
    assert coverage.flip() == ["here"]
    assert [row.pending for row in coverage.rows().values()] == [False, True]
    assert data.read_text().startswith("# Kept.\n")
    assert coverage.flip() == []


def test_every_test_named_is_one_that_pytest_collects() -> None:
    for row in ROWS.values():
        for one in row.shown if not row.pending else ():
            path, _, name = one.partition("::")
            assert Path(path).name.startswith("test_"), one
            assert name.rpartition("::")[2].startswith("test_"), one
