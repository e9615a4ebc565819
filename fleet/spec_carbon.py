"""What holds a flexible model back, as people write it under `carbon:`. Shape and defaults only; facts are `fleet.checks`'."""

from __future__ import annotations

from pydantic import Field, StrictInt

from fleet.spec_base import Spec


class CarbonSpec(Spec):
    """From where to where the grid holds a flexible model back, or until when its work may be put off to a cleaner hour."""

    clean: StrictInt | None = Field(
        default=None, ge=1, le=2000, description="gCO2e a kWh, life cycle, as Electricity Maps': up to here all replicas."
    )
    dirty: StrictInt | None = Field(
        default=None, ge=1, le=2000, description="From here on the fewest replicas; in between evenly."
    )
    deadline_h: StrictInt | None = Field(
        default=None,
        ge=2,
        le=168,
        description="In place of clean and dirty, for a model with a queue: hours from when a message comes until it is done, "
        "spent on waiting for the forecast's cleanest window.",
    )
    work_h: StrictInt | None = Field(
        default=None, ge=1, le=167, description="Of these hours, those that what gathers takes with all replicas."
    )

    @property
    def thresholds(self) -> tuple[int, int] | None:
        """Clean and dirty."""
        return None if self.clean is None or self.dirty is None else (self.clean, self.dirty)

    @property
    def deferral(self) -> tuple[int, int] | None:
        """Hours of deadline and of work."""
        return None if self.deadline_h is None or self.work_h is None else (self.deadline_h, self.work_h)
