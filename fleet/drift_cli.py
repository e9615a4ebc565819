"""`fleet drift`: what stands otherwise, by the engine's look at the clouds and by the clusters' own. Changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fleet.arguments import AsFormat, Format, load_or_exit, select_stacks, workspace_or_exit
from fleet.said import complain

if TYPE_CHECKING:
    from fleet.drift import Difference


def drift(
    stack: Annotated[list[str] | None, typer.Option("--stack", "-s", help="Stack name or glob; repeatable.")] = None,
    sandbox: Annotated[bool, typer.Option("--sandbox", help="Against the local clouds.")] = False,
    from_: Annotated[
        Path | None,
        typer.Option("--from", help="Events of `pulumi preview --refresh --event-log FILE`.", exists=True, dir_okay=False),
    ] = None,
    as_: AsFormat = Format.TEXT,
) -> None:
    """Say what stands otherwise than the state says; sizes that an autoscaler moved within their bounds are told apart.

    Example: `fleet drift --stack 'prod-*'`

    Exit codes: 0 nothing drifted, 1 something did, or the engine failed; 2 wrong usage, 3 this machine lacks something.
    """
    if bool(stack) == bool(from_):
        raise typer.BadParameter("give --stack, or --from for events that are there already", param_hint="--stack")
    found = {from_.stem: _read(from_)} if from_ else _ask(stack or [], sandbox, as_)
    if as_ is Format.JSON:
        stacks = {name: [one.as_json() for one in differences] for name, differences in found.items()}
        print(json.dumps({"version": 1, "stacks": stacks}, indent=2))  # noqa: T201
    else:
        _print(found)
    raise typer.Exit(1 if any(one.kind != "autoscaler" for all_ in found.values() for one in all_) else 0)


def _read(file: Path) -> list[Difference]:
    from fleet.drift import differences  # noqa: PLC0415 - other commands need not pay for it
    from fleet.inventory.file import document  # noqa: PLC0415

    try:
        events = document(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as wrong:
        raise typer.BadParameter(f"{file}: not the engine's events: {wrong}", param_hint="--from") from None
    if not isinstance(events, list):
        raise typer.BadParameter(f"{file}: not the engine's events, one a line", param_hint="--from")
    return differences(events)


def _ask(patterns: list[str], sandbox: bool, as_: Format) -> dict[str, list[Difference]]:
    from fleet.drift import differences, in_order  # noqa: PLC0415
    from fleet.drift_releases import released  # noqa: PLC0415
    from fleet.engine import Engine  # noqa: PLC0415

    names = select_stacks(patterns)
    load_or_exit(names, as_)
    workspace = workspace_or_exit(sandbox)
    found: dict[str, list[Difference]] = {}
    for name in names:
        events: list[Mapping[str, Any]] = []
        outcome = Engine(workspace, name).run("preview", "--refresh", on_event=events.append)
        if outcome.returncode:
            for error in outcome.errors:
                complain(f"{name}: {error}")
            raise typer.Exit(1)
        try:
            found[name] = in_order([*differences(events), *released(workspace, name)])
        except RuntimeError as problem:
            complain(f"{name}: {problem}")
            raise typer.Exit(1) from None
    return found


def _print(found: Mapping[str, Iterable[Difference]]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for name, all_ in found.items():
        told = list(all_)
        true = [one for one in told if one.kind != "autoscaler"]
        moved = len(told) - len(true)
        console.print(f"{name}: {len(true)} drifted, {moved} moved by autoscalers", markup=False)
        for one in told:
            style = "" if one.kind == "autoscaler" else "red"
            what = "is gone" if one.kind == "gone" else f"{one.field}: {one.state or 'none'} → {one.stands or 'none'}"
            console.print(f"  {one.kind} {one.type} {one.name} {what}", style=style, markup=False)
