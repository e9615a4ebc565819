"""What several commands take and do alike: stacks by glob, text or JSON, and files that are sound or end the command."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import typer

from fleet.load import StackError, StackErrors
from fleet.rollout import load, select
from fleet.said import complain
from fleet.spec import StackSpec
from fleet.workspace import STACKS, EnvironmentLacksError, Workspace, real_workspace


class Format(StrEnum):
    TEXT = "text"
    JSON = "json"


Stacks = Annotated[list[str], typer.Option("--stack", "-s", help="Stack name or glob, such as 'prod-*'; repeatable.")]
Sandbox = Annotated[bool, typer.Option("--sandbox", help="Against the local clouds: no account, no credential, its own state.")]
AsFormat = Annotated[Format, typer.Option("--format", help="`json` prints one document on stdout and nothing else.")]


def select_stacks(patterns: list[str]) -> list[str]:
    """Names of the stacks that match; wrong usage where none does."""
    try:
        return select(STACKS, patterns)
    except LookupError as nothing:
        raise typer.BadParameter(str(nothing), param_hint="--stack") from None


def load_or_exit(names: list[str], as_: Format) -> dict[str, StackSpec]:
    """Load every stack file, or print every fault of every file and end with code 1."""
    specs: dict[str, StackSpec] = {}
    faults: list[StackError] = []
    for name in names:
        try:
            specs |= load(STACKS, [name])
        except StackErrors as wrong:
            faults += wrong.errors
    if faults:
        if as_ is Format.JSON:
            print(json.dumps({"version": 1, "errors": [fault.as_json() for fault in faults]}, indent=2))  # noqa: T201
        else:
            for fault in faults:
                complain(fault)
        raise typer.Exit(1)
    return specs


def workspace_or_exit(sandbox: bool) -> Workspace:
    """Where engines run, with the sandbox up if it is that; ends with code 3 where this machine lacks something."""
    try:
        if not sandbox:
            return real_workspace()
        from sandbox.up import up as sandbox_up  # noqa: PLC0415 - the sandbox is not needed against real clouds

        return sandbox_up()
    except EnvironmentLacksError as problem:
        complain(problem)
        raise typer.Exit(3) from None
