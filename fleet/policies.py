"""`fleet policies`: the rules of the policy pack, and which of them a change to a stack breaks.

Reads what `pulumi preview --json` wrote, of any program, so that it needs no engine and no SDK itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from fleet.arguments import AsFormat, Format
from fleet.load import StackErrors, load_stack
from fleet.said import complain
from fleet.workspace import ROOT, STACKS

if TYPE_CHECKING:
    from policies.accel_policies.judge import Judgement
    from policies.accel_policies.rule import Rule

PACK = ROOT / "policies"

app = typer.Typer(invoke_without_command=True, help="The rules that stacks are held to: list them, or check a preview.")


@app.callback()
def policies(
    context: typer.Context,
    as_: AsFormat = Format.TEXT,
    severity: Annotated[list[str] | None, typer.Option(help="critical, high, medium or low; repeatable.")] = None,
    id_: Annotated[list[str] | None, typer.Option("--id", help="A rule's id or its beginning; repeatable.")] = None,
) -> None:
    """List the rules.

    Example: `fleet policies --severity critical --format json`
    """
    if context.invoked_subcommand:
        return
    from policies.accel_policies.judge import RULES  # noqa: PLC0415 - other commands need no rules

    starts = tuple(id_ or [""])
    found = [r for r in RULES.values() if r.id.startswith(starts) and (not severity or r.severity in severity)]
    if not found:
        raise typer.BadParameter("no rule matches", param_hint="--id or --severity")
    if as_ is Format.JSON:
        print(json.dumps({"version": 1, "policies": [_as_json(rule) for rule in found]}, indent=2))  # noqa: T201
        return
    table = Table("id", "severity", "what", box=None)
    for rule in found:
        table.add_row(rule.id, rule.severity, rule.what)
    Console(width=None if Console().is_terminal else 160).print(table)


@app.command()
def check(
    preview: Annotated[Path, typer.Argument(help="What `pulumi preview --json` wrote.", exists=True, dir_okay=False)],
    stack: Annotated[str | None, typer.Option("--stack", "-s", help="Whose limits and waivers count; default: none's.")] = None,
    as_: AsFormat = Format.TEXT,
) -> None:
    """Judge a preview of any Pulumi program; fails where a mandatory rule is broken. Offline.

    Example: `fleet policies check preview.json --stack aws-dev`
    """
    found = _judged(preview, stack)
    if as_ is Format.JSON:
        document = {
            "version": 1,
            "violations": [violation.as_json() for violation in found.violations],
            "unknown": [dict(zip(("rule", "resource", "path"), one, strict=True)) for one in found.unknown],
        }
        print(json.dumps(document, indent=2))  # noqa: T201
    else:
        console = Console(soft_wrap=True)
        for violation in found.unwaived:
            style = "red" if violation.refuses else "yellow"
            text = f"{violation.rule.severity} {violation.rule.id}: {violation.message}"
            console.print(text, style=style, highlight=False, markup=False)
        waived = len(found.violations) - len(found.unwaived)
        console.print(f"{len(found.unwaived)} violations, {waived} waived, {len(found.unknown)} not known before the apply")
    raise typer.Exit(1 if any(violation.refuses for violation in found.violations) else 0)


def _judged(preview: Path, stack: str | None) -> Judgement:
    from policies.accel_policies.judge import evaluate  # noqa: PLC0415
    from policies.accel_policies.preview import resources  # noqa: PLC0415
    from policies.accel_policies.settings import Settings  # noqa: PLC0415

    try:
        made = resources(json.loads(preview.read_text(encoding="utf-8")))
        settings = Settings.of(load_stack(STACKS / f"{stack}.yaml")) if stack else Settings()
    except (ValueError, StackErrors) as wrong:
        complain(f"{preview}: {wrong}")
        raise typer.Exit(2) from None
    return evaluate(made, settings)


def _as_json(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "severity": str(rule.severity),
        "topic": rule.topic,
        "what": rule.what,
        "why": rule.why,
        "mend": rule.mend,
        "references": list(rule.references),
        "types": list(rule.types),
        "stack": rule.whole,
    }
