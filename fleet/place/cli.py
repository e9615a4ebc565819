"""`fleet place`: reads flags, chooses, shows, and writes pools where it is told to."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from fleet.arguments import AsFormat, Format
from fleet.said import complain
from fleet.workspace import STACKS

if TYPE_CHECKING:
    from fleet.place.candidates import Found, Market
    from fleet.place.choose import Aims, Plan
    from fleet.place.near import Milliseconds

_CENT = Decimal("0.01")
_HOW = {
    "bound": "; ms: light in fibre there and back, the least that it can be",
    "measured": "; ms: as measured where the users are",
}


def place(
    wanted: Annotated[
        list[str], typer.Argument(metavar="[POOL=]ACCELERATOR[,…]:[NODESx]COUNT", help="Such as chat=nvidia-l4:8.")
    ],
    cloud: Annotated[list[str] | None, typer.Option("--cloud", help="Glob; repeatable. Default: all.")] = None,
    region: Annotated[list[str] | None, typer.Option("--region", help="Glob, such as 'eu*'; repeatable.")] = None,
    spot: Annotated[bool, typer.Option("--spot", help="Spot will do, too.")] = False,
    hours: Annotated[int, typer.Option("--hours", min=1, help="How long; a month has 730.")] = 730,
    max_usd: Annotated[float | None, typer.Option("--max-usd", min=0, help="At most, for all pools and hours.")] = None,
    max_kg: Annotated[float | None, typer.Option("--max-kg", min=0, help="kgCO2e at most, for all pools and hours.")] = None,
    usd_a_tonne: Annotated[
        float, typer.Option("--carbon-price", min=0, help="USD that a tonne of CO2e counts for in the rank.")
    ] = 0,
    together: Annotated[bool, typer.Option("--together", help="All pools in one region.")] = False,
    users: Annotated[
        list[str] | None,
        typer.Option("--users", metavar="LAT,LON|REGION", help="Where users are: the least that light takes; repeatable."),
    ] = None,
    measured: Annotated[
        list[Path] | None,
        typer.Option("--latency", help="What `fleet latency --format json` wrote where users are; repeatable.", exists=True),
    ] = None,
    max_ms: Annotated[float | None, typer.Option("--max-ms", min=0, help="A round trip to the users at most.")] = None,
    prices: Annotated[
        Path | None,
        typer.Option("--prices", help="SkyPilot's vms.csv of a --cloud, not the catalogue.", exists=True, dir_okay=False),
    ] = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Plans to show.")] = 10,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say where the figures of the best are from, and what was left out.")
    ] = False,
    write: Annotated[
        str | None, typer.Option("--write", metavar="STACK", help="Add the best plan's pools to this stack.")
    ] = None,
    as_: AsFormat = Format.TEXT,
) -> None:
    """Rank where accelerators are to be had, by money, carbon and latency: cloud, region, machine, purchase. Offline.

    Example: `fleet place chat=nvidia-l4,nvidia-a10g:8 --spot --region 'eu*' --carbon-price 100`

    Exit codes: 0 done, 1 no plan within the limits, or it does not go into the stack; 2 wrong usage.
    """
    from fleet.place.candidates import CLOUDS, Where, candidates, named  # noqa: PLC0415 - `fleet check` need not pay for it
    from fleet.place.choose import Aims, plans  # noqa: PLC0415

    try:
        wants = named(wanted)
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="WANTED") from None
    unknown = [name for name in cloud or [] if name not in CLOUDS and "*" not in name]
    if unknown:
        raise typer.BadParameter(f"{unknown[0]!r} is none of {', '.join(CLOUDS)}", param_hint="--cloud")
    limits = [Decimal(str(limit)) if limit is not None else None for limit in (max_usd, max_kg, max_ms)]
    ms = _latency(users or [], measured or [])
    if ms is None and max_ms is not None:
        raise typer.BadParameter("say where users are: --users or --latency", param_hint="--max-ms")
    purchases = ("on-demand", "spot") if spot else ("on-demand",)
    where = Where(tuple(cloud or ["*"]), tuple(region or ["*"]), purchases, ms, limits[2])
    aims = Aims(hours, limits[0], limits[1], Decimal(str(usd_a_tonne)), together, by_latency=ms is not None)
    sold = _sold(prices, cloud or []) if prices else None
    found = {want.name: candidates(want, where, sold) for want in wants}
    made = plans([want.name for want in wants], {name: one.candidates for name, one in found.items()}, aims)
    if as_ is Format.JSON:
        print(json.dumps(_document(made[:top], len(made), found, aims), indent=2))  # noqa: T201
    else:
        _show(made, found, aims, top, explain, _HOW["measured" if measured else "bound"] if ms is not None else "")
    if not made:
        raise typer.Exit(1)
    if write:
        _write(write, made[0], as_)


def _latency(users: list[str], measured: list[Path]) -> Milliseconds | None:
    from fleet.place import near  # noqa: PLC0415

    if users and measured:
        raise typer.BadParameter("a bound does not rank beside a measurement: give --users or --latency", param_hint="--users")
    try:
        points = [near.point(user) for user in users]
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--users") from None
    try:
        return near.bounds(points) if points else near.measured(measured) if measured else None
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--latency") from None


def _sold(prices: Path, clouds: list[str]) -> Market:
    from fleet.catalog.clouds import PUBLIC, Cloud  # noqa: PLC0415
    from fleet.place.candidates import market  # noqa: PLC0415
    from fleet.prices.lists import ListError  # noqa: PLC0415
    from fleet.prices.snapshots import offers  # noqa: PLC0415

    if len(clouds) != 1 or clouds[0] not in PUBLIC:
        raise typer.BadParameter("a vms.csv is of one cloud: give --cloud aws, gcp or azure", param_hint="--prices")
    day = datetime.fromtimestamp(prices.stat().st_mtime, UTC).date().isoformat()
    try:
        return market(offers(prices, Cloud(clouds[0]), day))
    except ListError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--prices") from None


def _write(stack: str, plan: Plan, as_: Format) -> None:
    from fleet.place.write import PlanError  # noqa: PLC0415
    from fleet.place.write import write as put  # noqa: PLC0415

    file = STACKS / f"{stack}.yaml"
    console = Console(stderr=True, soft_wrap=True)
    if not file.exists():
        raise typer.BadParameter(f"no stack file {file.name}", param_hint="--write")
    try:
        added = put(file, plan)
    except PlanError as wrong:
        complain(wrong)
        raise typer.Exit(1) from None
    console.print(
        f"{file.name}: added {', '.join(added)}; see it with `fleet report --stack {stack} --base HEAD`", highlight=False
    )


def _money(plan: Plan, aims: Aims) -> tuple[Decimal, Decimal | None]:
    kg = plan.kg_hour
    return (plan.usd_hour * aims.hours).quantize(_CENT), None if kg is None else (kg * aims.hours).quantize(Decimal("0.1"))


def _show(made: list[Plan], found: dict[str, Found], aims: Aims, top: int, explain: bool, how: str) -> None:
    console = Console(width=None if Console().is_terminal else 140)
    front = "cheaper, cleaner and nearer" if aims.by_latency else "cheaper and cleaner"
    table = Table(caption=f"{min(top, len(made))} of {len(made)} plans for {aims.hours} h; * nothing is at once {front}{how}")
    for head in ("Pool", "Where", "Machine", "Purchase"):
        table.add_column(head, overflow="fold")
    for head in ("USD", "kgCO2e", "g/kWh", *(("ms",) if aims.by_latency else ()), ""):
        table.add_column(head, justify="right")
    for plan in made[:top]:
        usd, kg = _money(plan, aims)
        for i, part in enumerate(plan.parts):
            whole = (f"{usd:,}", f"{kg:,}" if kg is not None else "not known") if i == 0 else ("", "")
            shape = f" ({part.topology})" if part.topology else ""
            table.add_row(
                part.want,
                f"{part.cloud} {part.region}",
                f"{part.nodes} x {part.machine}, {part.accelerators} x {part.accelerator}{shape}",
                part.purchase,
                *whole,
                f"{part.gco2_kwh:.0f}" if part.gco2_kwh is not None else "?",
                *((f"{part.ms}" if part.ms is not None else "?",) if aims.by_latency else ()),
                "*" if plan.front and i == 0 else "",
            )
        table.add_section()
    if made:
        console.print(table)
    else:
        console.print("[red]no plan within these limits[/]")
    if explain or not made:
        _explain(console, made, found, aims)


def _explain(console: Console, made: list[Plan], found: dict[str, Found], aims: Aims) -> None:
    for part in made[0].parts if made else ():
        quota = part.quota or "not in the catalogue"
        price = part.usd_hour / part.nodes
        console.print(
            f"{part.want}: {part.nodes} nodes at ${price} an hour ({part.source}, {part.as_of}); quota {quota}", highlight=False
        )
    for name, one in found.items():
        unknown = sum(c.kg_hour is None for c in one.candidates)
        why = [f"{count} {reason}" for reason, count in one.refused.items()]
        if unknown:
            why.append(f"{unknown} whose carbon is not known{', left out' if aims.by_carbon else ''}")
        said = f"{name}: {len(one.candidates)} candidates" + (f"; {', '.join(why)}" if why else "")
        console.print(said, highlight=False, markup=False)


def _document(made: list[Plan], count: int, found: dict[str, Found], aims: Aims) -> dict[str, object]:
    return {
        "version": 1,
        "hours": aims.hours,
        "plans_within_limits": count,
        "plans": [
            {
                "usd": str(_money(plan, aims)[0]),
                "kg": None if plan.kg_hour is None else str(_money(plan, aims)[1]),
                "ms": None if plan.ms is None else str(plan.ms),
                "front": plan.front,
                "pools": [json.loads(json.dumps(asdict(part), default=str)) for part in plan.parts],
            }
            for plan in made
        ],
        "refused": {name: dict(one.refused) for name, one in found.items()},
    }
