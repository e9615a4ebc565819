"""What policies say of a program's registrations, and how these hang together: by the pack's own judge, with no engine.

Where they come from is no business of this module (`fleet.report.recorded`, `fleet.inventory`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fleet.printed import one_line
from fleet.report.model import Finding, Node, Policy
from fleet.spec import StackSpec

if TYPE_CHECKING:
    from policies.accel_policies.judge import Violation

PACK = "accelfleet"
Rows = Iterable[Mapping[str, Any]]
# How the engine's events write what a reader may not see, or nobody knows yet.
_HIDDEN = ("[secret]", "[unknown]")


@dataclass(frozen=True)
class Judged:
    """What our pack says of one side of a change.

    Attributes:
        undecided: (rule, resource) for each value that a rule met and only an apply can tell.
    """

    findings: tuple[Finding, ...] = ()
    undecided: tuple[tuple[str, str], ...] = ()


def judged(rows: Rows, spec: StackSpec | None) -> Judged:
    """What our pack says; by a stack file's limits, waivers and enforcement where there is one."""
    from policies.accel_policies.judge import evaluate  # noqa: PLC0415 - a report without a program needs no rules
    from policies.accel_policies.rule import Resource  # noqa: PLC0415
    from policies.accel_policies.settings import Settings  # noqa: PLC0415
    from policies.accel_policies.wire import plain  # noqa: PLC0415

    resources = (
        Resource(
            type=row["type"],
            name=name_of(row["urn"]),
            props=plain(_shown(row.get("inputs") or {})),
            urn=row["urn"],
            parent=row.get("parent") or "",
        )
        for row in rows
    )
    found = evaluate(resources, Settings.of(spec) if spec else Settings())
    return Judged(tuple(map(_finding, found.violations)), tuple((rule, resource) for rule, resource, _ in found.unknown))


def said(now: Judged, base: Judged | None, told: tuple[Finding, ...] | None = None) -> Policy:
    """The report's word on policies.

    Args:
        base: what is compared with; None to compare with nothing.
        told: what an engine's packs said of this side, in the place of what ours says now.
    """
    findings = now.findings if told is None else told
    if base is None:
        return Policy(True, findings, len(now.undecided))
    there = {_key(one) for one in (*findings, *now.findings)}
    undecided = set(now.undecided)
    mended = (
        one
        for one in base.findings
        if one.waived is None and _key(one) not in there and (one.policy, one.resource) not in undecided
    )
    since = _since(base)
    compared = tuple(replace(one, before=since(one)) for one in findings)
    return Policy(True, compared, len(now.undecided), compared=True, mended=tuple(mended))


def _since(base: Judged) -> Callable[[Finding], bool | None]:
    """Whether the base has a finding, too. One that refuses now and did not then is new: what it stops did go through."""
    refused = {_key(one): one.mandatory for one in base.findings}
    undecided = set(base.undecided)

    def before(one: Finding) -> bool | None:
        pack, rule = _pack(one)
        if pack not in ("", PACK):
            # Only what was said of the program as it would be is in the events.
            return None
        was = refused.get(_key(one))
        if was is None:
            return None if (rule, one.resource) in undecided else False
        # An engine's pack may know other settings than ours.
        return bool(pack) or was >= one.mandatory

    return before


def _pack(one: Finding) -> tuple[str, str]:
    pack, _, rule = one.policy.rpartition("/")
    return pack, rule


def _key(one: Finding) -> tuple[str, str, str]:
    """What makes two findings the same, whoever told them."""
    return _pack(one)[1], one.resource, one.message.removeprefix(f"{one.resource}: ").partition(" Mend: ")[0]


def _finding(one: Violation) -> Finding:
    # The sentence names resource and remedy, which a report shows apart.
    message = one_line(one.message.removeprefix(f"{one.resource.name}: ").replace(f" Mend: {one.rule.mend}.", ""))
    waived = f"{one.waiver.reason} (until {one.waiver.expires})" if one.waiver else None
    return Finding(one.rule.id, str(one.enforcement), one.resource.name, message, str(one.rule.severity), one.rule.mend, waived)


def _shown(value: Any) -> Any:
    """The engine's words for what it hides as the protocol's mark, which rules know for unknown."""
    if isinstance(value, list):
        return [_shown(one) for one in value]
    if isinstance(value, Mapping):
        return {key: _shown(one) for key, one in value.items()}
    return _NOT_YET if isinstance(value, str) and value in _HIDDEN else value


# The mark of a string that is known only after the apply (sdk/go/common/resource/plugin/rpc.go).
_NOT_YET = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def graph(rows: Rows) -> tuple[Node, ...]:
    """The resources with what they belong to and wait for; providers are settings, no part of it."""
    # Programs register what does not wait for each other in any order.
    kept = sorted((row for row in rows if not row["type"].startswith("pulumi:")), key=lambda row: str(row["urn"]))
    there = {row["urn"] for row in kept}
    return tuple(
        Node(
            row["urn"],
            row["type"],
            row["parent"] if row.get("parent") in there else "",
            tuple(sorted({urn for urn in row.get("dependencies") or () if urn in there})),
        )
        for row in kept
    )


def name_of(urn: str) -> str:
    """The last part of a URN."""
    return urn.rsplit("::", 1)[-1]
