"""`fleet sandbox …`: the local clouds as a thing of their own."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from fleet.catalog.clouds import Cloud, regions
from fleet.catalog.machines import machines
from fleet.said import complain
from fleet.workspace import EnvironmentLacksError
from sandbox.cloud import daemon
from sandbox.cloud.client import Client, home
from sandbox.cloud.errors import CloudError
from sandbox.up import up as bring_up

app = typer.Typer(no_args_is_help=True, help="The local clouds: up, status, down, reset, shell.")
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def up() -> None:
    """Start the local clouds (builds the toolchain the first time)."""
    try:
        workspace = bring_up()
    except EnvironmentLacksError as problem:
        complain(problem)
        raise typer.Exit(3) from None
    Console().print(f"the sandbox runs in {workspace.sandbox}\nNext: fleet up --sandbox --stack '*-dev'", highlight=False)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show clusters, pools, object stores and the number of resources."""
    found = _call("status")
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
    for cluster in found["clusters"]:
        for pool in cluster["pools"]:
            if pool["refused"]:
                console.print(
                    f"{cluster['cluster']} {pool['name']} grows no more: {pool['refused']}", highlight=False, markup=False
                )
        for port in cluster["services"]:
            place, ready = f"{cluster['cluster']} {port['namespace']}/{port['service']}", f"{port['ready']} ready"
            console.print(f"{place} {port['port']}: {port['address']}, {ready}", highlight=False, markup=False)
    for cloud, endpoint in found["stores"].items():
        console.print(f"object store {cloud}: {endpoint}", highlight=False)
    console.print(f"{found['resources']} resources")


Cluster = Annotated[str, typer.Argument(help="A cluster's name in its cloud, as `fleet sandbox status` shows it.")]
Pool = Annotated[str, typer.Argument(help="A pool's name in its cloud.")]


@app.command()
def reclaim(
    cluster: Cluster,
    pool: Pool,
    fraction: Annotated[float, typer.Option(min=0, max=1, help="Part of the pool's nodes, rounded up.")] = 1.0,
    notice: Annotated[float, typer.Option(min=0, help="Seconds of notice: AWS 120, AKS 30, GKE 30; 0 for none.")] = 0,
) -> None:
    """Take spot nodes away, as a cloud does that wants them back.

    Example: `fleet sandbox reclaim aws-dev-main l4-spot --fraction 0.5 --notice 5`
    """
    cloud, pools = _cluster(cluster)
    size = next((p["size"] for p in pools if p["name"] == pool), 0)
    asked = {"cloud": cloud, "cluster": cluster, "pool": pool, "count": math.ceil(size * fraction), "notice_s": notice}
    taken = _call("reclaim", **asked)
    Console().print("\n".join(f"took {name}" for name in taken) or "the pool has no nodes", highlight=False)


@app.command()
def exhaust(
    cluster: Cluster,
    pool: Pool,
    undo: Annotated[bool, typer.Option("--undo", help="There are machines again.")] = False,
) -> None:
    """Have no more machines for a pool: what stands stays, nothing new comes.

    Example: `fleet sandbox exhaust gcp-dev-main l4-spot`, and with `--undo` back again
    """
    cloud, _ = _cluster(cluster)
    _call("exhaust", cloud=cloud, cluster=cluster, pool=pool, exhausted=not undo)
    Console().print(f"{pool}: {'there are machines again' if undo else 'no more machines'}", highlight=False)


@app.command()
def load(
    cluster: Cluster,
    model: Annotated[str, typer.Argument(help="A model, as the stack file names it.")],
    waiting: Annotated[int, typer.Argument(min=0, help="Requests that wait at its replicas, all together.")],
    namespace: Annotated[str, typer.Option(help="Where it is served; a team's models are in team-<name>.")] = "models",
) -> None:
    """Put load on a model: its replicas tell so many waiting requests, and KEDA goes by that.

    Example: `fleet sandbox load aws-dev-main chat 40`, and with 0 it is over
    """
    cloud, _ = _cluster(cluster)
    _call("load", cloud=cloud, cluster=cluster, namespace=namespace, model=model, waiting=waiting)
    Console().print(f"{model}: {waiting} requests wait", highlight=False, markup=False)


@app.command()
def grid(
    zone: Annotated[str, typer.Argument(help="A grid by Electricity Maps' name, such as US-MIDA-PJM.")],
    gco2_kwh: Annotated[float, typer.Argument(min=0, max=2000, help="Its carbon intensity, gCO2e a kWh.")],
    forecast: Annotated[
        str, typer.Option("--forecast", help="Of the next hours, by commas; the last one stays. Default: it stays as it is.")
    ] = "",
) -> None:
    """Make a grid dirty or clean: flexible models on it have fewer replicas, or all of them, or put their work off.

    Example: `fleet sandbox grid US-MIDA-PJM 500 --forecast 400,100,300`
    """
    try:
        ahead = [float(hour) for hour in forecast.split(",")] if forecast else []
    except ValueError:
        ahead = [-1.0]
    if not all(0 <= hour <= 2000 for hour in ahead):
        raise typer.BadParameter("intensities from 0 to 2000, such as 400,100,300", param_hint="--forecast")
    if zone not in regions(Cloud.EXISTING):
        known = ", ".join(regions(Cloud.EXISTING))
        raise typer.BadParameter(f"no region of the catalogue hangs on {zone}; there are {known}", param_hint="ZONE")
    _call("grid", zone=zone, gco2_kwh=gco2_kwh, forecast=ahead)
    Console().print(f"{zone}: {gco2_kwh:g} gCO2e a kWh{f', then {forecast}' if ahead else ''}", highlight=False, markup=False)


@app.command()
def quota(
    cloud: Annotated[Cloud, typer.Argument(help="Whose account.")],
    region: Annotated[str, typer.Argument(help="Where.")],
    name: Annotated[str, typer.Argument(help="The quota as its cloud calls it, such as L-DB2E81BA or NVIDIA_L4_GPUS.")],
    limit: Annotated[int, typer.Argument(min=0, help="vCPUs on AWS and Azure, accelerators on GCP.")],
) -> None:
    """Limit what the account may have in a region: `fleet up` and autoscalers meet it; what runs goes on.

    Example: `fleet sandbox quota aws us-east-1 L-DB2E81BA 4`
    """
    known = sorted({q for m in machines() if m.cloud is cloud for q in (m.quota, m.spot_quota) if q})
    if name not in known:
        raise typer.BadParameter(f"no machine counts against {name}; there are {', '.join(known)}", param_hint="NAME")
    _call("quota", cloud=cloud, region=region, quota=name, limit=limit)
    Console().print(f"{cloud} {region}: {name} is {limit} now", highlight=False, markup=False)


def _cluster(name: str) -> tuple[str, list[dict[str, Any]]]:
    """The cloud of a cluster and its pools."""
    known = {c["cluster"].partition("/")[2]: c for c in _call("status")["clusters"]}
    if name not in known:
        raise typer.BadParameter(f"no cluster {name}; there are {', '.join(known) or 'none'}", param_hint="CLUSTER")
    return known[name]["cluster"].partition("/")[0], known[name]["pools"]


def _call(route: str, **query: Any) -> Any:
    try:
        return Client().call(route, **query)
    except CloudError as refused:
        complain(refused.message)
        raise typer.Exit(1) from None


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
        complain(problem)
        raise typer.Exit(3) from None
    env = {**workspace.env, "PULUMI_OPTION_CWD": str(workspace.project)}
    program = command or [os.environ.get("SHELL", "/bin/sh")]
    if not command:
        Console().print("plain `pulumi`, `kubectl` and `helm` work on the sandbox here; `exit` leaves", highlight=False)
    raise typer.Exit(subprocess.run(program, env=env, check=False).returncode)
