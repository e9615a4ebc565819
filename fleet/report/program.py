"""The report of a program that some file tells of: its resources priced, what happens to them, quotas, policies."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fleet.collector import rests
from fleet.inventory.resource import Index, Program, Step
from fleet.inventory.thing import Thing
from fleet.inventory.things import things
from fleet.printed import one_line
from fleet.quota import QuotaNeed, summed
from fleet.quota_wanted import of_machines
from fleet.report.build import quota_changes
from fleet.report.model import (
    SCHEMA_VERSION,
    Change,
    Estimate,
    FieldChange,
    Finding,
    Policy,
    Report,
    StackReport,
    difference,
)
from fleet.report.policy import PACK, graph, judged, name_of, said
from fleet.report.priced import NOT_COUNTED, lines, row_of
from fleet.spec import StackSpec

if TYPE_CHECKING:
    from fleet.report.build import Limits

# With these their data, or what runs on them, is gone.
_LOST = {
    "s3/bucket:Bucket": "its objects go with it",
    "storage/bucket:Bucket": "its objects go with it",
    "storage:StorageAccount": "what it stores goes with it",
    "ebs/volume:Volume": "its data goes with it",
    "compute/disk:Disk": "its data goes with it",
    "compute:Disk": "its data goes with it",
    "kms/key:Key": "what it encrypts cannot be read any more",
}


@rests()
def report(program: Program, shown: str | None, limits: Limits, spec: StackSpec | None = None) -> Report:
    """The report.

    Args:
        shown: how what it is compared with is called; None where it is compared with nothing.
        spec: the stack file by which policies judge; None for their defaults.
    """
    after = tuple(things(Index(program.after)))
    before = tuple(things(Index(program.before))) if program.before is not None else ()
    # Who has resources of none of these types has a report all the same: it says that nothing is paid for.
    new = Estimate.of(lines(after)) if program.after or program.before is None else None
    old = Estimate.of(lines(before)) if program.before else None
    stack = StackReport(
        stack=program.name,
        compared=program.before is not None,
        before=old,
        after=new,
        usd_change=difference(new.usd if new else None, old.usd if old else None),
        kg_change=difference(new.kg if new else None, old.kg if old else None),
        changes=tuple(sorted(map(change_of, program.steps), key=lambda change: not change.destructive)),
        quotas=quota_changes(_needs(before), _needs(after), limits),
        policy=_policy(program, spec),
        graph=graph(program.rows),
    )
    return Report(SCHEMA_VERSION, shown if stack.compared else None, (stack,), NOT_COUNTED, program.told_from)


def change_of(step: Step) -> Change:
    """What happens to a resource, with what it takes along."""
    resource = step.resource
    lost = next((why for type_, why in _LOST.items() if resource.type.endswith(type_)), "")
    why = lost if step.op in ("replace", "delete") else ""
    fields = tuple(FieldChange(one_line(path), old and one_line(old), new and one_line(new)) for path, old, new in step.fields)
    return Change(step.op, resource.type, resource.name, fields, why)


def _needs(found: Iterable[Thing]) -> list[QuotaNeed]:
    return summed(
        (thing.resource.name, one)
        for thing in found
        if thing.region and thing.count and (row := row_of(thing)) and row.accelerator
        for one in of_machines(row, thing.region, thing.purchase, thing.count[2])
    )


def _policy(program: Program, spec: StackSpec | None) -> Policy:
    """What was said when the program ran, and of our own pack what it says now where it was not asked then."""
    told = tuple(
        Finding(one_line(one.policy), one_line(one.level), one_line(name_of(one.urn)), one_line(one.message))
        for one in program.violations or ()
    )
    if not program.rows:
        return Policy(program.violations is not None, told)
    own = judged(program.rows, spec)
    base = judged(program.rows_before, spec) if program.rows_before is not None else None
    return said(own, base, told if PACK in program.packs else (*told, *own.findings))
