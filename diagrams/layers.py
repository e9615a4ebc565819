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
    unit = {name: _unit(name, graph) for name in graph}
    edges: dict[str, set[str]] = {one: set() for one in unit.values()}
    for name, targets in graph.items():
        edges[unit[name]] |= {unit.get(target, target) for target in targets} - {unit[name]}
    joined = {one: " + ".join(circle) for circle in _circles(edges) for one in circle}
    whole: dict[str, set[str]] = {}
    for one, targets in edges.items():
        whole.setdefault(joined[one], set()).update(joined.get(t, t) for t in targets if joined.get(t, t) != joined[one])
    return reduced(whole)


def _package(name: str, graph: Mapping[str, set[str]]) -> str:
    """The package that a module belongs to: of the clouds each, else the second level."""
    package = name if any(other.startswith(f"{name}.") for other in graph) else name.rpartition(".")[0]
    return ".".join(package.split(".")[: 3 if package.startswith("infra.clouds.") else 2])


def _unit(name: str, graph: Mapping[str, set[str]]) -> str:
    package = _package(name, graph)
    below = [other for other in graph if _package(other, graph).startswith(f"{package}.")]
    if "." in package or not below:
        return package
    return package + (_BASE if name in _reach(below, graph) else _USES)


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
    unit = {name: _unit(name, graph) for name in graph}
    ids = {one: f"n{i}" for i, one in enumerate(sorted({*made, *(t for ts in made.values() for t in ts)}))}
    boxes = []
    for one, id_ in ids.items():
        parts = one.split(" + ")
        count = sum(of in parts for of in unit.values())
        lines = (*parts[1:], f"{count} modules" if count != 1 else "1 module") if count else ("SDK",)
        boxes.append(Box(id_, one.partition(".")[0].partition(" ")[0] if count else "sdk", parts[0], lines))
    arrows = tuple(Arrow(ids[one], ids[target]) for one in sorted(made) for target in sorted(made[one]))
    return Drawing("layers", "Layers: who imports whom", (Group("", tuple(boxes), arrows),))
