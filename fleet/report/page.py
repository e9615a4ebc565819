"""The report as one HTML page: light and dark, for keyboard and paper, with no network."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path

from fleet.report import words
from fleet.report.model import Band, Change, Estimate, Policy, Rehearsal, Report, StackReport
from fleet.report.regions import HEAD, regions, row, world
from fleet.report.scatter import scatters
from fleet.report.tree import drawn

_TEMPLATE = Path(__file__).parent / "page.html"
# Of the widest bar, in hundredths of the column.
_WIDTH = 100


def page(report: Report) -> str:
    """The page, whole."""
    stacks = ["".join(_stack(stack)) for stack in report.stacks]
    # What a change does is read before where things are.
    parts = [*stacks, *_regions(report)] if report.base else [*_regions(report), *stacks]
    title = "What changes" if report.base else "What it costs"
    filled = {
        "title": title,
        "base": f"against {report.base}" if report.base else "",
        "stacks": "".join(parts),
        "method": words.method(report),
    }
    text = _TEMPLATE.read_text(encoding="utf-8")
    for name, value in filled.items():
        text = text.replace(f"{{{{{name}}}}}", value if name == "stacks" else html.escape(value))
    return text


def _regions(report: Report) -> Iterator[str]:
    if found := regions(report):
        yield f'<section aria-label="Where it stands"><h2>Where it stands</h2>{world(found)}'
        yield _table("Regions", HEAD, map(row, found))
        yield "</section>"


def _stack(stack: StackReport) -> Iterator[str]:
    yield f'<section aria-label="{html.escape(stack.stack)}"><h2>{html.escape(stack.stack)}</h2>'
    if stack.quiet:
        yield f"<p>Nothing changes. {html.escape(words.policy(stack).capitalize())}.</p></section>"
        return
    yield f"<p class=headline>{html.escape(words.headline(stack))}</p>"
    if stack.base_faults:
        yield _list(stack.base_faults)
    yield from _changes("Changes", stack.changes)
    if stack.rehearsal:
        yield from _rehearsal(stack.rehearsal)
    yield '<div class="cards">'
    yield from _bars("USD a month", stack, "usd")
    yield from _bars("kgCO2e a month", stack, "kg")
    yield "</div>"
    if stack.after:
        yield from _lines(stack.after)
        if figures := list(scatters(stack.after)):
            yield f'<h3>Elsewhere</h3><div class="cards">{"".join(figures)}</div>'
    if stack.quotas:
        rows = [(q.quota or "-", f"{q.cloud} {q.region}", q.before, q.after, q.unit, words.quota(q)) for q in stack.quotas]
        yield _table("Quotas", ("Quota", "Region", "Before", "Needs", "Unit", "Limit"), rows)
    if ready := [(one.pool, words.ready(one), words.reasons(one)) for one in stack.readiness]:
        yield _table("Pools", ("Pool", "Verdict", "Why"), ready)
    yield f"<p>{html.escape(words.policy(stack).capitalize())}. {html.escape(stack.policy.not_compared)}</p>"
    if found := list(_findings(stack.policy)):
        head = ("Since", "Weight", "Policy", "Resource", "What is wrong", "How to mend it", "Waived")
        yield _table("Policies", head, found)
    yield from drawn(stack.graph)
    yield "</section>"


def _findings(policy: Policy) -> Iterator[tuple[str, ...]]:
    """What the change brings, what it mends, and what was there before."""
    for since, some in (("", policy.introduced), ("mended", policy.mended), ("", policy.standing)):
        for one in some:
            said = (one.policy, one.resource, one.message, one.mend, one.waived or "")
            yield since or words.since(one), words.weight(one), *said


def _rehearsal(told: Rehearsal) -> Iterator[str]:
    yield f"<h3>Rehearsal</h3><p>{html.escape(words.rehearsal(told).capitalize())}.</p>"
    bad = [*((error, "") for error in (*told.base_errors, *told.errors)), *((s.name, words.stuck(s)) for s in told.stuck)]
    if bad:
        yield "<ul>"
        yield from (f"<li class=danger><b>{html.escape(name)}</b> {html.escape(why)}</li>" for name, why in bad)
        yield "</ul>"
    if rows := [(one.what, one.name, words.disruption(one)) for one in told.disruptions]:
        yield _table("Disrupted", ("What", "Name", "How"), rows)
    yield from _changes("Made anew or deleted in the rehearsal", told.destructive)
    if rest := [(words.done(one), one.name) for one in told.changes if not one.destructive]:
        yield _table("Other resources of the rehearsal", ("What", "Name"), rest)


def _changes(title: str, found: Sequence[Change]) -> Iterator[str]:
    if not found:
        return
    yield f"<h3>{title}</h3><ul class=changes>"
    for change in found:
        danger = " class=danger" if change.destructive else ""
        why = f" ({html.escape(change.why)})" if change.why else ""
        yield f"<li{danger}><b>{html.escape(words.done(change))}</b> <code>{html.escape(change.name)}</code>{why}"
        if change.fields:
            yield _list(words.field(field) for field in change.fields)
        yield "</li>"
    yield "</ul>"


def _bars(title: str, stack: StackReport, what: str) -> Iterator[str]:
    """Floor, expected and ceiling as bars, before and after, to one scale."""
    sides = [(name, getattr(side, what)) for name, side in (("before", stack.before), ("after", stack.after)) if side]
    most = max((words.case(band, name) or Decimal(0) for _, band in sides for name in words.CASES), default=Decimal(0))
    show = words.usd if what == "usd" else words.kg
    yield f"<figure><figcaption>{title}</figcaption><dl>"
    for name in words.CASES:
        for side, band in sides:
            value = words.case(band, name) or Decimal(0)
            width = f"{value * _WIDTH / most:.1f}" if most else "0"
            label = f"{name}, {side}" if stack.compared else name
            yield f'<dt>{label}</dt><dd><i class={side} style="width:{width}%"></i><span>{show(value)}</span></dd>'
    yield "</dl></figure>"


def _lines(estimate: Estimate) -> Iterator[str]:
    def cells(band: Band | None, what: str) -> list[Decimal | str | None]:
        return [words.case(band, name) for name in words.CASES] if band else ["", "", ""] if what == "kg" else [None] * 3

    rows = [
        (line.name, line.what, line.region, words.nodes(line), *cells(line.usd, "usd"), *cells(line.kg, "kg"))
        for line in estimate.lines
    ]
    figures = [f"{unit} {name}" for unit in ("USD", "kg") for name in words.CASES]
    yield _table(f"By line: {words.known(estimate)}", ("Line", "What", "Region", "Nodes", *figures), rows)
    if unknown := [f"{line.name}: {why}" for line in estimate.lines for why in line.unknown]:
        yield _list(unknown)


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    heads = "".join(f"<th scope=col aria-sort=none><button type=button>{html.escape(h)}</button></th>" for h in head)
    body = "".join(f"<tr>{''.join(_cell(value) for value in row)}</tr>" for row in rows)
    label = f"Filter: {caption.split(':', maxsplit=1)[0]}"
    return (
        f'<div class=scroll tabindex=0 role=region aria-label="{html.escape(caption)}">'
        f'<input type=search placeholder="Filter" aria-label="{html.escape(label)}">'
        f"<table><caption>{html.escape(caption)}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(value: object) -> str:
    if value is None:
        return '<td class=number data-value="-1">not known</td>'
    if isinstance(value, int | Decimal):
        shown = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
        return f"<td class=number data-value={json.dumps(str(value))}>{shown}</td>"
    return f"<td>{html.escape(str(value))}</td>"


def _list(lines: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{html.escape(line)}</li>' for line in lines)}</ul>"
