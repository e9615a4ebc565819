"""Figures and changes in words, the same in every renderer."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

from fleet.report.model import (
    Band,
    Change,
    Disruption,
    Estimate,
    FieldChange,
    Finding,
    Line,
    QuotaChange,
    Readiness,
    Rehearsal,
    Report,
    StackReport,
    Stuck,
)

CASES = ("floor", "expected", "ceiling")
_CASES_OF_STACKS = (
    "Floor: nodes that always stand. Expected: nodes that the models' fewest replicas fill. Ceiling: every pool at its "
    "bound, bought in its dearest way."
)
_CASES_OF_PROGRAMS = "Floor, expected, ceiling: groups at their least, their declared and their largest size."
_METHOD = "List prices, 730 h a month. Carbon: TDP x 0.6 x PUE x the grid's yearly mean, accelerators alone."
_REHEARSED = "Rehearsed in the sandbox, where nodes and pods come in a second: seconds there are more in a cloud."
_REHEARSED_AS = {"replace": "made anew", "delete": "deleted", "update": "changed", "create": "new"}
_DONE = {"create": "New", "update": "Changed", "replace": "Made anew", "delete": "Deleted"}


def usd(value: Decimal | None) -> str:
    """`$1,234.50`, `-$3.00`."""
    if value is None:
        return "not known"
    return f"{'-' if value < 0 else ''}${abs(value):,.2f}"


def kg(value: Decimal | None) -> str:
    return "not known" if value is None else f"{value:,.1f}"


def signed(text: str) -> str:
    """A difference with its sign; nothing has none."""
    return text if text.startswith("-") or not any(c in "123456789" for c in text) else f"+{text}"


def case(band: Band, name: str) -> Decimal | None:
    value: Decimal | None = getattr(band, name)
    return value


def headline(stack: StackReport) -> str:
    """What a reader must see if nothing else: destruction, money, carbon, accelerators."""
    if stack.base_faults:
        return "the base cannot be read, so nothing is known of what changes"
    parts = []
    if count := sum(change.destructive for change in stack.changes):
        parts.append(f"⚠️ {count} made anew or deleted")
    now = stack.after
    if stack.compared:
        parts.append(f"{signed(usd(stack.usd_change.expected))} a month expected")
        parts.append(f"{signed(kg(stack.kg_change.expected))} kgCO2e")
        parts += accelerators(stack)
    elif now:
        parts.append(f"{usd(now.usd.expected)} a month expected ({usd(now.usd.floor)} to {usd(now.usd.ceiling)})")
        parts.append(f"{kg(now.kg.expected)} kgCO2e")
        parts += [f"{name} {least} to {most}" for name, (least, _, most) in now.accelerators.items()]
    if short := sum(quota.worse for quota in stack.quotas):
        parts.append(f"⚠️ {short} quota{'s' if short > 1 else ''} too small")
    if hard := sum(finding.mandatory for finding in stack.policy.introduced):
        parts.append(f"⚠️ {hard} mandatory polic{'ies' if hard > 1 else 'y'} violated")
    if stack.rehearsal and not stack.rehearsal.ok:
        parts.append("⚠️ the rehearsal failed")
    return " · ".join(parts)


def accelerators(stack: StackReport) -> list[str]:
    """`nvidia-l4 at most 4 → 8`, for those that differ."""
    old = stack.before.accelerators if stack.before else {}
    new = stack.after.accelerators if stack.after else {}
    return [
        f"{name} at most {old.get(name, (0, 0, 0))[2]} → {new.get(name, (0, 0, 0))[2]}"
        for name in dict.fromkeys([*old, *new])
        if old.get(name, (0, 0, 0))[2] != new.get(name, (0, 0, 0))[2]
    ]


def known(estimate: Estimate) -> str:
    """How much of the sums is known, and of when."""
    when = f", prices of {estimate.as_of[0]} to {estimate.as_of[1]}" if estimate.as_of else ""
    more = f", {estimate.by_use} more paid by use" if estimate.by_use else ""
    return (
        f"priced {estimate.priced} of {estimate.priceable} lines{more}, "
        f"carbon of {estimate.counted} of {estimate.with_accelerators} pools{when}"
    )


def done(change: Change) -> str:
    return f"{_DONE[change.kind]}: {change.what}"


def field(change: FieldChange) -> str:
    return f"{change.field}: {change.before or 'none'} → {change.after or 'none'}"


def nodes(line: Line) -> str:
    return f"{line.nodes[0]} · {line.nodes[1]} · {line.nodes[2]}" if line.nodes else ""


def quota(one: QuotaChange) -> str:
    """What there is of it."""
    if one.limit is None:
        return "limit unknown"
    verdict = f"short by {one.short_by}" if one.verdict == "short" else "enough"
    if one.verdict == "short" and not one.worse:
        verdict += ", as before"
    if one.mended:
        verdict += ", short before"
    used = f", {one.used} in use" if one.used is not None else ""
    return f"{verdict}: {one.limit} on {one.limit_as_of}{used}"


def method(report: Report) -> str:
    """How the figures came about."""
    own = report.told_from == "the stack files"
    rehearsed = f" {_REHEARSED}" if any(stack.rehearsal for stack in report.stacks) else ""
    return f"{_CASES_OF_STACKS if own else _CASES_OF_PROGRAMS} {_METHOD} {not_counted(report)}{rehearsed}"


def ready(one: Readiness) -> str:
    """The verdict on a pool."""
    return {True: "ready", False: "not ready", None: "unknown"}[one.ready]


def reasons(one: Readiness) -> str:
    """What the verdict stands on."""
    left = f", {one.quota_left} left" if one.quota_left is not None else ""
    zones = f"zones {', '.join(one.zones)}" if one.zones else "no zone of its own"
    spot = f"spot ${one.spot}" if one.spot is not None else "spot price not known"
    dear = f"on-demand or reserved ${one.on_demand}" if one.on_demand is not None else "on-demand price not known"
    where = "" if one.offered else "; its region's price list has no such machine"
    rehearsed = f"; rehearsed: {one.rehearsed}{f': {one.waits}' if one.waits else ''}" if one.rehearsed else ""
    return f"quota {one.quota}{left}; {zones}{where}; {dear}, {spot} an hour; {one.why}{rehearsed}"


def rehearsal(one: Rehearsal) -> str:
    """What came of it, in a line."""
    if one.base_errors:
        return "rehearsal: the base does not come up in the sandbox, so the change was not run"
    count = Counter(_REHEARSED_AS[change.kind] for change in one.changes)
    parts = [f"{count[kind]} {kind}" for kind in _REHEARSED_AS.values() if count[kind]] or ["no resource changed"]
    parts += [f"{number} node{'s' if number > 1 else ''} of {pool} went" for pool, number in sorted(one.nodes_gone.items())]
    parts.append(f"{len(one.disruptions)} disrupted" if one.disruptions else "nothing was disrupted")
    if one.failures:
        parts.append(f"{len(one.failures)} not up")
    elif one.ok:
        parts.append("all is up")
    return f"rehearsal{'' if one.ok else ' failed'}: {', '.join(parts)}"


def stuck(one: Stuck) -> str:
    """What does not come up, and why."""
    pods = {0: "lacks pods", 1: "a pod does not come up"}.get(one.pods, f"{one.pods} pods do not come up")
    return f"{pods}: {one.reason}{' (nor did it before the change)' if one.before else ''}"


def disruption(one: Disruption) -> str:
    """How much was left, and for how long."""
    if one.what == "service":
        return f"no endpoint for {one.seconds:g} s{'' if one.back else ', and has none still'}"
    went = f", {one.went} of its pods went" if one.went else ""
    return f"{one.least} of {one.had} ready, fewer than before for {one.seconds:g} s{went}{'' if one.back else '; not back'}"


def policy(stack: StackReport) -> str:
    """What policies say, in a line."""
    said = stack.policy
    if not said.evaluated:
        return "policy: not evaluated"
    new = [one for one in said.introduced if one.waived is None]
    old = [one for one in said.standing if one.waived is None]
    parts = [_count(new, "new violation" if said.compared else "violation")] if new else []
    if said.mended:
        parts.append(f"{len(said.mended)} mended")
    if old:
        parts.append(f"{_count(old, 'violation')} as before")
    if not new and not old:
        parts.append("passed")
    if waived := len(said.findings) - len(new) - len(old):
        parts.append(f"{waived} waived")
    if said.unknown:
        parts.append(f"{said.unknown} not known before the apply")
    if said.not_compared:
        parts.append("not compared with the base")
    return f"policy: {', '.join(parts)}"


def _count(some: list[Finding], what: str) -> str:
    hard = sum(one.mandatory for one in some)
    return f"{len(some)} {what}{'s' if len(some) > 1 else ''}" + (f" ({hard} mandatory)" if hard else "")


def finding(one: Finding) -> str:
    """What is wrong, how to mend it, and why it is let pass where it is."""
    mend = f" Mend: {one.mend}." if one.mend else ""
    waived = f" Waived: {one.waived}." if one.waived else ""
    return f"{one.message}{mend}{waived}"


def mended(one: Finding) -> str:
    """What was wrong before the change."""
    return f"{one.policy}: {one.message}"


def since(one: Finding) -> str:
    """Whether the change brings it."""
    return {None: "", False: "new", True: "before"}[one.before]


def weight(one: Finding) -> str:
    """How heavy a finding is: its enforcement, and its severity where that is known."""
    return "waived" if one.waived else ", ".join(filter(None, (one.level or "advisory", one.severity)))


def not_counted(report: Report) -> str:
    return f"Not counted: {', '.join(report.not_counted)}."
