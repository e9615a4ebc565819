"""The repository's layers, from its real import graph: who stands on whom, and where an SDK is reached.

Every import counts, lazy ones too; what is loaded by its name at run time is not seen. Modules are taken together by package;
those that lie beside subpackages are told apart into what the subpackages stand on and what uses them. Packages that import
each other are one box, as neither goes without the other. Arrows that others imply are left out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from diagrams.graph import Arrow, Box, Drawing, Group, reduced
from fleet.workspace import ROOT

TOPS = ("fleet", "infra", "sandbox", "serving")
SDKS = ("pulumi_aws", "pulumi_gcp", "pulumi_azure_native", "pulumi_kubernetes")
_BASE, _USES = " (below)", " (above)"
Edges = Mapping[str, Iterable[str]]


def modules(root: Path = ROOT) -> dict[str, set[str]]:
    """Every module with the modules of ours and the SDKs that it imports."""
    files = {".".join(p.relative_to(root).with_suffix("").parts): p for top in TOPS for p in (root / top).rglob("*.py")}
    named = {name.removesuffix(".__init__"): path for name, path in files.items()}
    found = {}
    for name, path in named.items():
        asked = set(_imported(path, named))
        found[name] = {one for one in asked if one in named and one != name} | {one for one in asked if one in SDKS}
    return found


def _imported(path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            # `from package import module` names a module, not the package.
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else node.module for name in names]
        else:
            continue
        yield from (name.partition(".")[0] if name.partition(".")[0] in SDKS else name for name in names)


def layers(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """The packages, with the fewest arrows that say what stands on what; boxes of several packages have their names joined."""
    unit = _units(graph)
    edges: dict[str, set[str]] = {one: set() for one in unit.values()}
    for name, targets in graph.items():
        edges[unit[name]] |= {unit.get(target, target) for target in targets} - {unit[name]}
    joined = {one: " + ".join(circle) for circle in _circles(edges) for one in circle}
    whole: dict[str, set[str]] = {}
    for one, targets in edges.items():
        whole.setdefault(joined[one], set()).update(joined.get(t, t) for t in targets if joined.get(t, t) != joined[one])
    return reduced(whole)


def _units(graph: Mapping[str, set[str]]) -> dict[str, str]:
    """The box of each module: its package, of the clouds each, else of the second level; a top one's own modules told apart."""
    parents = {name.rpartition(".")[0] for name in graph}
    package = {}
    for name in graph:
        words = (name if name in parents else name.rpartition(".")[0]).split(".")
        package[name] = ".".join(words[: 3 if words[:2] == ["infra", "clouds"] else 2])
    found = dict(package)
    for top in TOPS:
        subs = [name for name, of in package.items() if of.startswith(f"{top}.")]
        under = _reach(subs, graph)
        found |= {name: top + (_BASE if name in under else _USES) for name, of in package.items() if subs and of == top}
    return found


def _reach(starts: Iterable[str], edges: Edges) -> set[str]:
    """All that can be come to from there, the starts themselves only by a way back."""
    seen: set[str] = set()
    waiting = [end for start in starts for end in edges.get(start, ())]
    while waiting:
        at = waiting.pop()
        if at not in seen:
            seen.add(at)
            waiting += edges.get(at, ())
    return seen


def _circles(edges: Edges) -> list[list[str]]:
    """Units that come back to each other, sorted; one alone is a circle of its own."""
    reach = {one: _reach([one], edges) for one in edges}
    found = {tuple(sorted({one, *(other for other in reach[one] if one in reach.get(other, ()))})) for one in edges}
    return [list(circle) for circle in sorted(found)]


def drawing(graph: Mapping[str, set[str]] | None = None) -> Drawing:
    """One drawing of all of it; an arrow goes from what imports to what is imported."""
    graph = modules() if graph is None else graph
    made = layers(graph)
    unit = _units(graph)
    ids = {one: f"n{i}" for i, one in enumerate(sorted({*made, *(t for ts in made.values() for t in ts)}))}
    boxes = []
    for one, id_ in ids.items():
        parts = one.split(" + ")
        count = sum(of in parts for of in unit.values())
        lines = (*parts[1:], f"{count} modules" if count != 1 else "1 module") if count else ("SDK",)
        boxes.append(Box(id_, one.partition(".")[0].partition(" ")[0] if count else "sdk", parts[0], lines))
    arrows = tuple(Arrow(ids[one], ids[target]) for one in sorted(made) for target in sorted(made[one]))
    return Drawing("layers", "Layers: who imports whom", (Group("", tuple(boxes), arrows),))
