"""`fleet actual`: what a cluster's models took by request, from its Prometheus, beside what the report estimated."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from fleet.arguments import AsFormat, Format, Stacks, load_or_exit, select_stacks
from fleet.said import complain

if TYPE_CHECKING:
    from fleet.actual.account import Account, Figures
    from fleet.monitoring.figures import Replica

_UNKNOWN = "unknown"


def actual(
    stack: Stacks,
    prometheus: Annotated[str, typer.Option("--prometheus", help="Address of the cluster's Prometheus, without /api/v1.")],
    cluster: Annotated[str | None, typer.Option("--cluster", help="Which of the stack's clusters it watches.")] = None,
    hours: Annotated[int, typer.Option("--hours", min=1, max=720, help="How far to look back.")] = 24,
    as_: AsFormat = Format.TEXT,
) -> None:
    """Tell what each model took for 1,000 requests (and 1M tokens): money, energy, gCO2e, beside the report's estimate.

    Example: `fleet actual --stack prod-eu --prometheus http://localhost:9090 --hours 168`
    """
    from fleet.actual.account import accounts  # noqa: PLC0415 - `fleet check` need not pay for it
    from fleet.actual.prometheus import Prometheus, PrometheusError  # noqa: PLC0415

    replicas = _replicas(stack, cluster, as_)
    try:
        found = accounts(Prometheus(prometheus), replicas, hours)
    except PrometheusError as wrong:
        complain(wrong)
        raise typer.Exit(1) from None
    if as_ is Format.JSON:
        print(json.dumps({"version": 1, "hours": hours, "models": [_as_json(one) for one in found]}, indent=2))  # noqa: T201
        return
    console = Console(width=None if Console().is_terminal else 140)
    console.print(_table(found, hours) if found else "no models")


def _replicas(patterns: list[str], cluster: str | None, as_: Format) -> list[Replica]:
    """Of the one cluster that the Prometheus watches."""
    from fleet.monitoring.figures import replicas  # noqa: PLC0415
    from fleet.plan import pools  # noqa: PLC0415

    specs = load_or_exit(select_stacks(patterns), as_)
    known = {(name, key): spec for name, stack in specs.items() for key, spec in stack.clusters.items()}
    chosen = [place for place in known if cluster in (None, place[1])]
    if len(chosen) != 1:
        places = ", ".join(f"{name}/{key}" for name, key in known)
        message = f"a Prometheus watches one cluster, and these are {len(chosen)} of {places}: name one stack and one cluster"
        raise typer.BadParameter(message, param_hint="--stack and --cluster")
    name, key = chosen[0]
    return replicas(known[chosen[0]], pools(name, key, known[chosen[0]]))


def _as_json(one: Account) -> dict[str, Any]:
    from fleet.actual.account import MILLION, THOUSAND  # noqa: PLC0415

    return {
        "namespace": one.replica.namespace,
        "model": one.replica.model,
        "accelerator": one.replica.accelerator,
        "purchase": one.replica.purchase,
        "requests": _text(one.requests),
        "tokens": _text(one.tokens),
        "replica_hours": _text(one.replica_hours),
        "energy": "measured" if one.measured else "by TDP",
        "estimate": _figures(one.estimate),
        "actual": _figures(one.actual),
        "per_1000_requests": {
            "estimate": _figures(one.estimate.each(one.requests, THOUSAND)),
            "actual": _figures(one.actual.each(one.requests, THOUSAND)),
        },
        "per_1m_tokens": {
            "estimate": _figures(one.estimate.each(one.tokens, MILLION)),
            "actual": _figures(one.actual.each(one.tokens, MILLION)),
        },
    }


def _figures(found: Figures) -> dict[str, str | None]:
    return {"usd": _text(found.usd), "wh": _text(found.wh), "gco2": _text(found.gco2)}


def _text(value: Decimal | None) -> str | None:
    """Six digits that count, which is more than any of the figures has."""
    return None if value is None else f"{Decimal(f'{value:.6g}'):f}"


def _table(found: list[Account], hours: int) -> Table:
    from fleet.actual.account import MILLION, THOUSAND  # noqa: PLC0415

    caption = (
        f"the last {hours} h; estimate / actual, at list prices and the grid's yearly mean, accelerators alone; "
        "energy by DCGM where it runs, else (~) 60 % of TDP"
    )
    table = Table(caption=caption, caption_justify="left")
    for head in ("Model", "Accelerator", "For", "Replica hours", "USD", "Wh", "gCO2e"):
        table.add_column(head, justify="left" if head in ("Model", "Accelerator", "For") else "right")
    for one in found:
        stood = f"{one.replica.least * hours} / {_shown(one.replica_hours)}"
        name, accelerator = f"{one.replica.namespace}/{one.replica.model}", one.replica.accelerator
        table.add_row(name, accelerator, f"{hours} h", stood, *_pairs(one.estimate, one.actual, one.measured))
        for count, per, unit in ((one.requests, THOUSAND, "1,000 requests"), (one.tokens, MILLION, "1M tokens")):
            if count:
                pairs = _pairs(one.estimate.each(count, per), one.actual.each(count, per), one.measured)
                table.add_row("", "", f"{unit} of {count:,.0f}", "", *pairs)
            elif unit.endswith("requests"):
                said = "no requests" if count is not None else "requests unknown"
                table.add_row("", "", said, "", *[_UNKNOWN] * 3)
    return table


def _pairs(estimate: Figures, real: Figures, measured: bool) -> list[str]:
    mark = "" if measured else "~"
    return [
        f"{_shown(estimate.usd)} / {_shown(real.usd)}",
        f"{_shown(estimate.wh)} / {mark if real.wh is not None else ''}{_shown(real.wh)}",
        f"{_shown(estimate.gco2)} / {mark if real.gco2 is not None else ''}{_shown(real.gco2)}",
    ]


def _shown(value: Decimal | None) -> str:
    if value is None:
        return _UNKNOWN
    return f"{value:,.1f}" if abs(value) >= 100 else f"{Decimal(f'{value:.3g}'):f}"
