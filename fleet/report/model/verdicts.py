"""What is said of a stack: its quotas, its pools' readiness, the policies' findings."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal


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
