"""A report of stacks, each with what it was and what it will be."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from fleet.report.model.changes import Change, Rehearsal
from fleet.report.model.money import Band, Estimate, total
from fleet.report.model.verdicts import Policy, QuotaChange, Readiness

_NOT_EVALUATED = Policy()


@dataclass(frozen=True)
class Node:
    """A resource in the program's graph.

    Attributes:
        parent: URN of the component that it belongs to, empty where there is none. needs: URNs of what it waits for.
    """

    urn: str
    type: str
    parent: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class StackReport:
    """One stack; without `before` there was none, without `after` there is none any more.

    Attributes:
        compared: whether a base was given at all.
        usd_change, kg_change: of what is known, after less before.
        base_faults: why the base could not be read; then `before` is missing, and nothing is known of the changes.
        graph: what the program registers; empty where only the stack file was read.
        rehearsal: what the change did in the sandbox; None where it was not run there.
    """

    stack: str
    compared: bool
    before: Estimate | None
    after: Estimate | None
    usd_change: Band
    kg_change: Band
    changes: tuple[Change, ...]
    quotas: tuple[QuotaChange, ...]
    base_faults: tuple[str, ...] = ()
    policy: Policy = _NOT_EVALUATED
    readiness: tuple[Readiness, ...] = ()
    graph: tuple[Node, ...] = ()
    rehearsal: Rehearsal | None = None

    @property
    def quiet(self) -> bool:
        """Whether it was compared and nothing differs."""
        same = not self.changes and not self.base_faults and self.before == self.after
        same = same and (self.rehearsal is None or self.rehearsal.quiet)
        said = self.policy.mended or any(one.waived is None for one in self.policy.introduced)
        return self.compared and same and not said


@dataclass(frozen=True)
class Report:
    """What `fleet report` says.

    Attributes:
        base: what it was compared with; None if with nothing. not_counted: what is in no sum, in words.
        told_from: what was read for it, in words.
    """

    schema_version: Literal[1]
    base: str | None
    stacks: tuple[StackReport, ...]
    not_counted: tuple[str, ...]
    told_from: str = "the stack files"

    @property
    def quiet(self) -> bool:
        return all(stack.quiet for stack in self.stacks)

    @property
    def destructive(self) -> int:
        return sum(change.destructive for stack in self.stacks for change in stack.changes)

    @property
    def increase(self) -> Decimal:
        """By how much the expected cost of all stacks rises, USD a month."""
        return total(stack.usd_change for stack in self.stacks).expected or Decimal(0)
