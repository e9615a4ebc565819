"""`fleet report`: reads flags, compares, writes, and fails where a gate says so."""

from __future__ import annotations

import fnmatch
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.arguments import Format, load_or_exit, select_stacks
from fleet.load import StackErrors
from fleet.rehearsal import Asked
from fleet.report.gates import Gate, refusals
from fleet.report.shapes import Shape, show, text
from fleet.rollout import load
from fleet.said import complain, warn
from fleet.workspace import ROOT, STACKS

if TYPE_CHECKING:
    from fleet.report.build import Limits
    from fleet.report.model import Report
    from fleet.report.recorded import Recorded
    from fleet.spec import StackSpec


def report(
    stack: Annotated[list[str] | None, typer.Option("--stack", "-s", help="Stack name or glob; repeatable.")] = None,
    base: Annotated[str | None, typer.Option("--base", help="Git revision to compare with, such as origin/main.")] = None,
    base_dir: Annotated[
        Path | None, typer.Option("--base-dir", help="Directory of stack files to compare with.", exists=True, file_okay=False)
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Of any program: a state, the engine's events, or a Terraform state.", exists=True, dir_okay=False
        ),
    ] = None,
    base_from: Annotated[
        Path | None, typer.Option("--base-from", help="A state to compare --from with.", exists=True, dir_okay=False)
    ] = None,
    program: Annotated[
        bool, typer.Option("--program", help="Run the stacks' programs with no cloud behind: policies, and the page's graph.")
    ] = False,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse",
            help="Run the change in a throw-away sandbox first, from --base: what is made anew, disrupted, or does not come "
            "up. Minutes, no account.",
        ),
    ] = False,
    patience: Annotated[
        float, typer.Option(min=1, help="With --rehearse: seconds that anything may take to come up there.")
    ] = 60,
    keep: Annotated[bool, typer.Option("--keep", help="With --rehearse: let its sandbox stand afterwards.")] = False,
    as_: Annotated[
        Shape, typer.Option("--format", help="html: one page that needs no network; sarif: for code scanning.")
    ] = Shape.TEXT,
    out: Annotated[Path | None, typer.Option("--out", help="File to write instead of stdout.", dir_okay=False)] = None,
    limits: Annotated[
        Path | None, typer.Option("--limits", help="Quotas you have. Default: quotas.yaml, if it is there.", exists=True)
    ] = None,
    live_quotas: Annotated[
        bool, typer.Option("--live-quotas", help="Ask the clouds what the accounts have and use, by aws, gcloud, az.")
    ] = False,
    max_increase: Annotated[
        float | None, typer.Option("--max-increase", help="Fail if the expected cost rises by more USD a month.")
    ] = None,
    fail_on: Annotated[
        list[Gate] | None, typer.Option("--fail-on", help="Fail on these, where the change brings them; repeatable.")
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="List, and fail on, what policies found and quotas lacked before the change, too.")
    ] = False,
) -> None:
    """Tell what stacks cost, emit and need, and with a base what a change does to them. Offline, from the stack files.

    Example: `fleet report --stack 'prod-*' --base origin/main`

    Of any program, from what its engine wrote: `fleet report --from events.json`

    What it does to what runs: `fleet report --stack aws-prod --base origin/main --rehearse --fail-on rehearsal`

    Exit codes: 0 done, 1 a fault in a stack file, or a gate; 2 wrong usage. With --rehearse also: 3 this machine lacks
    something for the sandbox, 130 interrupted.
    """
    _refuse_what_does_not_go_together(stack or [], base, base_dir, from_, base_from, program)
    rehearsed = _rehearsal_asked(rehearse, patience, keep, base, from_, fail_on or [])
    known = _limits(limits, live_quotas)
    if from_:
        made = _of_program(from_, base_from, known, stack or [])
    else:
        made = _made(stack or [], base, base_dir, as_, known, program, rehearsed)
    compared = any(one.compared for one in made.stacks) or bool(base or base_dir)
    if not compared and (max_increase is not None or Gate.DESTRUCTIVE in (fail_on or [])):
        raise typer.BadParameter("this gate compares: give --base, --base-dir, --base-from or events", param_hint="--base")
    unjudged = [one.stack for one in made.stacks if one.after and not one.policy.evaluated]
    if unjudged and Gate.POLICY in (fail_on or []):
        raise typer.BadParameter(f"no policy was asked about {', '.join(unjudged)}: add --program", param_hint="--fail-on")
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text(made, as_, None if from_ else STACKS, all_), encoding="utf-8")
    else:
        show(made, as_, None if from_ else STACKS, all_)
    refused = refusals(made, max_increase, fail_on or [], all_)
    for said in refused:
        complain(said)
    raise typer.Exit(1 if refused else 0)


def _refuse_what_does_not_go_together(
    stack: list[str], base: str | None, base_dir: Path | None, from_: Path | None, base_from: Path | None, program: bool
) -> None:
    if base and base_dir:
        raise typer.BadParameter("give --base or --base-dir, not both", param_hint="--base")
    if not stack and not from_:
        raise typer.BadParameter("give --stack for stack files, or --from for a file of any program", param_hint="--stack")
    if from_ and (program or len(stack) > 1):
        raise typer.BadParameter(
            "--from is a program already; with it --stack is the one whose file policies judge by", param_hint="--from"
        )
    if (from_ and (base or base_dir)) or (base_from and not from_):
        raise typer.BadParameter("--base and --base-dir go with --stack, --base-from with --from", param_hint="--base-from")


def _rehearsal_asked(
    rehearse: bool, patience: float, keep: bool, base: str | None, from_: Path | None, gates: list[Gate]
) -> Asked | None:
    if rehearse and from_:
        raise typer.BadParameter(
            "--from is what some program wrote, and no program that can be run here: a rehearsal takes --stack and --base",
            param_hint="--rehearse",
        )
    if rehearse and not base:
        raise typer.BadParameter(
            "it goes from the program of a revision to yours: give --base, such as origin/main", param_hint="--rehearse"
        )
    if not rehearse and (keep or Gate.REHEARSAL in gates):
        raise typer.BadParameter("nothing is rehearsed: add --rehearse", param_hint="--keep or --fail-on rehearsal")
    return Asked(patience, keep) if rehearse else None


def _of_program(file: Path, base: Path | None, known: Limits, stack: list[str]) -> Report:
    from fleet.inventory.file import between, read  # noqa: PLC0415 - stack files need none of it
    from fleet.inventory.state import InventoryError  # noqa: PLC0415
    from fleet.report.program import report as build  # noqa: PLC0415

    try:
        program = read(file)
        if base and program.before is not None:
            raise typer.BadParameter("events tell both sides of a change themselves", param_hint="--base-from")
        before = read(base) if base else None
    except InventoryError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--from") from None
    if before is not None:
        program = between(before, program)
    shown = str(base) if base else "what stands"
    spec = next(iter(load_or_exit(select_stacks(stack), Format.TEXT).values())) if stack else None
    return build(program, shown, known, spec)


def _limits(file: Path | None, live: bool) -> Limits:
    from fleet.report.limits import LimitsError, limits  # noqa: PLC0415

    own = ROOT / "quotas.yaml"
    chosen = file or (own if own.exists() else None)
    try:
        written = limits(chosen) if chosen else {}
    except LimitsError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--limits") from None
    if not live:
        return written
    from fleet.quota_live import LiveLimits  # noqa: PLC0415

    return LiveLimits(written, warn)


def _made(
    patterns: list[str],
    base: str | None,
    base_dir: Path | None,
    as_: Shape,
    known: Limits,
    program: bool,
    rehearsed: Asked | None,
) -> Report:
    from fleet.report.base import BaseError, at_revision  # noqa: PLC0415 - `fleet check` need not pay for it
    from fleet.report.build import report as build  # noqa: PLC0415

    with ExitStack() as held:
        try:
            # What a program registers or does is its code's, too.
            whole = program or rehearsed is not None
            root = held.enter_context(at_revision(ROOT if whole else STACKS, base)) if base else None
        except BaseError as wrong:
            raise typer.BadParameter(str(wrong), param_hint="--base") from None
        there = root / STACKS.name if root and whole else root or base_dir
        specs = _specs(patterns, there, as_)
        programs = _programs(specs, there, root or ROOT) if program else None
        told = {}
        if rehearsed and root and base:
            from fleet.rehearsal.cli import rehearsals  # noqa: PLC0415 - of files alone no engine needs to be loaded

            after = {name: spec for name, spec in specs.items() if spec}
            told = rehearsals(after, root, base, known.values(), rehearsed)
        return build(specs, there, base or str(base_dir), known, programs, told)


def _programs(specs: dict[str, StackSpec | None], there: Path | None, root: Path) -> dict[str, Recorded]:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    from fleet.confined.inside import lacks  # noqa: PLC0415
    from fleet.report.recorded import ProgramError, recorded  # noqa: PLC0415

    def one(name: str) -> Recorded:
        return recorded(STACKS / f"{name}.yaml", there / f"{name}.yaml" if there else None, root)

    names = [name for name, spec in specs.items() if spec]
    if may := lacks():
        said = f"this machine's kernel cannot keep these programs from it: {', '.join(may)} (docs/threat-model.md)"
        warn(said)
    try:
        # Each loads its clouds' SDKs, a second of one core.
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            return dict(zip(names, pool.map(one, names), strict=True))
    except ProgramError as wrong:
        complain(wrong)
        raise typer.Exit(1) from None


def _specs(patterns: list[str], base: Path | None, as_: Shape) -> dict[str, StackSpec | None]:
    """The chosen stacks; those that only the base has are there as None."""
    files = base.glob("*.yaml") if base else ()
    names = {file.stem for file in files if not file.name.startswith("Pulumi.") and not (STACKS / file.name).exists()}
    gone = sorted(name for name in names if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns))
    try:
        here = select_stacks(patterns)
    except typer.BadParameter:
        if not gone:
            raise
        here = []
    if as_ is Shape.SARIF:
        _faults_as_sarif(here)
    found = load_or_exit(here, Format.JSON if as_ is Shape.JSON else Format.TEXT)
    return {**found, **dict.fromkeys(gone)}


def _faults_as_sarif(names: list[str]) -> None:
    """Faults of stack files, if there are any, as a log of their own; then the command ends with code 1."""
    from fleet.report.sarif import sarif  # noqa: PLC0415

    faults = []
    for name in names:
        try:
            load(STACKS, [name])
        except StackErrors as wrong:
            faults += wrong.errors
    if faults:
        print(sarif(None, faults), end="")  # noqa: T201
        raise typer.Exit(1)
