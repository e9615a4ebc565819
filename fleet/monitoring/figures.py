"""What the catalogue says of one replica of a model: its price, its power and its grid. What it does not know is left out.

The same figures as the report's (`fleet.cost`), so that what is measured stands beside what was estimated.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from fleet import cost, tenancy
from fleet.catalog.machines import offer
from fleet.contract import AcceleratorPool
from fleet.plan import accelerators_of
from fleet.spec import Autoscaler, ClusterSpec, ModelSpec


@dataclass(frozen=True, kw_only=True)
class Replica:
    """One replica of a model, on its pool as it is bought first.

    Attributes:
        least, most: bounds of its number. start_s: seconds that it may take from process to first answer.
        usd_hour: its share of its node's list price; None where the catalogue has none.
        watts: TDP of its accelerators; None where the vendor published none.
        gco2_kwh, pue: of its region; None where the catalogue has none.
    """

    model: str
    namespace: str
    pool: str
    accelerator: str
    purchase: str
    least: int
    most: int
    usd_hour: Decimal | None
    watts: Decimal | None
    gco2_kwh: Decimal | None
    pue: Decimal | None

    @property
    def labels(self) -> dict[str, str]:
        """What its series carry."""
        return {
            "namespace": self.namespace,
            "model_name": self.model,
            "pool": self.pool,
            "accelerator": self.accelerator,
            "purchase": self.purchase,
        }


def replicas(cluster: ClusterSpec, pools: dict[str, AcceleratorPool]) -> list[Replica]:
    """Of every model of a cluster, in the stack file's order."""
    return [_replica(name, model, pools[model.pool]) for name, model in cluster.models.items()]


def _replica(name: str, model: ModelSpec, pool: AcceleratorPool) -> Replica:
    count = accelerators_of(model, pool.machine, pool.tpu)
    part = Fraction(count, pool.slots)
    grid = cost.grid(pool.cloud, pool.region)
    scaled = model.autoscaler is not Autoscaler.NONE
    hosts = pool.tpu.hosts if pool.tpu and pool.tpu.multi_host else None
    return Replica(
        model=name,
        namespace=tenancy.namespace(model.team) if model.team else tenancy.NO_TEAM,
        pool=pool.name,
        accelerator=pool.accelerator.name,
        purchase=pool.purchase,
        least=hosts or model.replicas.min,
        most=hosts or (model.replicas.max if scaled else model.replicas.min),
        usd_hour=_times(_hourly(pool), part),
        watts=_times(cost.tdp_of(pool.machine), part),
        gco2_kwh=grid[0] if grid else None,
        pue=grid[1] if grid else None,
    )


def _hourly(pool: AcceleratorPool) -> Decimal | None:
    """A node's list price, bought in the pool's first way."""
    if pool.hosts:
        return Decimal(str(pool.hosts.usd_hour)) if pool.hosts.usd_hour is not None else None
    return cost.hourly_price(offer(pool.machine, pool.region), pool.purchase)


def _times(value: Decimal | None, part: Fraction) -> Decimal | None:
    return value * part.numerator / part.denominator if value is not None else None
