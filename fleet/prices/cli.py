"""`fleet catalog refresh`: new prices into prices.csv, to be looked at and committed like any other change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fleet.catalog.clouds import PUBLIC, Cloud, regions
from fleet.said import complain

if TYPE_CHECKING:
    from fleet.prices.row import Outcome, Price

app = typer.Typer(no_args_is_help=True, help="The catalogue's facts: refresh its prices.")


@app.callback()
def _group() -> None:
    """The catalogue's facts."""


@app.command()
def refresh(
    cloud: Annotated[list[Cloud] | None, typer.Option("--cloud", help="Cloud to ask; repeatable. Default: all three.")] = None,
    region: Annotated[list[str] | None, typer.Option("--region", help="Region; repeatable. Default: those known.")] = None,
    from_: Annotated[
        Path | None, typer.Option("--from", help="gpuhunt's or SkyPilot's CSV of one --cloud.", exists=True, dir_okay=False)
    ] = None,
    as_of: Annotated[str | None, typer.Option("--as-of", help="Date of --from, such as 2026-11-01. Default: today.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change and write nothing.")] = False,
    url: Annotated[str | None, typer.Option("--url", hidden=True)] = None,
) -> None:
    """Take prices from the clouds' lists, or from a snapshot, for machines and regions that the catalogue knows.

    Example: `fleet catalog refresh --cloud aws --region us-east-1 --dry-run`

    Google's list needs an API key in GOOGLE_API_KEY. Exit codes: 0 done, 1 a list cannot be had, 2 wrong usage.
    """
    from fleet.prices.lists import ListError  # noqa: PLC0415 - other commands need no HTTP
    from fleet.prices.row import FILE, merged  # noqa: PLC0415

    chosen = cloud or list(PUBLIC)
    if from_ and len(chosen) != 1:
        raise typer.BadParameter("a snapshot is of one cloud: give --cloud", param_hint="--from")
    try:
        prices = list(_prices(chosen, region or [], from_, as_of, url))
    except ListError as wrong:
        complain(wrong)
        raise typer.Exit(1) from None
    text, outcome = merged(FILE.read_text(encoding="utf-8"), prices)
    _print(outcome)
    if not dry_run and (outcome.changed or outcome.new):
        FILE.write_text(text, encoding="utf-8")


def _prices(clouds: list[Cloud], wanted: list[str], file: Path | None, as_of: str | None, url: str | None) -> Iterator[Price]:
    from fleet.prices import lists, snapshots  # noqa: PLC0415

    today = datetime.now(UTC).date()
    if file:
        day = as_of or today.isoformat()
        try:
            date.fromisoformat(day)
        except ValueError:
            raise typer.BadParameter(f"{day!r} is no date such as 2026-11-01", param_hint="--as-of") from None
        yield from snapshots.read(file, clouds[0], day)
        return
    for cloud in clouds:
        here = [name for name in regions(cloud) if not wanted or name in wanted]
        if cloud is Cloud.GCP:
            key = os.environ.get("GOOGLE_API_KEY", "")
            if not key:
                raise lists.ListError("gcp: set GOOGLE_API_KEY: Google's list answers no request without a key")
            yield from lists.gcp(here, key, today, url or lists.GCP)
            continue
        for name in here:
            yield from lists.aws(name, url or lists.AWS) if cloud is Cloud.AWS else lists.azure(name, today, url or lists.AZURE)


def _print(outcome: Outcome) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for name, was, now in outcome.changed:
        console.print(f"{name}: {was} → {now}", markup=False)
    for name in outcome.new:
        console.print(f"{name}: new", markup=False)
    for said in outcome.unbelievable:
        console.print(f"left out, not believable: {said}", style="yellow", markup=False)
    console.print(
        f"{len(outcome.changed)} changed, {len(outcome.new)} new, {outcome.same} as they were, "
        f"{outcome.unknown} of machines or regions that the catalogue does not know"
    )
