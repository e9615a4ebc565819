"""The report on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from fleet.printed import one_line
from fleet.report import words
from fleet.report.model import Band, Rehearsal, Report, StackReport

_STYLE = {"create": "green", "update": "", "replace": "bold red", "delete": "bold red"}


def terminal(report: Report, everything: bool = False) -> Iterator[RenderableType]:
    """What to print, one after the other.

    Args:
        everything: findings that were there before, too, which are else counted.
    """
    for stack in report.stacks:
        if stack.quiet and not everything:
            yield _text(f"{stack.stack}: nothing changes" + (f"; {words.policy(stack)}" if stack.policy.findings else ""))
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
            yield _text(
                said, "bold red" if quota.worse else "yellow" if quota.verdict == "short" else "green" if quota.mended else ""
            )
        for one in stack.readiness:
            style = {True: "", False: "bold red", None: "yellow"}[one.ready]
            yield _text(f"  {one.pool} {words.ready(one)}: {words.reasons(one)}", style)
        if stack.rehearsal:
            yield from _rehearsal(stack.rehearsal)
        yield _text(f"  {words.policy(stack)}")
        if stack.policy.not_compared:
            yield _text(f"      {stack.policy.not_compared}", "yellow")
        listed = stack.policy.introduced + (stack.policy.standing if everything else ())
        for finding in listed:
            style = "bold red" if finding.mandatory else "dim" if finding.waived else "yellow"
            yield _text(f"      {words.weight(finding)}: {finding.policy}: {finding.resource}: {words.finding(finding)}", style)
        for finding in stack.policy.mended:
            yield _text(f"      mended: {finding.resource}: {words.mended(finding)}", "green")
    yield _text(words.method(report), style="dim")


def _text(said: str, style: str = "") -> Text:
    """Names and messages may be a stranger's."""
    return Text(one_line(said), style)


def _rehearsal(told: Rehearsal) -> Iterator[Text]:
    yield _text(f"  {words.rehearsal(told)}", "" if told.ok else "bold red")
    for error in (*told.base_errors, *told.errors):
        yield from (_text(f"      {line}", "bold red") for line in error.splitlines())
    yield from (_text(f"      {one.name}: {words.stuck(one)}", "yellow" if one.before else "bold red") for one in told.stuck)
    yield from (_text(f"      {one.what} {one.name}: {words.disruption(one)}", "yellow") for one in told.disruptions)
    # What is new is in the stack file already, and may be a hundred resources.
    shown = [change for change in told.changes if change.kind != "create"]
    yield from (_text(f"      {words.done(change)} {change.name}", _STYLE[change.kind]) for change in shown)


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
