"""All rules over all resources: what is violated, what is waived, and what nobody can tell yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from fleet.spec_policies import Enforcement, WaiverSpec
from policies.accel_policies import accelerators, aws, aws_rights, azure, demands, gcp, kubernetes, pod_security, waivers
from policies.accel_policies.rule import Resource, Rule, Stack
from policies.accel_policies.settings import Settings
from policies.accel_policies.values import NotKnown

MODULES = (aws, aws_rights, gcp, azure, pod_security, kubernetes, accelerators, demands, waivers)
RULES: dict[str, Rule] = {id_: rule for module in MODULES for id_, rule in module.rules.made.items()}


@dataclass(frozen=True, kw_only=True)
class Violation:
    """One place where a rule is not kept.

    Attributes:
        waiver: why and until when it is let pass; None where it is not.
    """

    rule: Rule
    resource: Resource
    path: str
    message: str
    enforcement: Enforcement
    waiver: WaiverSpec | None = None

    @property
    def refuses(self) -> bool:
        return self.waiver is None and self.enforcement is Enforcement.MANDATORY

    def as_json(self) -> dict[str, Any]:
        return {
            "rule": self.rule.id,
            "severity": str(self.rule.severity),
            "enforcement": str(self.enforcement),
            "resource": self.resource.name,
            "urn": self.resource.urn,
            "path": self.path,
            "message": self.message,
            "waiver": self.waiver.model_dump(mode="json") if self.waiver else None,
        }


@dataclass(frozen=True)
class Judgement:
    """Violations, waived ones among them, and what could not be judged: (rule, resource, path that is unknown)."""

    violations: tuple[Violation, ...]
    unknown: tuple[tuple[str, str, str], ...]

    @property
    def unwaived(self) -> tuple[Violation, ...]:
        return tuple(v for v in self.violations if v.waiver is None)


def evaluate(resources: Iterable[Resource], settings: Settings | None = None) -> Judgement:
    """Judge a whole program; no engine and no SDK needed."""
    stack, settings = Stack(tuple(resources)), settings or Settings()
    found = [of_resource(one, settings) for one in stack.resources]
    found.append(of_stack(stack, settings))
    return Judgement(tuple(v for j in found for v in j.violations), tuple(u for j in found for u in j.unknown))


def of_resource(one: Resource, settings: Settings) -> Judgement:
    """What the rules say that look at one resource."""
    verdict = _Verdict(settings)
    for rule in _BY_TYPE.get(one.type, ()):
        verdict.ask(rule, one)
    return verdict.judgement()


def of_stack(stack: Stack, settings: Settings) -> Judgement:
    """What the rules say that need the whole of it."""
    verdict = _Verdict(settings)
    for rule in RULES.values():
        if rule.whole and rule.concerns(stack):
            verdict.ask(rule, stack)
    return verdict.judgement()


def _by_type() -> dict[str, list[Rule]]:
    found: dict[str, list[Rule]] = {}
    for rule in RULES.values():
        for type_ in () if rule.whole else rule.types:
            found.setdefault(type_, []).append(rule)
    return found


_BY_TYPE = _by_type()
# What a rule meets where a field holds something of another shape than the SDK's types allow.
_MISSHAPEN = (TypeError, ValueError, AttributeError, LookupError)


class _Verdict:
    """Collects what rules say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._violations: list[Violation] = []
        self._unknown: list[tuple[str, str, str]] = []

    def judgement(self) -> Judgement:
        return Judgement(tuple(self._violations), tuple(self._unknown))

    def ask(self, rule: Rule, of: Resource | Stack) -> None:
        """Ask a rule about each of its parts; what is unknown in one leaves the others judged."""
        enforcement = self._settings.enforcement(rule)
        if enforcement is Enforcement.DISABLED:
            return
        about = of.name if isinstance(of, Resource) else "stack"
        try:
            parts = [of] if isinstance(of, Stack) else list(rule.parts(of))
        except (NotKnown, *_MISSHAPEN) as why:
            self._unknown.append((rule.id, about, str(why)))
            return
        for part in parts:
            try:
                for found in rule.check(part, self._settings):
                    resource, path, value = found if isinstance(of, Stack) else (of, *found)
                    self._add(rule, resource, path, value, enforcement)
            except (NotKnown, *_MISSHAPEN) as why:
                self._unknown.append((rule.id, about, str(why)))

    def _add(self, rule: Rule, resource: Resource, path: str, value: Any, enforcement: Enforcement) -> None:
        message, waiver = rule.message(resource, path, value), self._settings.waiver(rule.id, resource.name, value)
        if waiver and waiver.expires < self._settings.today:
            message, waiver = f"{message} Its waiver ended on {waiver.expires}.", None
        self._violations.append(
            Violation(rule=rule, resource=resource, path=path, message=message, enforcement=enforcement, waiver=waiver)
        )
