"""The quotas that an account must have for stacks' accelerators to reach their bounds: told offline, before `up`.

A cloud says so only after minutes, and in its own words (pain 1). Each rung of a pool's ladder is counted at its own
bound and by its own quota: spot has another than on-demand, and a reservation's machines are on-demand ones. No nodes
are added for upgrades, which never surge (pain 20). What an account has now only its cloud knows.
AWS and Azure count vCPUs, GCP accelerators, GPUs a second time for all regions together; managed services count
by quotas of their own, TPU VMs by cores in a zone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from fleet.catalog.clouds import Cloud
from fleet.plan import pools
from fleet.quota_wanted import Wanted, of_machines
from fleet.service_quotas import beside_pools
from fleet.spec import StackSpec


@dataclass(frozen=True)
class QuotaNeed:
    """One quota in one region.

    Attributes:
        quota: the cloud's own name; None where the catalogue has none.
        amount: at least so many, in `unit`s. pools: what for, as stack/cluster/pool, or its service or TPU VM.
        ask: page where more is asked for.
    """

    cloud: Cloud
    region: str
    quota: str | None
    amount: int
    unit: str
    pools: tuple[str, ...]
    ask: str

    def as_json(self) -> dict[str, object]:
        return {**vars(self), "pools": list(self.pools)}


def needs(stacks: Mapping[str, StackSpec]) -> list[QuotaNeed]:
    """What the accounts need for all these stacks together, by cloud, region and quota."""
    return summed((f"{stack}/{name}", one) for stack, spec in stacks.items() for name, one in _wanted(stack, spec))


def _wanted(stack: str, spec: StackSpec) -> Iterator[tuple[str, Wanted]]:
    for name, cluster in spec.clusters.items():
        for pool in pools(stack, name, cluster).values():
            # Hosts that stand ask no cloud for anything.
            for rung in (rung for rung in pool.rungs if not rung.hosts):
                for one in of_machines(rung.machine, rung.region, rung.purchase, rung.max_nodes):
                    yield f"{name}/{pool.name}", one
        for service, one in beside_pools(cluster):
            yield f"{name}/{service}", one


def summed(wanted: Iterable[tuple[str, Wanted]]) -> list[QuotaNeed]:
    """What is wanted, each with what for, put together by cloud, region and quota."""
    found: dict[tuple[Cloud, str, str | None, str], list[tuple[str, Wanted]]] = {}
    for label, one in wanted:
        found.setdefault(one.key, []).append((label, one))
    return [
        QuotaNeed(
            *(cloud, region, quota, sum(one.amount for _, one in of), unit),
            pools=tuple(dict.fromkeys(label for label, _ in of)),
            ask=of[0][1].ask,
        )
        for (cloud, region, quota, unit), of in sorted(
            found.items(), key=lambda item: (*item[0][:2], item[0][2] or "", item[0][3])
        )
    ]
