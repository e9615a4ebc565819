"""What `fleet report --rehearse` asks for and says of itself; the change's own story is the report's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import typer
from rich.console import Console

from fleet.rehearsal import Asked
from fleet.rehearsal.run import Interrupted, rehearse
from fleet.report.base import base_spec
from fleet.report.limits import Limit
from fleet.report.model import Rehearsal
from fleet.said import complain, warn
from fleet.spec import StackSpec
from fleet.turn import Taken
from fleet.workspace import STACKS, EnvironmentLacksError


def rehearsals(
    after: Mapping[str, StackSpec], base: Path, shown: str, limits: Iterable[Limit], asked: Asked
) -> dict[str, Rehearsal]:
    """Rehearse the stacks, or end the command: code 3 where this machine lacks something, 130 by Ctrl-C.

    Args:
        base: the repository as it was at the revision `shown`.
    """
    if not (base / "__main__.py").exists():
        raise typer.BadParameter(f"{shown} has no program (__main__.py) to start from", param_hint="--rehearse")
    old = {name: base_spec(base / STACKS.name, name) for name in after}
    unread = {name: Rehearsal(base_errors=faults) for name, (_, faults) in old.items() if faults}
    before = {name: spec for name, (spec, _) in old.items() if spec}
    # The report itself goes to stdout.
    console = Console(stderr=True, soft_wrap=True)
    try:
        told = rehearse(before, {n: s for n, s in after.items() if n not in unread}, base, limits, asked, console)
    except (EnvironmentLacksError, Taken) as refused:
        complain(refused)
        raise typer.Exit(3 if isinstance(refused, EnvironmentLacksError) else 1) from None
    except Interrupted:
        warn("interrupted: nothing is reported, and no stack of yours was touched")
        raise typer.Exit(130) from None
    return {**unread, **told}
