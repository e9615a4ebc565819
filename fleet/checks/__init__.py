"""Checks that need the catalogue, another field or another file. Shape is `fleet.spec`'s, lines are `fleet.load`'s.

A check never runs on something whose shape or facts are wrong already, so that one fault gives one error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

from fleet.catalog.clouds import Cloud
from fleet.checks import (
    access,
    capacity,
    carbon,
    commitments,
    existing,
    models,
    names,
    network,
    policies,
    pools,
    provisioning,
    routes,
    services,
    tenancy,
    tpu_vms,
    versions,
    weights,
)
from fleet.checks.finding import Finding, Path, listed, nearest
from fleet.positions import YamlError, parse
from fleet.spec import ClusterSpec, StackSpec

_STACK_NAME = re.compile(r"^(?=.{1,40}$)[a-z](-?[a-z0-9])*$")


def run(file: File, spec: StackSpec, broken: set[Path]) -> list[Finding]:
    """Every fault of fact in a stack file.

    Args:
        broken: paths of the faults of shape; nothing that hangs on one is said.
    """
    places = [f for name, cluster in spec.clusters.items() for f in _places(("clusters", name), cluster, spec.secrets)]
    first = [f for f in [*_stack(file, spec), *places] if not f.hangs_on(broken)]
    # Models are measured against pools, and networks against each other, only where nothing is wrong with those.
    wrong = broken | {f.path for f in first}
    on_pools = [f for name, cluster in spec.clusters.items() for f in _models(("clusters", name), cluster)]
    second = [f for f in [*on_pools, *network.overlaps(spec.clusters)] if not f.hangs_on(wrong)]
    # Shares are measured against models and pools that are sound by themselves: what no pool can hold no team can.
    wrong |= {f.path for f in second}
    of_teams = [f for name, cluster in spec.clusters.items() for f in tenancy.check(("clusters", name), cluster)]
    return first + second + [f for f in of_teams if not f.hangs_on(wrong)]


def _places(path: Path, cluster: ClusterSpec, secrets: list[str]) -> Iterator[Finding]:
    yield from existing.check(path, cluster, secrets)
    if cluster.cloud is not Cloud.EXISTING:
        yield from network.check(path, cluster)
        yield from access.check(path, cluster)
        yield from versions.of_cluster(path, cluster)
    yield from provisioning.check(path, cluster)
    yield from tpu_vms.check(path, cluster)
    yield from carbon.of_cluster(path, cluster, secrets)
    for name, pool in cluster.pools.items():
        yield from pools.check((*path, "pools", name), name, pool, cluster)
    yield from services.check(path, cluster)
    yield from names.in_cluster(path, cluster)


def _models(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    for name, model in cluster.models.items():
        yield from models.check((*path, "models", name), model, cluster)
    yield from models.together(path, cluster)
    yield from weights.together(path, cluster)
    yield from routes.together(path, cluster)
    yield from capacity.check(path, cluster)


def _stack(file: File, spec: StackSpec) -> Iterator[Finding]:
    if not _STACK_NAME.match(file.stem):
        allowed = "1 to 40 lower-case letters, digits and single hyphens, from a letter to a letter or digit"
        yield Finding((), f"'{file.stem}' is no stack name", allowed=allowed, remedy="rename the file")
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
    yield from commitments.check(spec.commitments)
    yield from policies.check(spec.policies)
    yield from names.in_stack(file.stem, spec)
    yield from names.beside(
        file.stem, spec, {name: _read(file.parent / f"{name}.yaml") for name in names.kin(file.stem, known)}
    )
    yield from _settings(file, spec)


def _cycle(file: File, first: str) -> list[str] | None:
    """The way back from `first` to this stack over its `depends_on`, if there is one."""
    todo, seen = [[file.stem, first]], {first}
    while todo:
        way = todo.pop()
        needs = _read(file.parent / f"{way[-1]}.yaml").get("depends_on")
        for other in needs if isinstance(needs, list) else []:
            if other == file.stem:
                return [*way, other]
            if isinstance(other, str) and other not in seen:
                seen.add(other)
                todo.append([*way, other])
    return None


def _read(file: File) -> dict[str, Any]:
    """Another file's data, empty where it is unreadable: its own check says why."""
    try:
        data = parse(file.read_text(encoding="utf-8")).data
    except (OSError, UnicodeDecodeError, YamlError):
        return {}
    return data if isinstance(data, dict) else {}


def _settings(file: File, spec: StackSpec) -> Iterator[Finding]:
    """What must stand in Pulumi's own file of the stack."""
    settings = file.parent / f"Pulumi.{file.stem}.yaml"
    config = _read(settings).get("config")
    config = config if isinstance(config, dict) else {}
    on_gcp = next((name for name, cluster in spec.clusters.items() if cluster.cloud is Cloud.GCP), None)
    # Without the file nobody has set the stack up yet.
    if on_gcp and settings.exists() and config.get("gcp:project") is None:
        remedy = f"run `pulumi config set gcp:project <project> --stack {file.stem}`"
        message = f"no project is set for GCP in {settings.name}"
        yield Finding(("clusters", on_gcp, "cloud"), message, "'gcp'", "a value of gcp:project", remedy)
    yield from _secrets(file, spec, settings, config)


def _secrets(file: File, spec: StackSpec, settings: File, config: dict[str, Any]) -> Iterator[Finding]:
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


__all__ = ["Finding", "run"]
