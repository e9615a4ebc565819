"""The report as SARIF 2.1.0, for code scanning: faults, destruction, quotas, policies and what a rehearsal failed by.

Each at its place in the stack file. Of a program that `fleet` did not write no file is known, so its results point at
Pulumi.yaml. Of a change each result says whether it is new or as before, and what is mended is there as absent, which
passes. https://docs.oasis-open.org/sarif/sarif/v2.1.0/
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from fleet.load import StackError
from fleet.positions import Document, YamlError, parse
from fleet.report import words
from fleet.report.model import Change, Estimate, Finding, Rehearsal, Report, StackReport

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_RULES = {
    "stack-file": ("error", "A stack file is wrong"),
    "destructive-change": ("warning", "Something is made anew or deleted"),
    "quota-too-small": ("error", "A quota does not hold what the change needs"),
    "rehearsal-failed": ("error", "The change does not come up in the sandbox"),
    "price-unknown": ("note", "Something is paid for, and the catalogue has no price of it"),
}
_FIELDS = {"pool": "pools", "store": "stores", "model": "models", "team": "teams"}


def sarif(report: Report | None, faults: Sequence[StackError] = (), stacks: Path | None = None) -> str:
    """The log.

    Args:
        report: None where faults kept it from being made.
        stacks: directory of the stack files that were read; None for a program's report.
    """
    results = [*map(_fault, faults)]
    for stack in report.stacks if report else ():
        results += _stack(stack, stacks)
    rules = [*map(_own_rule, _RULES), *_policy_rules(report)]
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    for result in results:
        result["ruleIndex"] = index[result["ruleId"]]
    driver = {"name": "fleet", "rules": rules}
    document = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        # A log is of one kind of run: what has gone from it is closed.
        "runs": [{"tool": {"driver": driver}, "automationDetails": {"id": "fleet-report/"}, "results": results}],
    }
    return json.dumps(document, indent=2) + "\n"


def _own_rule(name: str) -> dict[str, Any]:
    level, text = _RULES[name]
    return {"id": name, "shortDescription": {"text": text}, "defaultConfiguration": {"level": level}}


def _policy_rules(report: Report | None) -> list[dict[str, Any]]:
    """A rule for each policy that something is found by, so that one of them can be dismissed without the others."""
    first: dict[str, Finding] = {}
    for stack in report.stacks if report else ():
        for finding in (*stack.policy.findings, *stack.policy.mended):
            first.setdefault(_id(finding), finding)
    return [
        {
            "id": name,
            "shortDescription": {"text": f"The policy {finding.policy} is violated"},
            **({"help": {"text": f"Mend: {finding.mend}."}} if finding.mend else {}),
            **({"properties": {"tags": ["policy", finding.severity]}} if finding.severity else {}),
        }
        for name, finding in first.items()
    ]


def _id(finding: Finding) -> str:
    return f"policy/{finding.policy}"


def _policy(finding: Finding, file: str) -> dict[str, Any]:
    level = "error" if finding.mandatory else "note" if finding.severity == "low" else "warning"
    made = _result(_id(finding), f"{finding.resource}: {words.finding(finding)}", file, level=level)
    if finding.waived:
        # The waiver stands in the stack file, which is reviewed: that is its approval.
        made["suppressions"] = [{"kind": "external", "status": "accepted", "justification": finding.waived}]
    return made


def _fault(fault: StackError) -> dict[str, Any]:
    text = fault.message + (f"; mend: {fault.remedy}" if fault.remedy else "")
    return _result("stack-file", text, fault.file, fault.line, fault.column)


def _stack(stack: StackReport, stacks: Path | None) -> Iterator[dict[str, Any]]:
    file, document = "Pulumi.yaml", None
    if stacks is not None:
        file, document = f"stacks/{stack.stack}.yaml", _document(stacks / f"{stack.stack}.yaml")
    for change in stack.changes:
        if change.destructive:
            why = f" ({change.why})" if change.why else ""
            made = _result("destructive-change", f"{words.done(change)} {change.name}{why}", file, *_place(document, change))
            yield _since(made, stack, "new")
    for quota in stack.quotas:
        if quota.verdict == "short" or quota.mended:
            text = f"{quota.quota} in {quota.region}: needs {quota.after} {quota.unit}, {words.quota(quota)}; ask: {quota.ask}"
            state = "absent" if quota.mended else "new" if quota.worse else "unchanged"
            yield _since(_result("quota-too-small", text, file), stack, state)
    for finding in stack.policy.findings:
        yield _since(_policy(finding, file), stack, "unchanged" if finding.before else "new")
    for finding in stack.policy.mended:
        yield _since(_policy(finding, file), stack, "absent")
    if stack.rehearsal:
        for made in _rehearsal(stack.rehearsal, file, document):
            yield _since(made, stack, "new")
    before = set(_unpriced(stack.before))
    for text in _unpriced(stack.after):
        yield _since(_result("price-unknown", text, file), stack, "unchanged" if text in before else "new")


def _unpriced(estimate: Estimate | None) -> list[str]:
    lines = estimate.lines if estimate else ()
    return [f"{line.name}: {'; '.join(line.unknown)}" for line in lines if line.kind != "by-use" and not line.usd.known]


def _since(result: dict[str, Any], stack: StackReport, state: str) -> dict[str, Any]:
    """The result as it is beside the base's; all of a run have such a state, or none."""
    if not stack.compared:
        return result
    gone = {"kind": "pass", "level": "none"} if state == "absent" else {}
    return {**result, **gone, "baselineState": state}


def _rehearsal(told: Rehearsal, file: str, document: Document | None) -> Iterator[dict[str, Any]]:
    for error in (*(f"the base: {error}" for error in told.base_errors), *told.errors):
        yield _result("rehearsal-failed", error, file)
    for stuck in told.failures:
        pool = Change("update", "pool", stuck.pool) if stuck.pool else Change("update", "cluster", stuck.name.partition("/")[0])
        yield _result("rehearsal-failed", f"{stuck.name}: {words.stuck(stuck)}", file, *_place(document, pool))


def _result(rule: str, text: str, file: str, line: int = 1, column: int = 1, level: str | None = None) -> dict[str, Any]:
    place = {"artifactLocation": {"uri": file}, "region": {"startLine": line, "startColumn": column}}
    return {
        "ruleId": rule,
        "level": level or _RULES[rule][0],
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }


def _document(file: Path) -> Document | None:
    try:
        return parse(file.read_text(encoding="utf-8"))
    except (OSError, YamlError):
        # Its file is gone: so is the place.
        return None


def _place(document: Document | None, change: Change) -> tuple[int, int]:
    """Where a thing is in the file; of one that is gone, where it was: in its cluster."""
    if document is None or change.what == "stack":
        return 1, 1
    cluster, _, rest = change.name.partition("/")
    whole: tuple[str, ...] = ("clusters", cluster)
    if rest:
        whole += (_FIELDS[change.what], rest)
    return document.place(whole, key=True)
