"""What the repository sets out to cover, and where: docs/coverage.md from seed.yaml and coverage.yaml.

`python -m docs.coverage` writes the page, `--check` tells a stale one, `--flip` takes `pending` from every row whose evidence
is all there. It refuses an item without a row, a row without an item, and evidence that is gone; it cannot judge whether a
test shows what its row claims: that is the reviewer's.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from fleet.generated import keep, table

ROOT = Path(__file__).resolve().parents[1]
SEED, DATA, PAGE = (ROOT / "docs" / name for name in ("seed.yaml", "coverage.yaml", "coverage.md"))
_HEAD = """# What is covered

Every item that this repository sets out to cover, where it lives, and the test that shows it. Made from `docs/seed.yaml` and
`docs/coverage.yaml` by `make docs`; a test fails where an item has no row, or a row's evidence is gone."""


@dataclass(frozen=True)
class Row:
    """One item: where it lives, what shows it; `pending` while that evidence is not in the tree."""

    item: str
    where: tuple[str, ...]
    shown: tuple[str, ...]
    pending: bool

    def faults(self, root: Path) -> Iterator[str]:
        """What is wrong with it, one line each; whether the evidence is there counts only once it is not pending."""
        if not self.where or not self.shown:
            yield f"{self.item}: the row is empty: say where it lives and what shows it"
        if not self.pending:
            yield from (f"{self.item}: {one} is not there" for one in (*self.where, *self.shown) if not exists(root, one))
            yield from (f"{self.item}: {one} names no test" for one in self.shown if "::" not in one)


def exists(root: Path, evidence: str) -> bool:
    """Whether `path`, or `path::Name` of something that the file defines, is there; a class's test as `path::Class::test`."""
    path, _, name = evidence.partition("::")
    file = root / path
    return file.exists() and (not name or name.rpartition("::")[2] in _defined(file))


@cache
def _defined(file: Path) -> frozenset[str]:
    """Functions, classes and module variables of a Python file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return frozenset(names)


def seed() -> dict[str, list[str]]:
    """The items by group, in the page's order."""
    return dict(_read(SEED))


def rows() -> dict[str, Row]:
    """The rows by item."""
    return {
        item: Row(item, _many(of.get("where")), _many(of.get("shown")), bool(of.get("pending")))
        for item, of in _read(DATA).items()
    }


def faults(items: dict[str, list[str]], known: dict[str, Row], root: Path = ROOT) -> list[str]:
    """Everything that keeps the page from being true."""
    wanted = [item for group in items.values() for item in group]
    found = [f"{item}: no row in coverage.yaml" for item in wanted if item not in known]
    found += [f"{item}: twice in seed.yaml" for item in dict.fromkeys(wanted) if wanted.count(item) > 1]
    found += [f"{item}: a row, but no item of seed.yaml" for item in known if item not in wanted]
    return found + [fault for row in known.values() for fault in row.faults(root)]


def text() -> str:
    """The page as it should stand."""
    known = rows()
    listed = {group: [known[item] for item in items if item in known] for group, items in seed().items()}
    every = [row for of in listed.values() for row in of]
    waiting = [row.item for row in every if row.pending]
    count = f"{len(every) - len(waiting)} of {len(every)} are covered."
    if waiting:
        count += f" Not yet: {', '.join(waiting)}."
    return "\n\n".join([_HEAD, count, *(f"## {group}\n\n{_table(of)}" for group, of in listed.items())]) + "\n"


def _table(of: list[Row]) -> str:
    def cell(row: Row, evidence: tuple[str, ...]) -> str:
        return "not yet" if row.pending else ", ".join(map(_link, evidence))

    head = ("Item", "Where it lives", "What shows it")
    return table(head, ((row.item, cell(row, row.where), cell(row, row.shown)) for row in of))


def _link(evidence: str) -> str:
    path, _, name = evidence.partition("::")
    return f"[{name.replace('_', ' ') if name.startswith('test_') else name or path}](../{path})"


def flip() -> list[str]:
    """Take `pending` from every row whose evidence is all there; the items."""
    yaml = YAML()
    yaml.width = 4096
    data = yaml.load(DATA)
    done = []
    for item, row in rows().items():
        if row.pending and not list(Row(item, row.where, row.shown, pending=False).faults(ROOT)):
            del data[item]["pending"]
            done.append(item)
    if done:
        yaml.dump(data, DATA)
    return done


def _read(path: Path) -> dict[str, Any]:
    return dict(YAML(typ="safe").load(path))


def _many(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),) if value else ()


def main(arguments: list[str]) -> int:
    if "--flip" in arguments:
        sys.stdout.write("".join(f"{item} is covered\n" for item in flip()))
    found = faults(seed(), rows())
    sys.stderr.write("".join(f"{fault}\n" for fault in found))
    return 1 if found else keep(PAGE, text(), "make docs", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
