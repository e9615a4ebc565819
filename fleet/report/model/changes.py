"""What a change does: to each thing of a stack, and what became of it in the rehearsal."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


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
