"""How many replicas a flexible model may have: by a grid's intensity here, and as the formulas that KEDA works out.

By thresholds: all of them up to `clean`, the fewest from `dirty` on, and evenly in between, rounded down. By a deadline: the
fewest while work is put off, else all. What nobody knows holds nobody back and takes nothing away: a dead exporter or an old
figure leaves the ceiling where it was without carbon, and a queue that nobody can count leaves the replicas that are there.
https://keda.sh/docs/2.21/reference/scaledobject-spec/#scalingmodifiers, https://expr-lang.org/docs/language-definition
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from fleet.carbon.deferrals import Rule

# Names of KEDA's triggers, which the formula calls them by.
WAITING, GRID, DEFERRED, THERE = "waiting", "grid", "deferred", "there"


@dataclass(frozen=True)
class Ceiling:
    """Bounds of one model.

    Attributes:
        clean, dirty: gCO2e a kWh; clean is less than dirty. least, most: replicas.
    """

    clean: int
    dirty: int
    least: int
    most: int

    def at(self, gco2_kwh: float | None) -> int:
        """Replicas at most; None where the intensity is not known."""
        room = (self.dirty - (gco2_kwh or 0.0)) / (self.dirty - self.clean)
        return self.least + math.floor((self.most - self.least) * max(0.0, min(1.0, room)))

    def formula(self, waiting_per_replica: int, fallback: int | None = None) -> str:
        """What KEDA scales by instead of the requests that wait: these, but never as many as would pass the ceiling.

        A trigger that fails for long is nil there. Figures with a point, since a formula with ?? is not made a float.

        Args:
            fallback: replicas while nobody can count what waits; None: as many as there are, and one at least.
        """
        room = f"({self.dirty} - ({GRID} ?? 0.0)) / {self.dirty - self.clean}"
        replicas = f"{self.least} + floor({self.most - self.least} * max(0.0, min(1.0, {room})))"
        return f"min({_counted(waiting_per_replica, fallback)}, {waiting_per_replica} * ({replicas}))"


@dataclass(frozen=True)
class Deadline:
    """Bounds of one model whose work is put off; least, most: replicas."""

    rule: Rule
    least: int
    most: int

    def formula(self, waiting_per_replica: int, fallback: int | None = None) -> str:
        """As `Ceiling.formula`, by the exporter's figure: 1 while work is put off, and 0 or nil while it is not."""
        held = f"{float(self.most - self.least)} * max(0.0, min(1.0, {DEFERRED} ?? 0.0))"
        return f"min({_counted(waiting_per_replica, fallback)}, {waiting_per_replica} * ({self.most} - {held}))"


def _counted(waiting_per_replica: int, fallback: int | None) -> str:
    """What waits; while nobody can count it, what would keep as many replicas as there are, or as the fallback says."""
    held = f"{waiting_per_replica} * max(1.0, {THERE})" if fallback is None else f"{waiting_per_replica * fallback}.0"
    return f"{WAITING} ?? ({held})"
