"""Facts about `policies:`: rules that there are, accelerators that there are, and waivers that end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from fleet.catalog.accelerators import ACCELERATORS
from fleet.checks.finding import Finding, Path, listed, nearest
from fleet.spec_policies import PoliciesSpec

# A waiver is for a while: who needs it longer looks at it once a year.
_LONGEST = timedelta(days=366)


def check(told: PoliciesSpec) -> Iterator[Finding]:
    """Faults of what a stack says about policies."""
    for name in told.limits.accelerators:
        if name not in ACCELERATORS:
            where: Path = ("policies", "limits", "accelerators", name)
            remedy = nearest(name, ACCELERATORS, "use a name of docs/accelerators.md")
            yield Finding(where, f"'{name}' is no accelerator", allowed=listed(ACCELERATORS), remedy=remedy, at_key=True)
    if told.enforce or told.waivers or told.remediate:
        yield from _rules(told)
    latest = datetime.now(UTC).date() + _LONGEST
    for i, waiver in enumerate(told.waivers):
        if waiver.expires > latest:
            where = ("policies", "waivers", i, "expires")
            message = "is too far away for a waiver"
            yield Finding(where, message, str(waiver.expires), f"up to {latest}", "choose a day within the year")


def _rules(told: PoliciesSpec) -> Iterator[Finding]:
    from policies.accel_policies.judge import RULES  # noqa: PLC0415 - most stack files say nothing about rules
    from policies.accel_policies.remedies import REMEDIES  # noqa: PLC0415
    from policies.accel_policies.rule import Severity  # noqa: PLC0415

    known = [*Severity, *RULES]
    for key in told.enforce:
        if key not in known:
            remedy = nearest(key, known, "use an id that `fleet policies` lists")
            where: Path = ("policies", "enforce", key)
            yield Finding(
                where, f"'{key}' is neither a rule nor a severity", allowed="an id or a severity", remedy=remedy, at_key=True
            )
    for i, rule in enumerate(told.remediate):
        if rule not in REMEDIES:
            remedy = nearest(rule, REMEDIES, "take one that is allowed, or set the field yourself")
            yield Finding(("policies", "remediate", i), "has no remedy", repr(rule), listed(REMEDIES), remedy)
    for i, waiver in enumerate(told.waivers):
        if waiver.rule not in RULES:
            remedy = nearest(waiver.rule, RULES, "use an id that `fleet policies` lists")
            yield Finding(
                ("policies", "waivers", i, "rule"), "no such rule", repr(waiver.rule), "an id of `fleet policies`", remedy
            )
