"""`fleet sandbox …`: the local clouds as a thing of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from fleet.workspace import EnvironmentLacksError
from sandbox.cloud import daemon
from sandbox.cloud.client import Client, home
from sandbox.cloud.errors import CloudError
from sandbox.up import up as bring_up

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def up() -> None:
    """Start the local clouds (builds the toolchain the first time)."""
    try:
        workspace = bring_up()
    except EnvironmentLacksError as problem:
        Console(stderr=True).print(f"[red]{problem}[/]", highlight=False)
        raise typer.Exit(3) from None
    Console().print(f"the sandbox runs in {workspace.sandbox}\nNext: fleet up --sandbox --stack '*-dev'", highlight=False)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show clusters, pools, object stores and the number of resources."""
    try:
        found = Client().call("status")
    except CloudError as down:
        Console(stderr=True).print(f"[yellow]{down.message}[/]", highlight=False)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps(found, indent=2))  # noqa: T201
        return
    table = Table("Cluster", "Endpoint", "Pool", "Machine", "Nodes")
    for cluster in found["clusters"]:
        for i, pool in enumerate(cluster["pools"] or [{}]):
            first = (cluster["cluster"], cluster["endpoint"]) if i == 0 else ("", "")
            table.add_row(*first, pool.get("name", "-"), pool.get("machine", "-"), str(pool.get("size", "-")))
    console = Console()
    console.print(table)
    for cloud, endpoint in found["stores"].items():
        console.print(f"object store {cloud}: {endpoint}", highlight=False)
    console.print(f"{found['resources']} resources")


@app.command()
def down() -> None:
    """Stop everything that runs; what exists is kept on disk and comes back with `up`."""
    Console().print("stopped" if daemon.stop() else "no sandbox was running")


@app.command()
def reset(yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Stop everything and forget it: resources, states, clusters."""
    if not yes:
        typer.confirm(f"delete {home()} with every state and cluster in it?", abort=True)
    daemon.stop()
    shutil.rmtree(home(), ignore_errors=True)
    Console().print("the sandbox is empty")


@app.command()
def shell(command: Annotated[list[str] | None, typer.Argument(help="Run this instead of a shell.")] = None) -> None:
    """A shell in which plain `pulumi`, `kubectl` and `helm` work on the sandbox: `pulumi up --stack aws-dev`."""
    try:
        workspace = bring_up()
    except EnvironmentLacksError as problem:
        Console(stderr=True).print(f"[red]{problem}[/]", highlight=False)
        raise typer.Exit(3) from None
    env = {**workspace.env, "PULUMI_OPTION_CWD": str(workspace.project)}
    program = command or [os.environ.get("SHELL", "/bin/sh")]
    if not command:
        Console().print("plain `pulumi`, `kubectl` and `helm` work on the sandbox here; `exit` leaves", highlight=False)
    raise typer.Exit(subprocess.run(program, env=env, check=False).returncode)
