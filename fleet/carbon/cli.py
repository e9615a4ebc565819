"""`fleet carbon`: replays hours of a grid over the flexible models of stacks, and says what holding them back saves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from fleet.arguments import AsFormat, Format, Stacks, load_or_exit, select_stacks

if TYPE_CHECKING:
    from fleet.carbon.replay import Effect
    from fleet.spec import ClusterSpec, ModelSpec


def carbon(
    stack: Stacks,
    week: Annotated[
        Path, typer.Option("--week", help="Intensities, one an hour: a JSON list, or CSV with them last.", exists=True)
    ],
    load: Annotated[
        float, typer.Option("--load", min=0, max=1, help="Of the most replicas, the part that work keeps busy.")
    ] = 0.5,
    deadline: Annotated[
        int | None,
        typer.Option("--deadline", min=2, max=168, help="Put work off to the cleanest window that ends so many hours on."),
    ] = None,
    work: Annotated[
        int | None,
        typer.Option(
            "--work", min=1, max=167, help="Of them, hours that what gathers takes; default: as few as the load leaves."
        ),
    ] = None,
    as_: AsFormat = Format.TEXT,
) -> None:
    """Tell what holding flexible models back on a dirty grid would have saved, and what waited for it. Offline.

    A model with a deadline puts its work off by the cluster's own rule, and a forecast that comes true; with `--deadline`
    every flexible model does.

    Example: `fleet carbon --stack 'prod-*' --week week.csv --load 0.4`
    """
    from fleet.carbon.replay import hours  # noqa: PLC0415 - `fleet check` need not pay for it

    if work is not None and (deadline is None or work >= deadline):
        raise typer.BadParameter("the work takes less than its --deadline leaves", param_hint="--work")
    try:
        intensities = hours(week)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--week") from None
    specs = load_or_exit(select_stacks(stack), as_)
    found = {
        f"{name}/{key}/{model}": effect
        for name, spec in specs.items()
        for key, cluster in spec.clusters.items()
        for model, effect in _effects(name, key, cluster, intensities, load, (deadline, work))
    }
    if as_ is Format.JSON:
        made = {name: {**asdict(e), "kg_saved": e.kg_saved} if e else None for name, e in found.items()}
        print(json.dumps({"version": 1, "load": load, "deadline_h": deadline, "models": made}, indent=2))  # noqa: T201
        return
    console = Console(width=None if Console().is_terminal else 140)
    if not found:
        console.print("no flexible model")
        return
    rule = f"put off by {deadline} h at most, by a forecast that comes true" if deadline else "held back as the stack file says"
    said = f"{len(intensities)} hours at {load:.0%} load, {rule}; TDP x 0.6 x PUE, accelerators alone"
    table = Table(caption=said, caption_justify="left")
    for head in ("Model", "kg without", "kg saved", "Hours held", "Delayed, replica hours", "Longest, h", "Left at the end"):
        table.add_column(head, justify="left" if head == "Model" else "right")
    for name, effect in found.items():
        table.add_row(name, *(_row(effect) if effect else ("no TDP published",)))
    console.print(table)


def _row(effect: Effect) -> tuple[str, ...]:
    share = f" ({effect.kg_saved / effect.kg_plain:.0%})" if effect.kg_plain else ""
    return (
        f"{effect.kg_plain:,.1f}",
        f"{effect.kg_saved:,.1f}{share}",
        f"{effect.hours_held} of {effect.hours}",
        f"{effect.delayed_replica_hours:,.0f}",
        str(effect.longest_h),
        f"{effect.left_replica_hours:,.0f}",
    )


def _effects(
    stack: str, key: str, cluster: ClusterSpec, intensities: list[float], load: float, asked: tuple[int | None, int | None]
) -> Iterator[tuple[str, Effect | None]]:
    from fleet.carbon.ceiling import Ceiling  # noqa: PLC0415
    from fleet.carbon.defer import deferred, work_hours  # noqa: PLC0415
    from fleet.carbon.replay import effect  # noqa: PLC0415

    for name, model in cluster.models.items():
        if model.carbon is None:
            continue
        kw = _kw(stack, key, cluster, model)
        least, most = model.replicas.min, model.replicas.max
        deadline, work = asked if asked[0] else model.carbon.deferral or (None, None)
        if kw is None:
            yield name, None
        elif deadline is not None:
            takes = work or work_hours(load, least, most, deadline)
            yield name, deferred(intensities, load, least, most, float(kw), deadline, takes)
        elif thresholds := model.carbon.thresholds:
            yield name, effect(intensities, Ceiling(*thresholds, least, most), load, float(kw))


def _kw(stack: str, key: str, cluster: ClusterSpec, model: ModelSpec) -> Decimal | None:
    """Of a busy replica, by the method of all our figures; None where nobody published the power."""
    from fleet.cost import DEFAULT_PUE, UTILISATION, grid, tdp_of  # noqa: PLC0415
    from fleet.plan import accelerators_of, pools  # noqa: PLC0415

    pool = pools(stack, key, cluster)[model.pool]
    watts, here = tdp_of(pool.machine), grid(cluster.cloud, cluster.region)
    if watts is None:
        return None
    slots = accelerators_of(model, pool.machine, pool.tpu)
    return watts * slots / pool.slots * UTILISATION * (here[1] if here else DEFAULT_PUE) / 1000
