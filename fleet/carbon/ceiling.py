"""How many replicas a flexible model may have at a grid's intensity: here, and as the formula that KEDA works out.

All of them up to `clean`, the fewest from `dirty` on, and evenly in between, rounded down. What nobody knows holds
nobody back and takes nothing away: a dead exporter or an old figure leaves the ceiling where it was without carbon, and a
queue that nobody can count leaves the replicas that are there.
https://keda.sh/docs/2.21/reference/scaledobject-spec/#scalingmodifiers, https://expr-lang.org/docs/language-definition
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# Names of KEDA's triggers, which the formula calls them by.
WAITING, GRID, THERE = "waiting", "grid", "there"


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
        held = f"{waiting_per_replica} * max(1.0, {THERE})" if fallback is None else f"{waiting_per_replica * fallback}.0"
        room = f"({self.dirty} - ({GRID} ?? 0.0)) / {self.dirty - self.clean}"
        replicas = f"{self.least} + floor({self.most - self.least} * max(0.0, min(1.0, {room})))"
        return f"min({WAITING} ?? ({held}), {waiting_per_replica} * ({replicas}))"
