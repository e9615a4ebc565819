"""What a stack says about policies: environment, limits, what is enforced, what is waived and until when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from fleet.spec_policies import Enforcement, LimitsSpec, WaiverSpec
from policies.accel_policies.own_waivers import OWN
from policies.accel_policies.rule import Rule, Severity

if TYPE_CHECKING:
    from fleet.spec import StackSpec


def _default(severity: Severity, environment: str | None) -> Enforcement:
    """What nobody may do is refused, and in production what is risky, too; the rest is told."""
    refused = (Severity.CRITICAL, Severity.HIGH) if environment == "prod" else (Severity.CRITICAL,)
    return Enforcement.MANDATORY if severity in refused else Enforcement.ADVISORY


def _today() -> date:
    return datetime.now(UTC).date()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """For one stack. Without a stack file: the defaults, and an environment that nobody knows."""

    environment: str | None = None
    limits: LimitsSpec = field(default_factory=LimitsSpec)
    enforce: Mapping[str, Enforcement] = field(default_factory=dict)
    waivers: tuple[WaiverSpec, ...] = ()
    remediate: tuple[str, ...] = ()
    today: date = field(default_factory=_today)

    @classmethod
    def of(cls, spec: StackSpec) -> Settings:
        told = spec.policies
        return cls(
            environment=str(spec.environment),
            limits=told.limits,
            enforce=dict(told.enforce),
            waivers=tuple(told.waivers),
            remediate=tuple(told.remediate),
        )

    def enforcement(self, rule: Rule) -> Enforcement:
        """The rule's own word goes before its severity's."""
        return self.enforce.get(rule.id) or self.enforce.get(rule.severity) or _default(rule.severity, self.environment)

    def waiver(self, rule: str, resource: str, value: object = None) -> WaiverSpec | None:
        """The waiver that speaks of them, the stack's or the pack's own; of several the one that lasts longest."""
        own = [w.spec for w in OWN if w.found == value]
        found = [w for w in (*self.waivers, *own) if w.rule == rule and fnmatchcase(resource, w.resource)]
        return max(found, key=lambda w: w.expires, default=None)
