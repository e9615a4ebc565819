"""Commitments: money a month promised to a cloud, for a lower price of on-demand hours. Their shape, and what they save.

For the report alone: nothing is bought, and list prices stay as they are; what a commitment makes of them stands beside.
No discount has a default, as those of accelerators are by contract: the user gives it, with the amount.

The rule, the same on the three clouds: an hour that is billed as on-demand (a reservation's, too) is paid from the
commitment at its discounted price while that lasts; what is left over is paid all the same, and hours beyond it at list
price. Pools are taken in the order of the report, which with one discount makes no difference to the sum.
https://docs.aws.amazon.com/savingsplans/latest/userguide/sp-applying.html, https://cloud.google.com/compute/docs/instances/committed-use-discounts-overview,
https://learn.microsoft.com/azure/cost-management-billing/savings-plan/discount-application
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from pydantic import Field, StrictInt

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine, offer
from fleet.cost import HOURS_A_MONTH
from fleet.spec_base import Instant, Spec

_CENT = Decimal("0.01")


class Commitment(StrEnum):
    """What a cloud calls it; the arithmetic is one."""

    SAVINGS_PLAN = "savings-plan"
    COMMITTED_USE = "committed-use"
    RESERVED = "reserved"


SOLD = {
    Cloud.AWS: (Commitment.SAVINGS_PLAN, Commitment.RESERVED),
    Cloud.GCP: (Commitment.COMMITTED_USE,),
    Cloud.AZURE: (Commitment.SAVINGS_PLAN, Commitment.RESERVED),
}


class CommitmentSpec(Spec):
    """One commitment, as its contract or the cloud's console has it."""

    cloud: Cloud
    kind: Commitment
    discount_percent: float = Field(ge=1, le=99, description="Off the on-demand list price.")
    usd_hour: float | None = Field(default=None, ge=0.01, description="Committed an hour, after the discount; or nodes.")
    nodes: StrictInt | None = Field(
        default=None, ge=1, description="Machines committed, of one type in one region; or usd_hour."
    )
    regions: list[str] = Field(default_factory=list, description="Where it holds; default: everywhere.")
    machines: list[str] = Field(default_factory=list, description="Types or beginnings of types, such as p5.; default: all.")
    starts: Instant | None = Field(default=None, description="Default: it runs already.")
    ends: Instant

    def covers(self, cloud: str, region: str, name: str) -> bool:
        """Whether hours of such a machine are paid from it."""
        here = not self.regions or region in self.regions
        return cloud == self.cloud and here and (not self.machines or name.startswith(tuple(self.machines)))

    def runs(self, now: datetime) -> bool:
        return (self.starts is None or self.starts <= now) and now < self.ends

    @property
    def part_paid(self) -> Decimal:
        """Of the list price, what an hour costs from the commitment."""
        return 1 - Decimal(str(self.discount_percent)) / 100

    @property
    def usd_month(self) -> Decimal:
        """Paid a month, used or not.

        Raises:
            LookupError: it is in machines whose list price is not known; `fleet.checks` reports it first.
        """
        if self.usd_hour is not None:
            return (Decimal(str(self.usd_hour)) * HOURS_A_MONTH).quantize(_CENT)
        hourly = list_price(self.cloud, self.regions[0], self.machines[0])
        if hourly is None or self.nodes is None:
            raise LookupError(f"no list price of {self.machines[0]} in {self.regions[0]}")
        return (hourly * self.nodes * self.part_paid * HOURS_A_MONTH).quantize(_CENT)


def list_price(cloud: Cloud, region: str, name: str) -> Decimal | None:
    """On-demand, USD an hour; None where the catalogue has none."""
    row = machine(cloud, name)
    price = offer(row, region) if row else None
    return price.on_demand if price else None


@dataclass(frozen=True)
class Billed:
    """Hours of one pool that are billed as on-demand, at list price a month; `pool` tells it from all others."""

    pool: str
    cloud: str
    region: str
    machine: str
    usd_month: Decimal


@dataclass(frozen=True)
class CommitmentUse:
    """One commitment as it stands against what runs, USD a month.

    Attributes:
        paid: whatever is used. unused: the part of it that nothing runs for. covered: list price of the hours it pays for.
        saved: covered less what pays for it; the unused part is not taken off.
        rule: the words to show with it. pools: what it takes from the price of each pool.
    """

    stack: str
    name: str
    kind: str
    paid: Decimal
    unused: Decimal
    covered: Decimal
    saved: Decimal
    rule: str
    pools: dict[str, Decimal]


def apply(stack: str, made: Mapping[str, CommitmentSpec], billed: Sequence[Billed], now: datetime) -> list[CommitmentUse]:
    """What a stack's commitments that run now pay for, one after the other; an hour is paid from one of them."""
    left = {one.pool: one.usd_month for one in billed}
    uses = []
    for name, commitment in made.items():
        if not commitment.runs(now):
            continue
        paid = rest = commitment.usd_month
        saved: dict[str, Decimal] = {}
        for one in billed:
            if not commitment.covers(one.cloud, one.region, one.machine):
                continue
            used = min(rest, left[one.pool] * commitment.part_paid)
            covered = (used / commitment.part_paid).quantize(_CENT)
            if covered:
                saved[one.pool] = covered - used.quantize(_CENT)
            left[one.pool] -= covered
            rest -= used
        unused, total = rest.quantize(_CENT), sum(saved.values(), Decimal(0))
        covered = paid - unused + total
        uses.append(CommitmentUse(stack, name, commitment.kind, paid, unused, covered, total, _rule(commitment), saved))
    return uses


def _rule(one: CommitmentSpec) -> str:
    """`30 % off on-demand hours of p5. in us-east-1, to 2029-01-01, while 12.5 USD an hour last`."""
    where = f" in {', '.join(one.regions)}" if one.regions else ""
    what = ", ".join(one.machines) or "every machine"
    amount = f"{one.usd_hour:g} USD an hour last" if one.usd_hour is not None else f"{one.nodes} nodes last"
    return f"{one.discount_percent:g} % off on-demand hours of {what}{where}, to {one.ends:%Y-%m-%d}, while {amount}"
