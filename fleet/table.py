"""How what stands is shown: a terminal table and one self-contained HTML page, from the same model."""

from __future__ import annotations

import html
import io
import re
from decimal import Decimal
from pathlib import Path

from rich.console import Console
from rich.table import Table

from fleet.standing import PoolStanding, Standing

_COLUMNS = ("Stack", "Region", "Pool", "Accelerators", "Nodes", "Purchase", "Ready", "USD/month", "kgCO2e/month")
_NUMBERS = ("USD/month", "After commitments", "kgCO2e/month")


def columns(standing: Standing) -> tuple[str, ...]:
    """Heads of the table; what commitments leave of a price has one of its own, and only where there are some."""
    return (*_COLUMNS[:-1], "After commitments", _COLUMNS[-1]) if standing.commitments else _COLUMNS


def row(pool: PoolStanding, committed: bool = False) -> tuple[str, ...]:
    """One pool's cells; what is not known says so."""
    after = f"{pool.after_usd_month:,}" if pool.after_usd_month is not None else "not priced"
    return (
        pool.stack,
        pool.region,
        pool.pool,
        f"{pool.accelerators} x {pool.accelerator}" + (f", {pool.sharing}" if pool.sharing else ""),
        f"{pool.ready}/{pool.nodes} ({pool.min_nodes}-{pool.max_nodes})",
        ", ".join([pool.purchase, *(f"{nodes} {how}" for how, nodes in pool.otherwise.items())]),
        f"{pool.pods_ready}/{pool.pods}",
        f"{pool.cost.usd_month:,}" if pool.cost.usd_month is not None else "not priced",
        *((after,) if committed else ()),
        f"{pool.cost.kg_month:,}" if pool.cost.kg_month is not None else "no TDP published",
    )


def totals(standing: Standing) -> str:
    """The line under the table: sums of what is known, and how much that is."""
    priced = [p.cost.usd_month for p in standing.pools if p.cost.usd_month is not None]
    counted = [p.cost.kg_month for p in standing.pools if p.cost.kg_month is not None]
    found = {p.cost.price_as_of for p in standing.pools if p.cost.price_as_of}
    dates = sorted(date for date in found if re.match(r"\d{4}-\d\d-\d\d", date))
    of = len(standing.pools)
    return (
        f"${sum(priced, Decimal(0)):,} a month (priced {len(priced)} of {of} pools; list prices {dates[0] if dates else '-'}"
        f" to {dates[-1] if dates else '-'}), {sum(counted, Decimal(0)):,} kgCO2e a month (counted {len(counted)} of {of})"
    )


def commitments(standing: Standing) -> list[str]:
    """A line for each commitment: what is paid, what it pays for, what of it nobody uses, and by which rule."""
    return [
        f"{use.stack}: {use.kind} {use.name}: ${use.paid:,} a month paid, for ${use.covered:,} at list price "
        f"(${use.saved:,} saved); ${use.unused:,} unused, and paid all the same. {use.rule}"
        for use in standing.commitments
    ]


def terminal(standing: Standing) -> Table:
    """The table of the demo and of `fleet status`."""
    caption = "\n".join([totals(standing), *commitments(standing)])
    table = Table(title="What stands", caption=caption, caption_justify="left")
    for name in columns(standing):
        table.add_column(name, justify="right" if name in _NUMBERS else "left", overflow="fold")
    for pool in standing.pools:
        table.add_row(*row(pool, bool(standing.commitments)))
    return table


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Accelfleet: what stands</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }}
td:nth-last-child(-n+{numbers}), th:nth-last-child(-n+{numbers}) {{ text-align: right; font-variant-numeric: tabular-nums; }}
</style></head><body>
<h1>What stands</h1>
<table><thead><tr>{head}</tr></thead><tbody>
{body}
</tbody></table>
<p>{totals}</p>
{committed}
{waiting}
<p><small>Cost: list price &times; nodes &times; 730 h.
Carbon: TDP &times; 0.6 &times; PUE &times; yearly grid mean, accelerators only.</small></p>
</body></html>
"""


def page(standing: Standing) -> str:
    """The HTML report: no script, no network."""
    heads = columns(standing)
    rows = [row(pool, bool(standing.commitments)) for pool in standing.pools]
    cells = "\n".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in cells) + "</tr>" for cells in rows)
    committed = "".join(f"<li>{html.escape(line)}</li>" for line in commitments(standing))
    waiting = "".join(f"<li><code>{html.escape(w.pod)}</code>: {html.escape(w.reason)}</li>" for w in standing.waiting)
    return _PAGE.format(
        head="".join(f"<th>{c}</th>" for c in heads),
        numbers=len([head for head in heads if head in _NUMBERS]),
        committed=f"<h2>Commitments</h2><ul>{committed}</ul>" if committed else "",
        body=cells,
        totals=html.escape(totals(standing)),
        waiting=f"<h2>Waiting</h2><ul>{waiting}</ul>" if waiting else "",
    )


def picture(standing: Standing) -> str:
    """The terminal table as SVG, for the README: the same text, with the reader's own monospace font."""
    console = Console(record=True, width=132, file=io.StringIO(), force_terminal=True)
    console.print(terminal(standing))
    svg = console.export_svg(title="fleet status --sandbox --stack '*-dev'", unique_id="standing")
    # Rich points at a font on the network; the page must need none.
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)


def write_page(standing: Standing, path: Path) -> Path:
    """Write the report; returns where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(page(standing))
    return path
