"""`fleet fit`: on which accelerators a language model fits, how many of each, and the cheapest machine that has them.

By `fleet.memory`'s arithmetic and the catalogue, offline, and by memory alone: whether a framework has kernels for an
accelerator is not its business. One machine only: what needs several is said so, not priced.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from fleet.arguments import AsFormat, Format

# AWS sells them for inference: https://aws.amazon.com/ai/machine-learning/inferentia/
_DO_NOT_TRAIN = ("inferentia1", "inferentia2")

if TYPE_CHECKING:
    from fleet.catalog.accelerators import Accelerator
    from fleet.memory import Model, Precision, Training


@dataclass(frozen=True)
class Fit:
    """One accelerator: how many are needed, and the cheapest machine that has them.

    `machine` is None where no single one has so many, `cloud` where no cloud here has any, `usd_hour` where no list has it.
    """

    accelerator: str
    needed: int
    cloud: str | None
    machine: str | None
    region: str | None
    usd_hour: Decimal | None
    as_of: str | None


def fit(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A name of fleet/catalog/data/models.csv.")],
    precision: Annotated[str, typer.Option("--precision", help="fp32, fp16, bf16, fp8, int8, int4: of the weights.")] = "bf16",
    tokens: Annotated[
        int, typer.Option("--tokens", min=0, help="Tokens in the cache, of all requests; of training: a device's batch.")
    ] = 8192,
    train: Annotated[str | None, typer.Option("--train", help="full, lora or qlora; default: to serve.")] = None,
    rank: Annotated[int, typer.Option("--rank", min=1, help="Of the adapters.")] = 16,
    as_: AsFormat = Format.TEXT,
) -> None:
    """Show where a language model fits: accelerators, machine and price. Offline, by arithmetic.

    Example: `fleet fit llama-3.1-70b --precision fp8 --tokens 65536`
    """
    from fleet.memory import Precision, Training, known  # noqa: PLC0415 - `fleet check` need not pay for it

    shapes = known()
    if model not in shapes:
        raise typer.BadParameter(f"{model!r} is none of {', '.join(shapes)}", param_hint="MODEL")
    try:
        kept, how = Precision(precision), Training(train) if train else None
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong), param_hint="--precision, --train") from None
    needs = needed_gib(shapes[model], kept, tokens, how, rank)
    fits = ranked(shapes[model], kept, tokens, how, rank)
    if as_ is Format.JSON:
        rows = [{**asdict(one), "usd_hour": str(one.usd_hour) if one.usd_hour is not None else None} for one in fits]
        print(json.dumps({"version": 1, "model": model, "gib": round(needs, 2), "fits": rows}, indent=2))  # noqa: T201
        return
    table = Table(caption=f"{model}, {train or 'to serve'}: {needs:,.1f} GiB if one device had it all; list prices, on-demand")
    for head in ("Accelerator", "Needed", "Machine", "Where", "USD an hour", "Price of"):
        table.add_column(head)
    for one in fits:
        machine = one.machine or ("several machines" if one.cloud else "of your own (cloud: existing)")
        price = f"{one.usd_hour:,.2f}" if one.usd_hour is not None else "not known"
        where = f"{one.cloud} {one.region or ''}".strip() if one.cloud else "-"
        table.add_row(one.accelerator, str(one.needed), machine, where, price, one.as_of or "-")
    Console(width=None if Console().is_terminal else 140).print(table)


def needed_gib(
    model: Model, precision: Precision, tokens: int, how: Training | None, rank: int = 16, devices: int = 1
) -> float:
    """GiB on each of so many devices: to serve, weights and cache divided; to train, ZeRO-3 and each device's own batch."""
    from fleet import memory  # noqa: PLC0415

    if how is not None:
        states = memory.states_gib(model, how, stage=3, devices=devices, rank=rank)
        return states + memory.activations_gib(model, tokens, checkpointing=True)
    return (memory.weights_gib(model.params, precision) + memory.kv_cache_gib(model, tokens)) / devices


def ranked(model: Model, precision: Precision, tokens: int, how: Training | None, rank: int = 16) -> list[Fit]:
    """Every accelerator that knows the numbers, cheapest first, those without a price behind them."""
    from fleet.catalog.accelerators import ACCELERATORS  # noqa: PLC0415
    from fleet.memory import Precision  # noqa: PLC0415

    # What is trained, and what integers are made into, are 16-bit numbers.
    word = (Precision.BF16 if how or precision.weights_only else precision).upper()
    fits = []
    for row in ACCELERATORS.values():
        if word in row.precisions and not (how and row.name in _DO_NOT_TRAIN):
            needed = least(row, lambda n: needed_gib(model, precision, tokens, how, rank, devices=n))
            if needed is not None:
                fits.append(cheapest(row, needed))
    return sorted(fits, key=lambda one: (one.usd_hour is None, one.usd_hour or 0, one.needed))


def least(row: Accelerator, share: Callable[[int], float]) -> int | None:
    """The fewest devices, a power of two as tensor parallelism wants them; None where no number does."""
    from fleet.memory import USABLE  # noqa: PLC0415

    powers = (2**i for i in range(13))
    return next((n for n in powers if share(n) <= row.memory_gib * USABLE), None)


def cheapest(row: Accelerator, needed: int) -> Fit:
    """The machine with so many of them whose lowest on-demand price is the lowest of all."""
    from fleet.catalog.machines import machines, offers  # noqa: PLC0415

    sold = [m for m in machines() if m.accelerator is row and m.part == 1 and not row.withdrawn]
    holding = [m for m in sold if m.accelerators >= needed]
    priced = [o for o in offers() if o.machine in holding and o.on_demand is not None]
    if priced:
        best = min(priced, key=lambda o: o.on_demand or math.inf)
        return Fit(row.name, needed, best.machine.cloud, best.machine.name, best.region, best.on_demand, best.as_of)
    if holding:
        return Fit(row.name, needed, holding[0].cloud, holding[0].name, None, None, None)
    return Fit(row.name, needed, sold[0].cloud if sold else None, None, None, None, None)
