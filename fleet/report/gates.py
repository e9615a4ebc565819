"""What a report is refused for, where somebody asked for it: `--fail-on` and `--max-increase`."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet.report.model import Report


class Gate(StrEnum):
    DESTRUCTIVE = "destructive"
    QUOTA = "quota"
    POLICY = "policy"
    REHEARSAL = "rehearsal"


def refusals(made: Report, max_increase: float | None, gates: list[Gate], all_: bool) -> list[str]:
    """Why the command fails, a sentence each. `all_`: also what was there before the change."""
    said = []
    unread = [stack.stack for stack in made.stacks if stack.base_faults]
    if unread and (max_increase is not None or Gate.DESTRUCTIVE in gates):
        said.append(f"the base of {', '.join(unread)} cannot be read, so that nobody can say what changes")
    if max_increase is not None and made.increase > Decimal(str(max_increase)):
        said.append(f"the expected cost rises by ${made.increase:,.2f} a month, more than --max-increase {max_increase:,.2f}")
    if Gate.DESTRUCTIVE in gates and made.destructive:
        said.append(f"{made.destructive} made anew or deleted (--fail-on destructive)")
    if Gate.DESTRUCTIVE in gates and (rehearsed := sum(len(s.rehearsal.destructive) for s in made.stacks if s.rehearsal)):
        said.append(f"{rehearsed} resources made anew or deleted in the rehearsal (--fail-on destructive)")
    short = [
        f"{q.quota} in {q.region} by {q.short_by}"
        for stack in made.stacks
        for q in stack.quotas
        if q.worse or (all_ and q.verdict == "short")
    ]
    if Gate.QUOTA in gates and short:
        said.append(f"quota too small: {', '.join(short)} (--fail-on quota)")
    broken = [
        f"{one.policy} by {one.resource}"
        for stack in made.stacks
        for one in stack.policy.findings
        if one.mandatory and (all_ or not one.before)
    ]
    if Gate.POLICY in gates and broken:
        said.append(f"mandatory policies violated: {', '.join(broken)} (--fail-on policy)")
    failed = [stack.stack for stack in made.stacks if stack.rehearsal and not stack.rehearsal.ok]
    if Gate.REHEARSAL in gates and failed:
        said.append(f"the rehearsal of {', '.join(failed)} failed (--fail-on rehearsal)")
    return said
