"""The report's shape: plain data that every renderer reads and `--format json` prints. Computes sums, knows no words.

Money is USD a month at list price, carbon kgCO2e a month, both as decimals (strings in JSON). What is not known is None
and counts in no sum, so that every sum stands beside how much of it is known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

SCHEMA_VERSION: Literal[1] = 1


@dataclass(frozen=True)
class Band:
    """At the least, as declared, and at the most.

    Attributes:
        floor: with the nodes that always stand. expected: with those that the models' fewest replicas fill.
        ceiling: with every pool at its bound, bought in its dearest way.
    """

    floor: Decimal | None
    expected: Decimal | None
    ceiling: Decimal | None

    @property
    def known(self) -> bool:
        return None not in (self.floor, self.expected, self.ceiling)


ZERO = Band(Decimal(0), Decimal(0), Decimal(0))


def total(bands: Iterable[Band]) -> Band:
    """The sum of what is known."""
    all_ = list(bands)

    def add(numbers: Iterable[Decimal | None]) -> Decimal:
        return sum((number for number in numbers if number is not None), Decimal(0))

    return Band(add(b.floor for b in all_), add(b.expected for b in all_), add(b.ceiling for b in all_))


def difference(after: Band | None, before: Band | None) -> Band:
    """What changes, of what is known of both; a side that is not there counts as nothing."""
    new, old = after or ZERO, before or ZERO

    def less(a: Decimal | None, b: Decimal | None) -> Decimal:
        return (a or Decimal(0)) - (b or Decimal(0))

    return Band(less(new.floor, old.floor), less(new.expected, old.expected), less(new.ceiling, old.ceiling))


@dataclass(frozen=True)
class Line:
    """One thing that is paid for.

    Attributes:
        kind: `pool` for machines with accelerators, whoever has them.
        name: `cluster/pool`, or `cluster` with what it is; a resource's own. what: machines and how they are bought.
        nodes: at the floor, expected and at the ceiling; None where nodes are not what is paid for.
        accelerator: catalogue name, and `accelerators` how many of them stand in the three cases.
        kg: None where nothing of it is counted: a CPU's power no cloud publishes.
        unknown: why a figure is missing. as_of: date of the price.
    """

    kind: Literal["pool", "tpu-vm", "system", "machines", "control-plane", "nat", "disk", "load-balancer", "by-use", "service"]
    name: str
    cloud: str
    region: str
    what: str
    usd: Band
    kg: Band | None = None
    nodes: tuple[int, int, int] | None = None
    accelerator: str | None = None
    accelerators: tuple[int, int, int] | None = None
    unknown: tuple[str, ...] = ()
    as_of: str | None = None


@dataclass(frozen=True)
class Estimate:
    """A stack as one stack file has it."""

    lines: tuple[Line, ...]
    usd: Band
    kg: Band
    priced: int
    counted: int
    with_accelerators: int
    accelerators: dict[str, tuple[int, int, int]]
    as_of: tuple[str, str] | None
    by_use: int = 0

    @property
    def priceable(self) -> int:
        """Lines that can have a price though nobody knows how much they will be used."""
        return len(self.lines) - self.by_use

    @classmethod
    def of(cls, lines: Iterable[Line]) -> Estimate:
        """The sums over these lines."""
        all_ = tuple(lines)
        pools = [line for line in all_ if line.accelerator]
        count: dict[str, tuple[int, int, int]] = {}
        for line in pools:
            if line.accelerator and line.accelerators:
                before = count.get(line.accelerator, (0, 0, 0))
                low, middle, high = (a + b for a, b in zip(before, line.accelerators, strict=True))
                count[line.accelerator] = (low, middle, high)
        dates = sorted(line.as_of for line in all_ if line.as_of and line.as_of[:1].isdigit())
        return cls(
            lines=all_,
            usd=total(line.usd for line in all_),
            kg=total(line.kg for line in pools if line.kg),
            priced=sum(line.usd.known for line in all_),
            counted=sum(line.kg is not None and line.kg.known for line in pools),
            with_accelerators=len(pools),
            accelerators=count,
            as_of=(dates[0], dates[-1]) if dates else None,
            by_use=sum(line.kind == "by-use" for line in all_),
        )


@dataclass(frozen=True)
class FieldChange:
    """One value that differs; None stands for its absence."""

    field: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Change:
    """What happens to one thing of the stack.

    Attributes:
        kind: `replace` where its nodes, or all of it, are made anew.
        what: cluster, pool, store, model, team or stack. why: the consequence, where it is not in the kind.
    """

    kind: Literal["create", "update", "replace", "delete"]
    what: str
    name: str
    fields: tuple[FieldChange, ...] = ()
    why: str = ""

    @property
    def destructive(self) -> bool:
        return self.kind in ("replace", "delete")


@dataclass(frozen=True)
class QuotaChange:
    """One quota: what the stack needs of it, and what the account has if the limits file says so.

    Attributes:
        verdict: `unknown` where nobody wrote the limit down.
        used: of the whole account, on the limit's day; in no verdict, as nobody knows how much of it is this stack's.
    """

    cloud: str
    region: str
    quota: str | None
    unit: str
    before: int
    after: int
    limit: int | None
    limit_as_of: str | None
    verdict: Literal["ok", "short", "unknown"]
    ask: str
    used: int | None = None

    @property
    def short_by(self) -> int:
        return max(0, self.after - self.limit) if self.limit is not None else 0

    @property
    def worse(self) -> bool:
        """Short, and by more than before; of what was compared with nothing, all that is short."""
        return self.verdict == "short" and self.after > self.before

    @property
    def mended(self) -> bool:
        """Short before, and no more."""
        return self.limit is not None and self.before > self.limit >= self.after


@dataclass(frozen=True)
class Readiness:
    """Whether a pool's nodes could be had, and its models would run there.

    Attributes:
        quota: the worst verdict of the quotas that it counts on; quota_left: of the scarcest, after the whole stack.
        zones: that it asks for. offered: whether the price list of its region has the machine.
        on_demand, spot: USD an hour a node; a reservation's nodes cost what on-demand ones do.
        schedules: whether the fewest replicas find nodes enough; why: the numbers.
        rehearsed: what became of its pods in the rehearsal, None where there was none, or no pod of its own; waits: why
            they wait, in the scheduler's words.
    """

    pool: str
    machine: str
    quota: Literal["ok", "short", "unknown"]
    quota_left: int | None
    zones: tuple[str, ...]
    offered: bool
    on_demand: Decimal | None
    spot: Decimal | None
    schedules: bool
    why: str
    rehearsed: Literal["schedules", "does not"] | None = None
    waits: str = ""

    @property
    def ready(self) -> bool | None:
        """None where nobody can say."""
        if self.quota == "short" or not (self.schedules and self.offered) or self.rehearsed == "does not":
            return False
        return None if self.quota == "unknown" else True


@dataclass(frozen=True)
class Finding:
    """A policy's word on one resource.

    Attributes:
        severity, mend: as the rule has them; empty of a pack that is not ours.
        waived: why it is let pass, and until when; None where it is not.
        before: whether the base has it, too; None where nobody can say.
    """

    policy: str
    level: str
    resource: str
    message: str
    severity: str = ""
    mend: str = ""
    waived: str | None = None
    before: bool | None = None

    @property
    def mandatory(self) -> bool:
        return self.level == "mandatory" and self.waived is None


@dataclass(frozen=True)
class Policy:
    """What policies say; not evaluated is not passed.

    Attributes:
        unknown: how often a rule met a value that only an apply can tell.
        compared: whether the base was judged, too; not_compared: why it could not be. mended: what only the base has.
    """

    evaluated: bool = False
    findings: tuple[Finding, ...] = ()
    unknown: int = 0
    compared: bool = False
    not_compared: str = ""
    mended: tuple[Finding, ...] = ()

    @property
    def introduced(self) -> tuple[Finding, ...]:
        """Those that nobody can say were there before, heaviest first."""
        return tuple(
            sorted(
                (one for one in self.findings if not one.before), key=lambda one: (one.waived is not None, not one.mandatory)
            )
        )

    @property
    def standing(self) -> tuple[Finding, ...]:
        """Those that were there before."""
        return tuple(one for one in self.findings if one.before)


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
class Disruption:
    """What had fewer ready for a time than before and after the change.

    Attributes:
        what: a workload's pods, or the endpoints of a Service that had none.
        name: `cluster/namespace/name`. had: ready before. least: the fewest meanwhile.
        went: of its pods of before, those that were deleted or evicted.
        seconds: for how long, by the sandbox's clock. back: whether it has them again.
    """

    what: Literal["workload", "service"]
    name: str
    had: int
    least: int
    went: int
    seconds: float
    back: bool


@dataclass(frozen=True)
class Stuck:
    """A workload whose pods do not come up.

    Attributes:
        name: `cluster/namespace/name`. pods: how many; 0 where none can even be made. pool: `cluster/pool`, if it asks for one.
        reason: the scheduler's words, or the kubelet's. before: whether it was so before the change, too.
    """

    name: str
    pods: int
    pool: str | None
    reason: str
    before: bool = False


@dataclass(frozen=True)
class Rehearsal:
    """What a change did in the sandbox: `up` from the base, then of the change.

    Attributes:
        base_errors: why the base did not come up; then the change was not run, and nothing else is known.
        errors: why the change did not. changes: what became of each resource. nodes_gone: by `cluster/pool`.
        landed: pools (`cluster/pool`) on which a pod runs.
    """

    base_errors: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    changes: tuple[Change, ...] = ()
    stuck: tuple[Stuck, ...] = ()
    disruptions: tuple[Disruption, ...] = ()
    nodes_gone: dict[str, int] = field(default_factory=dict)
    landed: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[Stuck, ...]:
        """Those of the change: what did not run before it either is not its doing."""
        return tuple(one for one in self.stuck if not one.before)

    @property
    def ok(self) -> bool:
        """Whether the change came up, and everything with it."""
        return not (self.base_errors or self.errors or self.failures)

    @property
    def destructive(self) -> tuple[Change, ...]:
        return tuple(change for change in self.changes if change.destructive)

    @property
    def quiet(self) -> bool:
        return self.ok and not self.changes and not self.disruptions


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
    policy: Policy = Policy()
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
