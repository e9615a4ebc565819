"""From two sets of stack files to the report: estimates, changes and quotas put together. Prints nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from fleet.quota import QuotaNeed, needs
from fleet.report.base import base_spec
from fleet.report.changes import changes
from fleet.report.estimate import NOT_COUNTED, estimate
from fleet.report.model import SCHEMA_VERSION, Policy, QuotaChange, Rehearsal, Report, StackReport, difference
from fleet.report.policy import graph, judged, said
from fleet.report.readiness import readiness
from fleet.spec import StackSpec

if TYPE_CHECKING:
    from fleet.report.limits import Limit
    from fleet.report.recorded import Recorded

    Limits = Mapping[tuple[str, str, str], Limit]


def report(
    after: Mapping[str, StackSpec | None],
    base: Path | None,
    shown: str | None,
    limits: Limits,
    programs: Mapping[str, Recorded] | None = None,
    rehearsals: Mapping[str, Rehearsal] | None = None,
) -> Report:
    """The report of these stacks.

    Args:
        after: the stacks as they would be; None for one whose file is gone.
        base: directory with the stack files to compare with; None to compare with nothing.
        shown: how the base is called.
        programs: what the stacks' programs register, where they were run.
        rehearsals: what the changes did in the sandbox, where they were run there.
    """
    made = tuple(
        _stack(name, spec, base, limits, (programs or {}).get(name), (rehearsals or {}).get(name))
        for name, spec in after.items()
    )
    return Report(SCHEMA_VERSION, shown if base else None, made, NOT_COUNTED)


def _stack(
    name: str,
    after: StackSpec | None,
    base: Path | None,
    limits: Limits,
    program: Recorded | None,
    rehearsal: Rehearsal | None,
) -> StackReport:
    before, faults = base_spec(base, name) if base else (None, ())
    old = estimate(name, before) if before else None
    new = estimate(name, after) if after else None
    quotas = quota_changes(needs({name: before}) if before else [], needs({name: after}) if after else [], limits)
    return StackReport(
        stack=name,
        compared=base is not None,
        before=old,
        after=new,
        usd_change=difference(new.usd if new else None, old.usd if old else None),
        kg_change=difference(new.kg if new else None, old.kg if old else None),
        changes=changes(name, before, after) if base and not faults else (),
        quotas=quotas,
        base_faults=faults,
        policy=_policy(program, after, before),
        readiness=readiness(name, after, quotas, rehearsal),
        graph=graph(program.rows if program else ()),
        rehearsal=rehearsal,
    )


def _policy(program: Recorded | None, after: StackSpec | None, before: StackSpec | None) -> Policy:
    if program is None:
        return Policy()
    base = judged(program.base, before) if program.base is not None else None
    return replace(said(judged(program.rows, after), base), not_compared=program.fault)


def quota_changes(before: list[QuotaNeed], after: list[QuotaNeed], limits: Limits) -> tuple[QuotaChange, ...]:
    """What is needed of each quota before and after, against what somebody wrote down."""
    old, new = _by_key(before), _by_key(after)
    return tuple(
        _quota((new.get(key) or old[key]), old[key].amount if key in old else 0, new[key].amount if key in new else 0, limits)
        for key in [*new, *(key for key in old if key not in new)]
    )


def _by_key(found: list[QuotaNeed]) -> dict[tuple[str, str, str | None, str], QuotaNeed]:
    return {(need.cloud, need.region, need.quota, need.unit): need for need in found}


def _quota(need: QuotaNeed, before: int, after: int, limits: Limits) -> QuotaChange:
    row = limits.get((need.cloud, need.region, need.quota)) if need.quota else None
    verdict: Literal["ok", "short", "unknown"] = "unknown" if row is None else "short" if after > row.limit else "ok"
    return QuotaChange(
        cloud=str(need.cloud),
        region=need.region,
        quota=need.quota,
        unit=need.unit,
        before=before,
        after=after,
        limit=row.limit if row else None,
        limit_as_of=row.as_of.isoformat() if row else None,
        verdict=verdict,
        ask=need.ask,
        used=row.used if row else None,
    )
