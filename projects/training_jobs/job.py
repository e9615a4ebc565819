"""What a training job is on any of the three services: a machine of the catalogue, an image, where results go.

Owns the choice of machine and the bill's upper bound. The services' own words are in the modules beside this one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, machine, offer
from fleet.cost import hourly_price


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job, as somebody asks for it.

    Attributes:
        machine: by the cloud's own name, as in a stack file; `accelerator` tells GCP's N1 apart.
        image: of the training container, by digest if it is to be the same tomorrow.
        output: folder for the model and checkpoints: s3://, gs://, or azureml://datastores/….
        identity: who the job is: a role's ARN, a service account's address, a managed identity's client ID.
        spot: may be taken away; then the script must start again from its checkpoints.
        max_hours: of running; what is not done by then is stopped.
    """

    cloud: Cloud
    name: str
    region: str
    machine: str
    accelerator: str | None = None
    image: str
    command: tuple[str, ...]
    output: str
    identity: str
    replicas: int = 1
    spot: bool = True
    max_hours: int = 4
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def row(self) -> Machine:
        """The machine's row of the catalogue.

        Raises:
            ValueError: it has none, or no accelerator.
        """
        found = machine(self.cloud, self.machine, self.accelerator)
        if found is None or found.accelerator is None:
            raise ValueError(f"{self.machine!r} is no machine with accelerators on {self.cloud}: see docs/accelerators.md")
        return found

    @property
    def usd_hour(self) -> Decimal | None:
        """List price of the bare machines, None where the catalogue has none; the service's own surcharge is not in it."""
        hourly = hourly_price(offer(self.row, self.region), "spot" if self.spot else "on-demand")
        return None if hourly is None else hourly * self.replicas

    @property
    def max_usd(self) -> Decimal | None:
        """What the machines cost if the job runs as long as it may."""
        return None if self.usd_hour is None else self.usd_hour * self.max_hours


def wait(state: Callable[[], str], ends: frozenset[str], every_s: float = 30, at_most_s: float = 86_400) -> str:
    """Ask for the state until it is one of `ends`, and return that.

    Raises:
        TimeoutError: it never was.
    """
    until = time.monotonic() + at_most_s
    while True:
        found = state()
        if found in ends:
            return found
        if time.monotonic() >= until:
            raise TimeoutError(f"still {found} after {at_most_s:.0f} s")
        time.sleep(every_s)
