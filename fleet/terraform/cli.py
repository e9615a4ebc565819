"""`fleet import-terraform`: reads a state file, writes an import file, and says what it left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from fleet.arguments import AsFormat, Format
from fleet.said import complain, warn


def import_terraform(
    state: Annotated[Path, typer.Argument(help="A terraform.tfstate, or what `terraform state pull` printed.")],
    out: Annotated[Path | None, typer.Option("--out", help="Write the file for `pulumi import --file` there.")] = None,
    fill: Annotated[
        Path | None, typer.Option("--fill", help="Put the ids into this file of `pulumi preview --import-file` instead.")
    ] = None,
    as_: AsFormat = Format.TEXT,
) -> None:
    """Tell what Terraform made in Pulumi's words, for `pulumi import`. Offline; changes neither state nor cloud.

    Example: `fleet import-terraform terraform.tfstate --out import.json`

    Exit codes: 0 done, 1 the state cannot be read, 2 wrong usage.
    """
    from fleet.terraform import imports  # noqa: PLC0415 - `fleet check` need not pay for it
    from fleet.terraform.state import StateError, read  # noqa: PLC0415

    try:
        found = imports.map_all(read(state).resources)
    except StateError as wrong:
        complain(wrong)
        raise typer.Exit(1) from None
    made, open_ = imports.document(found), list[str]()
    if fill is not None:
        try:
            made, open_ = imports.fill(json.loads(fill.read_text()), found)
        except (OSError, ValueError, KeyError, TypeError):
            raise typer.BadParameter(f"{fill} is no file of `pulumi preview --import-file`", param_hint="--fill") from None
    if out is not None:
        out.write_text(json.dumps(made, indent=2) + "\n")
    left = [f"{address}: {why}" for address, why in found.unmapped]
    if as_ is Format.JSON:
        print(json.dumps({"version": 1, "import": made, "unmapped": left, "choose": open_}, indent=2))  # noqa: T201
        return
    table = Table(caption=f"{len(found.mapped)} of {len(found.mapped) + len(left)} map")
    for head in ("Terraform", "Pulumi", "Id"):
        table.add_column(head, overflow="fold")
    for one in found.mapped:
        table.add_row(one.resource.address, one.type, one.id)
    Console(width=None if Console().is_terminal else 140).print(table)
    for line in (*left, *open_):
        warn(line)
