"""`fleet state`: backup, verify and restore of the stacks' states, on any backend."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fleet.arguments import AsFormat, Format, Sandbox, Stacks, select_stacks, workspace_or_exit

if TYPE_CHECKING:
    from fleet.engine import Engine

app = typer.Typer(no_args_is_help=True, help="Copies of the stacks' states: backup, verify, restore.")


@app.command()
def backup(stack: Stacks, sandbox: Sandbox = False, as_: AsFormat = Format.TEXT) -> None:
    """Keep a dated copy of each state as it is now; what `fleet up` does by itself before and after a run.

    Example: `fleet state backup --stack 'prod-*'`
    """
    from fleet.state.checkpoint import Damaged  # noqa: PLC0415 - `fleet check` must not pay for the engine's modules
    from fleet.state.guard import keep  # noqa: PLC0415

    kept: dict[str, dict[str, Any]] = {}
    for engine in _engines(stack, sandbox):
        try:
            copy = keep(engine)
        except Damaged as wrong:
            kept[engine.stack] = {"ok": False, "error": f"the state is damaged, and a copy would be, too: {wrong}"}
        else:
            kept[engine.stack] = {"ok": True, "backup": str(copy.path) if copy else None}
    _say(kept, as_, lambda said: said["backup"] or "has no state")


@app.command()
def verify(stack: Stacks, sandbox: Sandbox = False, as_: AsFormat = Format.TEXT) -> None:
    """Look whether each state and its copies are what was written, and whether its secrets open.

    Example: `fleet state verify --stack 'prod-*'`
    """
    from fleet.state.guard import verify as look  # noqa: PLC0415

    found: dict[str, dict[str, Any]] = {}
    for engine in _engines(stack, sandbox):
        verdict = look(engine, secrets=True)
        newest = str(verdict.newest) if verdict.newest else None
        about = {
            "resources": verdict.state.resources if verdict.state else None,
            "checksum": verdict.state.checked if verdict.state else False,
            "backup": newest,
            "bad_backups": verdict.bad_copies,
        }
        error = verdict.refusal(sandbox=sandbox) if verdict.faults else "; ".join(verdict.bad_copies)
        found[engine.stack] = {"ok": not error, **about, **({"error": error} if error else {})}
    _say(found, as_, _sound)


@app.command()
def restore(
    stack: Stacks,
    source: Annotated[Path | None, typer.Option("--from", help="Backup to go back to; default: the newest good one.")] = None,
    sandbox: Sandbox = False,
    as_: AsFormat = Format.TEXT,
) -> None:
    """Put a copy back in the place of a state that is not sound. Refused while anyone holds the lock.

    The next `fleet up` looks in the cloud for what was made since, and takes it over.

    Example: `fleet state restore --stack aws-dev`
    """
    from fleet.state.replace import restore as put_back  # noqa: PLC0415

    done: dict[str, dict[str, Any]] = {}
    for engine in _engines(stack, sandbox):
        try:
            done[engine.stack] = {"ok": True, "restored": str(put_back(engine, source))}
        except RuntimeError as refused:
            done[engine.stack] = {"ok": False, "error": str(refused)}
    _say(done, as_, lambda said: f"restored {said['restored']}")


def _engines(patterns: list[str], sandbox: bool) -> list[Engine]:
    from fleet.engine import Engine  # noqa: PLC0415

    names = select_stacks(patterns)
    workspace = workspace_or_exit(sandbox)
    return [Engine(workspace, name) for name in names]


def _sound(said: dict[str, Any]) -> str:
    if said["resources"] is None:
        return "has no state"
    checked = "its checksum is right" if said["checksum"] else "its backend keeps no checksum"
    return f"sound: {said['resources']} resources, {checked}; newest backup: {said['backup'] or 'none'}"


def _say(found: dict[str, dict[str, Any]], as_: Format, words: Any) -> None:
    """One line a stack, or one document; code 1 where anything is wrong."""
    if as_ is Format.JSON:
        print(json.dumps({"version": 1, "stacks": found}, indent=2))  # noqa: T201
    else:
        out, err = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)
        for name, said in found.items():
            console, text = (out, words(said)) if said["ok"] else (err, said["error"])
            console.print(f"{name}: {text}", style=None if said["ok"] else "red", highlight=False, markup=False)
    if not all(said["ok"] for said in found.values()):
        raise typer.Exit(1)
