"""Whether each accelerator pool could be had and used: quota, zones, what it costs by each way to buy, and room for models.

Whether its pods *land* there needs no scheduler to say: labels, taints and resources of pool and pod come from one
contract (`fleet.contract`), tested against a real one. What is left to say is whether there are nodes enough; a rehearsal
asked a real scheduler, and what that said stands beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

from fleet.catalog.machines import offer, regions_with
from fleet.contract import AcceleratorPool
from fleet.plan import least_nodes, pools
from fleet.quota_wanted import of_machines
from fleet.report.model import QuotaChange, Readiness, Rehearsal
from fleet.spec import ModelSpec, StackSpec

Verdict = Literal["ok", "short", "unknown"]
Key = tuple[str, str, str | None, str]


def readiness(
    stack: str, spec: StackSpec | None, quotas: Iterable[QuotaChange], rehearsal: Rehearsal | None = None
) -> tuple[Readiness, ...]:
    """A verdict for each pool of the stack as it would be."""
    if spec is None:
        return ()
    known = {(quota.cloud, quota.region, quota.quota, quota.unit): quota for quota in quotas}
    made = (
        _pool(name, pool, [model for model in cluster.models.values() if model.pool == pool.name], known)
        for name, cluster in spec.clusters.items()
        for pool in pools(stack, name, cluster).values()
    )
    return tuple(_rehearsed(one, rehearsal) if rehearsal else one for one in made)


def _rehearsed(one: Readiness, rehearsal: Rehearsal) -> Readiness:
    if stuck := next((stuck for stuck in rehearsal.stuck if stuck.pool == one.pool), None):
        return replace(one, rehearsed="does not", waits=stuck.reason)
    return replace(one, rehearsed="schedules" if one.pool in rehearsal.landed else None)


def _pool(cluster: str, pool: AcceleratorPool, models: list[ModelSpec], known: dict[Key, QuotaChange]) -> Readiness:
    # Another pool of the stack may need the same quota: what is left is of the account, after all of this stack.
    own = [quota for key in dict.fromkeys(_quotas(pool)) if (quota := known.get(key))]
    verdicts = {quota.verdict for quota in own}
    verdict: Verdict = "short" if "short" in verdicts else "unknown" if "unknown" in verdicts else "ok"
    limits = [quota.limit - quota.after for quota in own if quota.limit is not None]
    price = offer(pool.machine, pool.region) if not pool.hosts else None
    needed = least_nodes(models, pool.machine, pool.tpu, pool.sharing)
    here = pool.hosts is not None or pool.region in regions_with(pool.machine)
    return Readiness(
        pool=f"{cluster}/{pool.name}",
        machine=pool.machine.name,
        quota="ok" if pool.hosts else verdict,
        quota_left=min(limits) if limits and len(limits) == len(own) else None,
        zones=pool.zones,
        offered=here,
        on_demand=price.on_demand if price else None,
        spot=price.spot if price else None,
        schedules=needed <= pool.most_nodes,
        why=_why(pool, models, needed),
    )


def _quotas(pool: AcceleratorPool) -> Iterator[Key]:
    for rung in pool.rungs:
        for one in of_machines(rung.machine, rung.region, rung.purchase, rung.max_nodes):
            yield one.key


def _why(pool: AcceleratorPool, models: list[ModelSpec], needed: int) -> str:
    if not models:
        return "no model is on it"
    replicas = sum(model.replicas.min for model in models)
    return f"{replicas} replica{'s' if replicas != 1 else ''} at the least fill {needed} of {pool.most_nodes} nodes"
