"""`fleet latency`: reads flags, measures, shows."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from fleet.arguments import AsFormat, Format

if TYPE_CHECKING:
    from fleet.latency import Place


def latency(
    accelerator: Annotated[
        str | None, typer.Option("--accelerator", "-a", help="Its price by region beside it, such as nvidia-l4.")
    ] = None,
    cloud: Annotated[list[str] | None, typer.Option("--cloud", help="Glob; repeatable. Default: all.")] = None,
    region: Annotated[list[str] | None, typer.Option("--region", help="Glob, such as 'eu*'; repeatable.")] = None,
    spot: Annotated[bool, typer.Option("--spot", help="Spot prices.")] = False,
    tries: Annotated[int, typer.Option("--tries", min=1, max=100, help="Connects a region; the median counts.")] = 5,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, max=60, help="Seconds a connect may take.")] = 3.0,
    offline: Annotated[bool, typer.Option("--offline", help="Measure nothing; show regions, endpoints and prices.")] = False,
    as_: AsFormat = Format.TEXT,
) -> None:
    """Measure how far each cloud's regions are from here by TCP connects, and show what an accelerator costs there.

    Example: `fleet latency --accelerator nvidia-l4 --region 'eu*'`

    Exit codes: 0 done, 1 nothing could be reached, 2 wrong usage.
    """
    from fleet.catalog.accelerators import ACCELERATORS  # noqa: PLC0415 - `fleet check` need not pay for it
    from fleet.checks.finding import closest  # noqa: PLC0415
    from fleet.latency import measured, places  # noqa: PLC0415

    if accelerator is not None and accelerator not in ACCELERATORS:
        near = closest(accelerator, ACCELERATORS)
        hint = f": did you mean {near}?" if near else ""
        raise typer.BadParameter(f"the catalogue knows no {accelerator!r}{hint}", param_hint="--accelerator")
    wanted = [
        place
        for place in places(accelerator, "spot" if spot else "on-demand")
        if any(fnmatchcase(place.cloud, glob) for glob in cloud or ["*"])
        if any(fnmatchcase(place.region, glob) for glob in region or ["*"])
    ]
    if not wanted:
        raise typer.BadParameter("no region of the catalogue is left by these", param_hint="--cloud, --region, --accelerator")
    found = wanted if offline else measured(wanted, tries, timeout)
    if as_ is Format.JSON:
        print(json.dumps(_document(found, offline), indent=2))  # noqa: T201
    else:
        _show(found, offline, accelerator)
    if not offline and all(place.milliseconds is None for place in found):
        raise typer.Exit(1)


def _document(found: list[Place], offline: bool) -> dict[str, object]:
    return {
        "version": 1,
        "measured": not offline,
        "regions": [
            {
                "cloud": place.cloud,
                "region": place.region,
                "host": place.host,
                "milliseconds": place.milliseconds,
                "why": place.why,
                "machine": place.price.machine if place.price else None,
                "usd_hour": str(place.price.usd_hour) if place.price else None,
                "price_as_of": place.price.as_of if place.price else None,
            }
            for place in found
        ],
    }


def _show(found: list[Place], offline: bool, accelerator: str | None) -> None:
    from fleet.latency import LOWER_BOUND  # noqa: PLC0415

    console = Console(width=None if Console().is_terminal else 140)
    how = "not measured" if offline else "median of TCP connects; ≥ where the cloud's edge may answer before the region does"
    table = Table(caption=how, caption_justify="left")
    for head in ("Cloud", "Region", "ms", "Endpoint"):
        table.add_column(head, justify="right" if head == "ms" else "left", overflow="fold")
    if accelerator:
        table.add_column(f"USD/h each {accelerator}", justify="right")
        table.add_column("Machine, price as of", overflow="fold")
    for place in found:
        bound = "≥ " if place.cloud in LOWER_BOUND else ""
        ms = f"{bound}{place.milliseconds:.1f}" if place.milliseconds is not None else place.why or "not measured"
        price = (f"{place.price.usd_hour:.4f}", f"{place.price.machine}, {place.price.as_of}") if place.price else ()
        table.add_row(place.cloud, place.region, ms, place.host, *price)
    console.print(table)
