"""Plans: a candidate for each pool that is wanted, ranked by money and carbon, under limits on both. Exact, no guess.

A plan that nothing beats in money, carbon and (where it is asked for) latency is made of candidates that nothing at their
place beats: sums and the longest way only rise with their parts. So it is enough to put the fronts of the pools together,
one after the other, and to keep the front of what comes out: of a hundred candidates a pool some ten are left, and no
combination of value is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from fleet.place.candidates import Candidate
from fleet.place.front import Figures, front


@dataclass(frozen=True)
class Aims:
    """What a plan is measured by, over `hours`.

    Attributes:
        max_usd, max_kg: of all pools together. together: all pools in one region.
        usd_a_tonne: what a tonne of CO2e counts for in the rank; 0 ranks by money alone.
        by_latency: whether the front is of latency, too.
    """

    hours: int = 730
    max_usd: Decimal | None = None
    max_kg: Decimal | None = None
    usd_a_tonne: Decimal = Decimal(0)
    together: bool = False
    by_latency: bool = False

    @property
    def by_carbon(self) -> bool:
        """Whether a plan of unknown carbon can be judged at all."""
        return self.max_kg is not None or self.usd_a_tonne > 0


@dataclass(frozen=True)
class Plan:
    """A candidate for each pool, in the order in which they were wanted.

    Attributes:
        front: no other plan is at once cheaper and cleaner (and nearer); False where a figure of it is not known.
    """

    parts: tuple[Candidate, ...]
    front: bool = False

    @property
    def usd_hour(self) -> Decimal:
        return sum((part.usd_hour for part in self.parts), Decimal(0))

    @property
    def kg_hour(self) -> Decimal | None:
        known = [part.kg_hour for part in self.parts if part.kg_hour is not None]
        return sum(known, Decimal(0)) if len(known) == len(self.parts) else None

    @property
    def ms(self) -> Decimal | None:
        """To the pool that is farthest from its users; None where that of one is not known."""
        known = [part.ms for part in self.parts if part.ms is not None]
        return max(known) if known and len(known) == len(self.parts) else None

    def figures(self, aims: Aims) -> Figures | None:
        """What the front is of; None where one is not known."""
        usd, kg, ms = self.usd_hour, self.kg_hour, self.ms
        if kg is None or (aims.by_latency and ms is None):
            return None
        return (usd, kg) if ms is None or not aims.by_latency else (usd, kg, ms)

    def rank(self, aims: Aims) -> Decimal:
        """USD an hour, and its carbon in USD."""
        return self.usd_hour + (self.kg_hour or Decimal(0)) / 1000 * aims.usd_a_tonne

    def keeps(self, aims: Aims) -> bool:
        """Whether it stays within the limits."""
        # To the cent, as it is shown: a limit of what was shown must hold it.
        usd, kg = (self.usd_hour * aims.hours).quantize(Decimal("0.01")), self.kg_hour
        if aims.by_carbon and kg is None:
            return False
        return (aims.max_usd is None or usd <= aims.max_usd) and (
            aims.max_kg is None or (kg is not None and kg * aims.hours <= aims.max_kg)
        )


def plans(wanted: Sequence[str], found: Mapping[str, Sequence[Candidate]], aims: Aims) -> list[Plan]:
    """The plans within the limits, the best first.

    For one pool all candidates; for several those on the front, and the cheapest where a figure of it is not known.

    Args:
        wanted: names of the pools. found: their candidates.
    """
    if len(wanted) == 1:
        made = [Plan((candidate,)) for candidate in found[wanted[0]]]
    else:
        places = {c.place for name in wanted for c in found[name]} if aims.together else {None}
        made = [plan for place in sorted(places, key=str) for plan in _together(wanted, found, place, aims)]
    kept = [plan for plan in made if plan.keeps(aims)]
    best = {id(plan) for plan in _front(kept, aims)}
    marked = [Plan(plan.parts, id(plan) in best) for plan in kept]
    return sorted(marked, key=lambda plan: (plan.rank(aims), plan.kg_hour is None, plan.kg_hour or 0))


def _front(some: Sequence[Plan], aims: Aims) -> list[Plan]:
    known = [(figures, plan) for plan in some if (figures := plan.figures(aims)) is not None]
    return [plan for _, plan in front(known, lambda one: one[0])]


def _together(
    wanted: Sequence[str], found: Mapping[str, Sequence[Candidate]], place: tuple[str, str] | None, aims: Aims
) -> list[Plan]:
    """Combinations of candidates at one place, or anywhere."""
    here = [[c for c in found[name] if place is None or c.place == place] for name in wanted]
    sums = [Plan(())]
    for some in here:
        known = [plan.parts[0] for plan in _front([Plan((c,)) for c in some], aims)]
        sums = _front([Plan((*plan.parts, c)) for plan in sums for c in known], aims)
    if aims.by_carbon or not all(here):
        return sums
    cheapest = Plan(tuple(min(some, key=lambda c: c.usd_hour) for some in here))
    return [*sums, cheapest] if cheapest.figures(aims) is None else sums
