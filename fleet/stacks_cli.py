"""What `fleet` does with stacks: up, preview, destroy, status, check, quota. Reads arguments, calls, shows."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from fleet.arguments import AsFormat, Format, Sandbox, Stacks, load_or_exit, select_stacks, workspace_or_exit
from fleet.load import StackErrors
from fleet.rollout import load
from fleet.said import warn
from fleet.workspace import ROOT, STACKS, Workspace

if TYPE_CHECKING:
    from fleet.commitments import CommitmentSpec

# Reports and logs; several at once on one checkout need a place each.
OUT = Path(os.environ.get("ACCELFLEET_OUT") or ROOT / "out")

NoChanges = Annotated[bool, typer.Option("--expect-no-changes", help="Fail if anything would change.")]
Parallel = Annotated[int, typer.Option("--parallel", min=1, help="Stacks at the same time.")]


def up(
    stack: Stacks,
    sandbox: Sandbox = False,
    as_: AsFormat = Format.TEXT,
    expect_no_changes: NoChanges = False,
    parallel: Parallel = 4,
) -> None:
    """Create or update stacks, several at once, then show what stands.

    Example: `fleet up --sandbox --stack 'aws-*'`
    """
    _operate("up", stack, sandbox, as_, expect_no_changes, parallel)


def preview(
    stack: Stacks,
    sandbox: Sandbox = False,
    as_: AsFormat = Format.TEXT,
    expect_no_changes: NoChanges = False,
    parallel: Parallel = 4,
) -> None:
    """Show what `up` would change; with --sandbox also for a stack whose cloud you have no access to.

    Example: `fleet preview --sandbox --stack 'prod-*'`
    """
    _operate("preview", stack, sandbox, as_, expect_no_changes, parallel)


def destroy(stack: Stacks, sandbox: Sandbox = False, as_: AsFormat = Format.TEXT, parallel: Parallel = 4) -> None:
    """Delete all resources of the stacks, in the right order, and name what a cloud still holds.

    Example: `fleet destroy --sandbox --stack '*-dev'`
    """
    _operate("destroy", stack, sandbox, as_, False, parallel)


def status(stack: Stacks, sandbox: Sandbox = False, as_: AsFormat = Format.TEXT) -> None:
    """Show pools, nodes and models as the clusters report them, and why a pod waits.

    Example: `fleet status --sandbox --stack '*-dev' --format json`
    """
    names = select_stacks(stack)
    _show(workspace_or_exit(sandbox), names, as_)


def check(
    stack: Annotated[list[str] | None, typer.Option("--stack", "-s", help="Stack name or glob; default: all.")] = None,
    as_: AsFormat = Format.TEXT,
) -> None:
    """Check stack files: every fault at once, with line, field and remedy. Needs no cloud, no engine, no SDK.

    Example: `fleet check --stack 'prod-*'`
    """
    load_or_exit(select_stacks(stack or ["*"]), as_)
    if as_ is Format.JSON:
        print(json.dumps({"version": 1, "errors": []}, indent=2))  # noqa: T201
    else:
        Console().print("[green]all stack files are sound[/]")


def quota(stack: Stacks, as_: AsFormat = Format.TEXT) -> None:
    """Show the quotas that the stacks' accelerators need at their bounds, and where to ask for them. Offline.

    Example: `fleet quota --stack 'prod-*'`
    """
    from fleet.quota import needs  # noqa: PLC0415 - `fleet check` need not pay for it

    found = needs(load_or_exit(select_stacks(stack), as_))
    if as_ is Format.JSON:
        print(json.dumps({"version": 1, "quotas": [need.as_json() for need in found]}, indent=2))  # noqa: T201
        return
    console = Console(soft_wrap=True)
    for need in found:
        what = f"{need.quota or 'a quota the catalogue does not know'}: {need.amount} {need.unit}"
        console.print(f"{need.cloud} {need.region}  {what}, for {', '.join(need.pools)}", highlight=False, markup=False)
        console.print(f"    {need.ask}", highlight=False, markup=False)
    if not found:
        console.print("nothing with accelerators")


def _operate(verb: str, patterns: list[str], sandbox: bool, as_: Format, expect_no_changes: bool, parallel: int) -> None:
    from fleet.operations import Operation  # noqa: PLC0415 - `fleet check` must not pay for the engine's modules
    from fleet.progress import Board  # noqa: PLC0415

    names = select_stacks(patterns)
    specs = load_or_exit(names, as_)
    workspace = workspace_or_exit(sandbox)
    console = Console(stderr=as_ is Format.JSON)
    with Board(verb, names, console, quiet=as_ is Format.JSON) as board:
        operation = Operation(verb, workspace, specs, board, OUT / "logs", expect_no_changes, parallel)
        results = operation.run()
    interrupted = bool(operation.interrupt.asked)
    failed = [name for name, result in results.items() if result is None or not result.ok]
    if as_ is Format.JSON:
        document = {
            name: result.as_json() if result else {"stack": name, "ok": False, "started": False}
            for name, result in results.items()
        }
        print(json.dumps({"version": 1, "verb": verb, "interrupted": interrupted, "stacks": document}, indent=2))  # noqa: T201
    else:
        for name, result in results.items():
            if result is None:
                console.print(f"[yellow]{name}: not started, since a stack it depends on failed or the run was interrupted[/]")
                continue
            for line in result.recovered.lines() if result.recovered else []:
                console.print(f"[yellow]{name}: {escape(line)}[/]", highlight=False)
            for name_ in result.swept:
                console.print(f"{name}: swept {escape(name_)}, which a cluster had made", highlight=False)
            for error in result.outcome.errors + result.leftovers:
                console.print(f"[red]{name}:[/] {escape(error)}", highlight=False)
            for said in result.advice:
                console.print(f"[yellow]{name}:[/] {escape(said)}", highlight=False)
            if not result.ok:
                console.print(f"{name}: the engine's full output is in {OUT / 'logs' / f'{name}.{verb}.log'}")
        if verb == "up" and not failed:
            _show(workspace, names, as_)
    if interrupted and failed:
        console.print("interrupted; the same command goes on from here, nothing that was made is lost")
        raise typer.Exit(130)
    raise typer.Exit(1 if failed else 0)


def _show(workspace: Workspace, names: list[str], as_: Format) -> None:
    from fleet.standing import standing, with_commitments  # noqa: PLC0415
    from fleet.table import terminal, write_page  # noqa: PLC0415

    found = with_commitments(standing(workspace, names), _committed(names), datetime.now(UTC))
    page = write_page(found, OUT / "report.html")
    if as_ is Format.JSON:
        print(json.dumps(found.as_json(), indent=2))  # noqa: T201
        return
    # A pipe has no width of its own; 80 columns would break every cell.
    console = Console(width=None if Console().is_terminal else 140)
    console.print(terminal(found))
    for waiting in found.waiting:
        console.print(f"[yellow]{waiting.stack}: {waiting.pod} waits: {escape(waiting.reason)}[/]", highlight=False)
    for cluster, error in found.unreachable.items():
        console.print(f"[red]{cluster} does not answer:[/] {escape(error)}", highlight=False)
    for name in found.absent:
        console.print(f"{name}: nothing stands")
    flag = " --sandbox" if workspace.sandbox else ""
    console.print(f"Report: {page}")
    console.print(f"Next:   fleet status{flag} --stack '*-dev'   |   fleet destroy{flag} --stack '*-dev'", highlight=False)


def _committed(names: list[str]) -> dict[str, dict[str, CommitmentSpec]]:
    """The stacks' commitments. What stands is shown whatever a stack file says; a faulty one's are left out, and it says so."""
    made: dict[str, dict[str, CommitmentSpec]] = {}
    for name in names:
        try:
            made[name] = load(STACKS, [name])[name].commitments
        except StackErrors:
            warn(f"{name}: its stack file has faults (fleet check): its commitments are not counted")
    return made
