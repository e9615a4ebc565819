"""Checks that need the catalogue, another field or another file. Shape is `fleet.spec`'s, lines are `fleet.load`'s.

A check never runs on something whose shape or facts are wrong already, so that one fault gives one error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

import yaml

from fleet.checks import models, network, pools
from fleet.checks.finding import Finding, Path, listed, nearest
from fleet.spec import ClusterSpec, StackSpec

_STACK_NAME = re.compile(r"^[a-z][a-z0-9-]{0,39}$")


def run(file: File, spec: StackSpec, raw: dict[str, Any], broken: list[Path]) -> list[Finding]:
    """Every fault of a stack file's sound parts.

    Args:
        raw: the file's data; names that misshapen parts carry are still names.
        broken: paths of the shape faults.
    """
    found = [*_stack(file, spec), *network.overlaps(spec.clusters)]
    for name, cluster in spec.clusters.items():
        found += _cluster(("clusters", name), cluster, raw, broken)
    return [f for f in found if not any(_touches(scope, broken) for scope in _scopes(f.path))]


def _cluster(path: Path, cluster: ClusterSpec, raw: dict[str, Any], broken: list[Path]) -> Iterator[Finding]:
    yield from network.check(path, cluster)
    written = raw["clusters"][path[1]]
    pool_names, store_names = (set(written.get(kind) or {}) for kind in ("pools", "stores"))
    sound = set()
    for name, pool in cluster.pools.items():
        where = (*path, "pools", name)
        faults = list(pools.check(where, name, pool, cluster))
        yield from faults
        if not faults and not _touches(where, broken) and not _touches((*path, "region"), broken):
            sound.add(name)
    if any(f.path[-1] == "region" for f in network.check(path, cluster)):
        sound = set()
    yield from _names(path, cluster)
    for name, model in cluster.models.items():
        yield from models.check((*path, "models", name), model, cluster, pool_names, store_names, sound)


def _names(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """AKS drops hyphens from a pool's name, so two names may become one; `system` is the cluster's own pool everywhere."""
    seen: dict[str, str] = {"system": "the system pool"}
    for name in cluster.pools:
        short = name.replace("-", "")
        if short in seen:
            where = (*path, "pools", name)
            message = f"'{name}' is the same as {seen[short]} once hyphens are gone"
            yield Finding(where, message, allowed="names that differ in letters and digits", remedy="rename it", at_key=True)
        seen.setdefault(short, f"'{name}'")


def _stack(file: File, spec: StackSpec) -> Iterator[Finding]:
    if not _STACK_NAME.match(file.stem):
        yield Finding((), f"'{file.stem}' is no stack name", allowed=_STACK_NAME.pattern, remedy="rename the file")
    known = sorted(p.stem for p in file.parent.glob("*.yaml") if not p.name.startswith("Pulumi."))
    for i, other in enumerate(spec.depends_on):
        if other == file.stem:
            yield Finding(("depends_on", i), "a stack cannot depend on itself", repr(other), "another stack", "remove it")
        elif other not in known:
            remedy = nearest(other, known, "add its file, or remove it")
            yield Finding(("depends_on", i), "no such stack", repr(other), listed(k for k in known if k != file.stem), remedy)
        elif chain := _cycle(file, other):
            message = f"goes round in a circle: {' -> '.join(chain)}"
            yield Finding(("depends_on", i), message, repr(other), "stacks that do not lead back here", "break the circle")
    yield from _secrets(file, spec)


def _cycle(file: File, first: str) -> list[str] | None:
    """The way back from `first` to this stack over its `depends_on`, if there is one."""
    todo, seen = [[file.stem, first]], {first}
    while todo:
        way = todo.pop()
        try:
            data = yaml.safe_load((file.parent / f"{way[-1]}.yaml").read_text())
        except (OSError, yaml.YAMLError):
            continue
        needs = data.get("depends_on") if isinstance(data, dict) else None
        for other in needs if isinstance(needs, list) else []:
            if other == file.stem:
                return [*way, other]
            if isinstance(other, str) and other not in seen:
                seen.add(other)
                todo.append([*way, other])
    return None


def _secrets(file: File, spec: StackSpec) -> Iterator[Finding]:
    settings = file.parent / f"Pulumi.{file.stem}.yaml"
    config: dict[str, Any] = {}
    if settings.exists():
        try:
            config = (yaml.safe_load(settings.read_text()) or {}).get("config") or {}
        except (yaml.YAMLError, AttributeError):
            config = {}
    for i, key in enumerate(spec.secrets):
        value = config.get(key if ":" in key else f"accelfleet:{key}")
        where: Path = ("secrets", i)
        command = f"pulumi config set --secret {key} --stack {file.stem}"
        if value is None:
            yield Finding(
                where, f"secret '{key}' is not set in {settings.name}", repr(key), "a `secure:` value", f"run `{command}`"
            )
        elif not (isinstance(value, dict) and "secure" in value):
            message = f"'{key}' stands in clear in {settings.name}"
            yield Finding(where, message, repr(key), "a `secure:` value", f"rotate it, then run `{command}`")


# Fields of a pool or model that are judged together: a fault in one leaves nothing to say of the others.
_TOGETHER = (
    {"accelerator", "per_node", "machine", "topology", "nodes"},
    {"pool", "accelerators", "replicas", "autoscaler"},
)


def _scopes(path: Path) -> list[Path]:
    """What a finding hangs on: the field, and in a pool or model the fields judged with it."""
    if len(path) < 4 or path[2] not in ("pools", "models"):
        return [path]
    entry, fields = path[:4], {str(path[4])} if len(path) > 4 else _TOGETHER[0]
    fields = next((group for group in _TOGETHER if fields & group), fields)
    return [(*entry, name) for name in fields]


def _touches(scope: Path, broken: list[Path]) -> bool:
    return bool(scope) and any(b[: len(scope)] == scope for b in broken)


__all__ = ["Finding", "run"]
