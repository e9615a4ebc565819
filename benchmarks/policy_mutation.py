"""How much of the policy rules their fixtures hold: `python -m benchmarks.policy_mutation [--sample N]`.

One change at a time to a rule's code (a comparison turned, a constant moved, `and` for `or`, a `not` dropped), and the
fixtures of the module's rules are judged again. A change that no fixture notices is a hole. Texts for people are left
alone: what, why, mend, references. Nothing is deployed again: what the fixtures' programs registered is kept.
"""

from __future__ import annotations

import argparse
import ast
import copy
import random
import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policies.accel_policies import judge
from policies.accel_policies.rule import Resource, Rule, Stack
from policies.accel_policies.settings import Settings
from policies.accel_policies.values import NotKnown

_TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
# Keywords of a rule that people read, and calls that only make a sentence.
_TEXTS = ("what", "why", "mend", "refs")
_SENTENCES = ("Told",)


@dataclass(frozen=True)
class Recorded:
    """One fixture as it reached the rules."""

    rule: str
    kind: str
    stack: Stack
    minded: bool
    settings: Settings


def recorded() -> list[Recorded]:
    """Run every fixture's program once."""
    from tests.policies import fixtures  # noqa: PLC0415 - loads all SDKs
    from tests.policies.programs import record  # noqa: PLC0415

    found = []
    for cases in fixtures.SETS:
        stacks = record(cases)
        for rule, case in cases.items():
            for kind, (_, minded) in case.kinds().items():
                found.append(Recorded(rule, kind, stacks[rule, kind], minded, case.others.get(kind, case.settings)))
    return found


class _Spots(ast.NodeVisitor):
    """Places that can be changed, as (path of the node in walking order, change)."""

    def __init__(self) -> None:
        self.found: list[tuple[ast.AST, str]] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        body = node.body[1:] if ast.get_docstring(node) else node.body
        for statement in body:
            self.visit(statement)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        return

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
        if name in _SENTENCES or name == "Rules":
            return
        # The first argument of a rule is its id, the second its severity.
        skipped = 2 if name in ("on", "demand") else 0
        for argument in node.args[skipped:]:
            self.visit(argument)
        for keyword in node.keywords:
            if keyword.arg not in _TEXTS:
                self.visit(keyword.value)
        self.visit(node.func)

    def visit_Compare(self, node: ast.Compare) -> None:
        self.found += [(node, f"op{i}") for i in range(len(node.ops))]
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.found.append((node, "bool"))
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not):
            self.found.append((node, "not"))
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool | int | str) and node.value != "":
            self.found.append((node, "constant"))

    def visit_Yield(self, node: ast.Yield) -> None:
        """What is yielded is a path and a finding, for people; whether it is yielded is the rule's."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                self.visit(part.value)


def mutants(tree: ast.Module) -> Iterator[tuple[str, ast.Module]]:
    """Each change, with where it is."""
    spots = _Spots()
    for statement in tree.body:
        if not isinstance(statement, ast.Import | ast.ImportFrom | ast.AnnAssign | ast.Expr) or (
            isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
        ):
            spots.visit(statement)
    for node, change in spots.found:
        kept = copy.copy(node.__dict__)
        said = _change(node, change)
        if said is None:
            continue
        yield f"{node.lineno}: {said}", tree  # type: ignore[attr-defined]
        node.__dict__.clear()
        node.__dict__.update(kept)


def _change(node: ast.AST, change: str) -> str | None:
    before = ast.unparse(node)
    if isinstance(node, ast.Compare):
        i = int(change[2:])
        node.ops = [*node.ops[:i], _TURNED[type(node.ops[i])](), *node.ops[i + 1 :]]
    elif isinstance(node, ast.BoolOp):
        node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.UnaryOp):
        node.op, node.operand = ast.Not(), ast.UnaryOp(ast.Not(), node.operand)
        ast.fix_missing_locations(node)
    elif isinstance(node, ast.Constant):
        value = node.value
        node.value = not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else f"{value}~"
    return f"{before[:70]} -> {ast.unparse(node)[:70]}"


def load(module: types.ModuleType, tree: ast.Module) -> Mapping[str, Rule] | None:
    """The rules of a changed module; None where it cannot even be loaded."""
    made = types.ModuleType(f"{module.__name__}_mutant")
    made.__file__ = module.__file__
    sys.modules[made.__name__] = made
    try:
        exec(compile(tree, str(module.__file__), "exec"), made.__dict__)
        return dict(made.rules.made)
    except Exception:
        return None
    finally:
        del sys.modules[made.__name__]


def noticed(rules: Mapping[str, Rule], fixtures: list[Recorded]) -> bool:
    """Whether some fixture ends otherwise than it should."""
    return any(f.rule not in rules or _minds(rules[f.rule], f) is not f.minded for f in fixtures)


def _minds(rule: Rule, fixture: Recorded) -> bool | None:
    """None: what is unknown was not taken for unknown, or the rule broke."""
    things: list[Resource | Stack] = [fixture.stack] if rule.whole else list(fixture.stack.resources)
    there = {one.type for one in fixture.stack.resources}
    if rule.whole and rule.types and not there.intersection(rule.types):
        return False
    found = False
    for thing in things:
        if isinstance(thing, Resource) and thing.type not in rule.types:
            continue
        try:
            parts = [thing] if isinstance(thing, Stack) else list(rule.parts(thing))
        except NotKnown:
            continue
        except Exception:
            return None
        for part in parts:
            try:
                found = bool(list(rule.check(part, fixture.settings))) or found
            except NotKnown:
                continue
            except Exception:
                return None
    return found


def score(fixtures: list[Recorded], sample: int | None = None, seed: int = 0) -> tuple[int, int, list[str]]:
    """(noticed, made, those that nobody noticed). With `sample`: so many, chosen by the seed."""
    hits, holes = 0, []
    for module in judge.MODULES:
        tree = ast.parse(Path(str(module.__file__)).read_text())
        of_module = [f for f in fixtures if f.rule in module.rules.made]
        count = sum(1 for _ in mutants(tree))
        share = count if sample is None else max(1, sample * count // 1200)
        chosen = set(random.Random(seed).sample(range(count), min(count, share)))
        for i, (where, changed) in enumerate(mutants(tree)):
            if i not in chosen:
                continue
            rules = load(module, changed)
            if rules is None or noticed(rules, of_module):
                hits += 1
            else:
                holes.append(f"{Path(str(module.__file__)).name}:{where}")
    return hits, hits + len(holes), holes


def main(arguments: Any = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, help="about so many changes instead of all")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    fixtures = recorded()
    for module in judge.MODULES:
        assert not noticed(module.rules.made, [f for f in fixtures if f.rule in module.rules.made]), "fixtures fail as it is"
    hits, made, holes = score(fixtures, asked.sample, asked.seed)
    for hole in holes:
        print(hole)
    print(f"{hits} of {made} changes noticed: {hits / made:.1%}, by {len(fixtures)} fixtures of {len(judge.RULES)} rules")
    return 0


if __name__ == "__main__":
    sys.exit(main())
