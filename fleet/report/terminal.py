"""The report on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from fleet.printed import one_line
from fleet.report import words
from fleet.report.model import Band, Report, StackReport

_STYLE = {"create": "green", "update": "", "replace": "bold red", "delete": "bold red"}


def terminal(report: Report) -> Iterator[RenderableType]:
    """What to print, one after the other."""
    for stack in report.stacks:
        if stack.quiet:
            yield _text(f"{stack.stack}: nothing changes")
            continue
        yield _text(f"{stack.stack}: {words.headline(stack)}", style="bold")
        yield from (_text(f"  {fault}", style="yellow") for fault in stack.base_faults)
        for change in stack.changes:
            yield _text(
                f"  {words.done(change)} {change.name}" + (f" ({change.why})" if change.why else ""), _STYLE[change.kind]
            )
            yield from (_text(f"      {words.field(field)}") for field in change.fields)
        if stack.after:
            yield _lines(stack)
        for quota in stack.quotas:
            was = f"{quota.before} → " if stack.compared and quota.before != quota.after else ""
            name = quota.quota or "a quota the catalogue does not know"
            said = f"  quota {name} in {quota.region}: {was}{quota.after} {quota.unit}, {words.quota(quota)}"
            yield _text(said, "bold red" if quota.verdict == "short" else "")
        for one in stack.readiness:
            style = {True: "", False: "bold red", None: "yellow"}[one.ready]
            yield _text(f"  {one.pool} {words.ready(one)}: {words.reasons(one)}", style)
        yield _text(f"  {words.policy(stack)}")
        for finding in stack.policy.findings:
            style = "bold red" if finding.mandatory else "dim" if finding.waived else "yellow"
            said = f"{words.weight(finding)}: {finding.policy}: {finding.resource}: {words.finding(finding)}"
            yield _text(f"      {said}", style)
    yield _text(words.method(report), style="dim")


def _text(said: str, style: str = "") -> Text:
    """Names and messages may be a stranger's."""
    return Text(one_line(said), style)


def _lines(stack: StackReport) -> Table:
    estimate = stack.after
    assert estimate is not None, "its caller looked"
    table = Table(caption=words.known(estimate), caption_justify="left")
    table.add_column("", overflow="fold")
    table.add_column("what", overflow="fold")
    for head in ("nodes", *(f"USD {name}" for name in words.CASES), "kgCO2e"):
        table.add_column(head, justify="right")
    for line in estimate.lines:
        kg = words.kg(line.kg.expected) if line.kg else ""
        what = Text("\n").join(map(_text, filter(None, (line.what, "; ".join(line.unknown)))))
        table.add_row(_text(line.name), what, words.nodes(line), *_usd(line.usd), kg)
    table.add_section()
    table.add_row("all that is known", "", "", *_usd(estimate.usd), words.kg(estimate.kg.expected), style="bold")
    return table


def _usd(band: Band) -> tuple[str, ...]:
    return tuple(words.usd(words.case(band, name)) for name in words.CASES)
