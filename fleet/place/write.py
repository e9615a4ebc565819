"""Puts a plan's pools into a stack file, comments and all; a file that would not be sound stays as it was."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

from ruamel.yaml import YAML

from fleet.load import StackErrors, load_stack
from fleet.place.choose import Plan


class PlanError(Exception):
    """The plan does not go into that file; the message says why and what to do."""


def write(file: Path, plan: Plan) -> list[str]:
    """Add each pool to the cluster at its place; returns `cluster/pool` of each.

    Raises:
        PlanError: no cluster there, a pool of that name already, or the file would have faults.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = file.read_text(encoding="utf-8")
    document = yaml.load(text)
    added = []
    for part in plan.parts:
        clusters = document.get("clusters") or {}
        name = next((n for n, c in clusters.items() if (c.get("cloud"), c.get("region")) == part.place), None)
        if name is None:
            raise PlanError(
                f"{file.name} has no cluster in {part.cloud} {part.region}: add one, or choose among its places with "
                "--cloud and --region"
            )
        pools = clusters[name].setdefault("pools", {})
        if part.want in pools:
            raise PlanError(
                f"{file.name}: cluster {name} has a pool {part.want} already: name yours, as in other={part.want}:8"
            )
        size: dict[str, object] = {"topology": part.topology} if part.topology else {"machine": part.machine}
        # A slice of several hosts is there as a whole.
        least = part.nodes if part.topology and part.nodes > 1 else 0
        pools[part.want] = {
            "accelerator": part.accelerator,
            **size,
            "purchase": part.purchase,
            "nodes": {"min": least, "max": part.nodes},
        }
        added.append(f"{name}/{part.want}")
    made = io.StringIO()
    yaml.dump(document, made)
    _replace(file, made.getvalue())
    return added


def _replace(file: Path, text: str) -> None:
    """Only where the new file is sound; its kin must stand beside it for that."""
    with tempfile.TemporaryDirectory(dir=file.parent.parent, prefix=".fleet-place-") as scratch:
        beside = Path(scratch)
        for other in file.parent.glob("*.yaml"):
            if other.name != file.name:
                (beside / other.name).write_bytes(other.read_bytes())
        tried = beside / file.name
        tried.write_text(text, encoding="utf-8")
        try:
            load_stack(tried)
        except StackErrors as wrong:
            faults = "\n".join(f"  {error.path}: {error.message}; {error.remedy}" for error in wrong.errors)
            raise PlanError(f"{file.name} would have faults, and stays as it was:\n{faults}") from None
        tried.replace(file)
