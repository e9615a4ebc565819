"""How much of ordinary Pulumi programs, which know nothing of this repository, the report prices: docs/priced-programs.md.

`python -m docs.priced_programs` writes the page, `--check` tells a stale one. Runs the programs of tests/programs with no cloud
behind them, as a preview does before anything stands, and reads what they register as it reads an engine's rows.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fleet.generated import keep, table
from fleet.inventory.resource import Index
from fleet.inventory.state import resources
from fleet.inventory.things import things
from fleet.report.model import Estimate
from fleet.report.priced import lines
from fleet.workspace import ROOT
from infra import recorded

PATH = ROOT / "docs" / "priced-programs.md"
_PROGRAMS = ROOT / "tests" / "programs"
# Where the programs run, which a stack's settings say: package -> its provider's place.
_PLACES = {
    "aws": {"region": "us-east-1"},
    "gcp": {"region": "us-central1", "zone": "us-central1-a"},
    "azure-native": {"location": "eastus"},
}
# What these programs ask their clouds, and ours do not.
_ANSWERS: dict[str, Any] = {
    "aws:ec2/getVpc:getVpc": {"id": "vpc-1", "cidrBlock": "172.31.0.0/16"},
    "aws:ec2/getSubnets:getSubnets": {"ids": ["subnet-1", "subnet-2"]},
    "aws:ec2/getAmi:getAmi": {"id": "ami-0123456789abcdef0", "architecture": "x86_64"},
    "gcp:container/getEngineVersions:getEngineVersions": {"latestMasterVersion": "1.33.1-gke.100", "validMasterVersions": []},
}
_HEAD = """# What the report prices of ordinary programs

*Written by `python -m docs.priced_programs`; do not edit.*

The programs of `tests/programs` are ordinary Pulumi programs in the shape of the clouds' own getting-started
examples: nothing in them knows of this repository, and nothing in the report knows of them. Each is run with no cloud
behind it. A line *can be priced* where somebody pays for it by the hour or by size; what is paid by use (requests,
objects, messages) stands beside it, as no program says how much of it there will be.
"""


def page() -> str:
    """The page as it should stand."""
    found = {directory.name: estimate(directory) for directory in sorted(_PROGRAMS.iterdir()) if directory.is_dir()}
    rows = [
        (f"`{name}`", str(many), f"{of.priced} of {of.priceable}", str(of.by_use), "; ".join(unpriced(of)) or "all are")
        for name, (many, of) in found.items()
    ]
    priced, priceable = (sum(getattr(of, what) for _, of in found.values()) for what in ("priced", "priceable"))
    all_ = sum(many for many, _ in found.values())
    total = f"**{priced} of {priceable} lines** that can be priced are, in {len(found)} programs of {all_} resources together."
    made = table(("program", "resources", "priced", "by use", "not priced, and why"), rows)
    return f"{_HEAD}\n{total}\n\n{made}\n"


def estimate(directory: Path) -> tuple[int, Estimate]:
    """How many resources a program registers, and what they cost."""
    rows = [*_providers(), *map(_provided, registered(directory))]
    known = resources(rows)
    return len(known), Estimate.of(lines(things(Index(known))))


def registered(directory: Path) -> list[dict[str, Any]]:
    """What a program registers."""
    recorded.INVOKES.update(_ANSWERS)
    for package, place in _PLACES.items():
        recorded.ACCOUNTS.update({f"{package}:{key}": value for key, value in place.items()})
    here = Path.cwd()
    # Programs read files beside them.
    os.chdir(directory)
    try:
        return recorded.registrations(directory.name, lambda: runpy.run_path(str(directory / "__main__.py")))
    finally:
        os.chdir(here)


def unpriced(of: Estimate) -> Iterator[str]:
    """The lines without a price, and why."""
    for line in of.lines:
        if line.kind != "by-use" and not line.usd.known:
            yield f"`{line.name}` ({line.what}): {'; '.join(line.unknown)}"


def _urn(package: str) -> str:
    return f"urn:pulumi:any::any::pulumi:providers:{package}::default"


def _providers() -> Iterator[dict[str, Any]]:
    for package, place in _PLACES.items():
        yield {"urn": _urn(package), "type": f"pulumi:providers:{package}", "custom": True, "inputs": place}


def _provided(row: dict[str, Any]) -> dict[str, Any]:
    """The row with its default provider, which an engine would have given it."""
    return {**row, "provider": f"{_urn(row['type'].partition(':')[0])}::id"}


if __name__ == "__main__":
    sys.exit(keep(PATH, page(), "python -m docs.priced_programs", sys.argv[1:]))
