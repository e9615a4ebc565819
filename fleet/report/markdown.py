"""The report as markdown for a pull request: nothing where nothing changes, what destroys before everything folded.

Words from a stack file stand in code spans and can end neither those nor a table's cell. The length is the comment's
business (`fleet.comment.body`), which folds what stands behind the first <details>.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from fleet.printed import one_line
from fleet.report import words
from fleet.report.model import Change, Estimate, Finding, Rehearsal, Report, StackReport

_LONGEST = 64


def markdown(report: Report, everything: bool = False) -> str:
    """Sections of the stacks that change, or of all where nothing was compared; empty if there are none.

    Args:
        everything: findings that were there before, too, which are else counted, and stacks that do not change.
    """
    told = [stack for stack in report.stacks if everything or not stack.quiet]
    if not told:
        return ""
    made: list[str] = []
    for stack in told:
        title = [f"### {code(stack.stack)}", ""] if len(report.stacks) > 1 else []
        made += [*title, *_stack(stack, everything)]
    quiet = [code(stack.stack) for stack in report.stacks if stack.quiet and not everything]
    if quiet:
        made += [f"Unchanged: {', '.join(quiet)}.", ""]
    against = f"Against {code(report.base)}. " if report.base else ""
    made.append(f"<sub>{against}Told from {report.told_from}. {words.method(report)}</sub>")
    return "\n".join(made) + "\n"


def _stack(stack: StackReport, everything: bool) -> Iterator[str]:
    yield f"**{words.headline(stack)}**"
    yield ""
    faults = [*stack.base_faults[:10], *filter(None, (stack.policy.not_compared,))]
    yield from _alert("WARNING", [code(fault, 300) for fault in faults])
    danger = [change for change in stack.changes if change.destructive]
    yield from _alert("CAUTION", [_change(change) for change in danger])
    short = [
        f"Quota {code(q.quota or '-')} in {q.region}: {words.quota(q)}, needs {q.after} {q.unit}. [Ask]({q.ask})"
        for q in stack.quotas
        if q.worse
    ]
    yield from _alert("WARNING", short)
    hard = [finding for finding in stack.policy.introduced if finding.mandatory]
    yield from _alert("CAUTION", [_finding(finding) for finding in hard])
    if stack.rehearsal:
        yield from _rehearsal(stack.rehearsal)
    yield from _totals(stack)
    rest = [change for change in stack.changes if not change.destructive]
    if rest:
        yield from _folded(f"Other changes ({len(rest)})", [f"- {_change(change)}" for change in rest])
    if stack.after:
        yield from _folded(f"Cost and carbon by line: {words.known(stack.after)}", list(_lines(stack.after)))
    if stack.quotas:
        yield from _folded(f"Quotas ({len(stack.quotas)})", list(_quotas(stack)))
    if stack.readiness:
        rows = [(code(one.pool), words.ready(one), words.reasons(one)) for one in stack.readiness]
        bad, unknown = (sum(one.ready is verdict for one in stack.readiness) for verdict in (False, None))
        title = f"Pools: {len(rows)}, {bad} not ready, {unknown} unknown"
        yield from _folded(title, list(_table(("pool", "", "why"), rows)))
    listed = [*stack.policy.introduced[len(hard) :], *(stack.policy.standing if everything else ())]
    lines = [f"- {_finding(finding)}" for finding in listed]
    lines += [f"- **mended** {code(one.resource)}: {code(words.mended(one), 400)}" for one in stack.policy.mended]
    if lines:
        yield from _folded(words.policy(stack).capitalize(), lines)
    else:
        yield f"{words.policy(stack).capitalize()}."
        yield ""


def _rehearsal(told: Rehearsal) -> Iterator[str]:
    """What failed, and what was made anew, before all that is folded."""
    yield f"{words.rehearsal(told).capitalize()}."
    yield ""
    bad = [code(error, 400) for error in (*told.base_errors, *told.errors)]
    bad += [f"{code(one.name)} {code(words.stuck(one), 400)}" for one in told.failures]
    bad += [_change(change) for change in told.destructive]
    yield from _alert("CAUTION", bad)
    mild = [f"{one.what.capitalize()} {code(one.name)}: {words.disruption(one)}" for one in told.disruptions]
    mild += [f"{code(one.name)} {code(words.stuck(one), 400)}" for one in told.stuck if one.before]
    yield from _alert("WARNING", mild)
    rest = [change for change in told.changes if not change.destructive]
    if rest:
        yield from _folded(f"Rehearsed: other resources ({len(rest)})", [f"- {_change(change)}" for change in rest])


def _alert(kind: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield f"> [!{kind}]"
        yield from (f"> {line}" + ("  " if number < len(lines) else "") for number, line in enumerate(lines, 1))
        yield ""


def _finding(finding: Finding) -> str:
    said = f"{finding.policy}: {words.finding(finding)}"
    return f"**{words.weight(finding)}** {code(finding.resource)}: {code(said, 400)}"


def _change(change: Change) -> str:
    fields = "; ".join(
        f"{code(f.field)} {code(f.before) if f.before else 'none'} → {code(f.after) if f.after else 'none'}"
        for f in change.fields
    )
    said = f"**{words.done(change)}** {code(change.name)}"
    return f"{said}{': ' if fields else ''}{fields}" + (f" ({change.why})" if change.why else "")


def _totals(stack: StackReport) -> Iterator[str]:
    new, old = stack.after, stack.before
    head = ("a month", *(("before",) if stack.compared else ()), "after", *(("change",) if stack.compared else ()))
    rows = []
    for what, show in (("usd", words.usd), ("kg", words.kg)):
        for name in words.CASES:
            was, now = (show(words.case(getattr(side, what), name)) if side else "none" for side in (old, new))
            change = words.signed(show(words.case(getattr(stack, f"{what}_change"), name)))
            label = f"{name}, {'USD' if what == 'usd' else 'kgCO2e'}"
            rows.append((label, was, now, change) if stack.compared else (label, now))
    yield from _table(head, rows)
    yield ""


def _lines(estimate: Estimate) -> Iterator[str]:
    head = ("", "what", "nodes", "USD", "kgCO2e", "")
    rows = [
        (
            code(line.name),
            f"{code(line.what)} {_plain(line.region)}",
            words.nodes(line),
            _three(words.usd, line.usd),
            _three(words.kg, line.kg) if line.kg else "",
            _plain("; ".join(line.unknown)),
        )
        for line in estimate.lines
    ]
    yield "Three figures are floor · expected · ceiling."
    yield ""
    yield from _table(head, rows)


def _three(show: object, band: object) -> str:
    figures = [show(words.case(band, name)) for name in words.CASES]  # type: ignore[operator, arg-type]
    return figures[0] if len(set(figures)) == 1 else " · ".join(figures)


def _quotas(stack: StackReport) -> Iterator[str]:
    head = ("quota", "region", *(("before",) if stack.compared else ()), "needs", "limit")
    rows = [
        (
            f"[{code(q.quota)}]({q.ask})" if q.quota else f"[not in the catalogue]({q.ask})",
            f"{q.cloud} {q.region}",
            *((str(q.before),) if stack.compared else ()),
            f"{q.after} {q.unit}",
            words.quota(q),
        )
        for q in stack.quotas
    ]
    yield from _table(head, rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join('---' for _ in head)}|"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def _folded(title: str, lines: list[str]) -> Iterator[str]:
    yield f"<details><summary>{title}</summary>"
    yield ""
    yield from lines
    yield ""
    yield "</details>"
    yield ""


def _plain(text: str) -> str:
    """Text that a program may have put words into, with nothing that begins a tag, a link, an emphasis or another cell."""
    return re.sub(r"([\\`*\[\]<>|!#~])", r"\\\1", one_line(text))


def code(text: str, longest: int = _LONGEST) -> str:
    """Text of a stack file as a code span: one line, its middle left out where it is long, a fence it does not hold."""
    line = one_line(re.sub(r"\s+", " ", text).strip()) or " "
    if len(line) > longest:
        half = (longest - 1) // 2
        line = f"{line[:half]}…{line[-half:]}"
    # GitHub's tables split at a pipe in a code span, too, unless a backslash stands before it.
    line = line.replace("|", "\\|")
    fence = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"
