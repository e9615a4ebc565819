"""The quotas that an account must have for stacks' accelerator pools to reach their bounds: told offline, before `up`.

A cloud says so only after minutes, and in its own words (pain 1). Each rung of a pool's ladder is counted at its own
bound and by its own quota: spot has another than on-demand, and a reservation's machines are on-demand ones. No nodes
are added for upgrades, which never surge (pain 20). What an account has now only its cloud knows.
AWS and Azure count vCPUs, GCP accelerators, GPUs a second time for all regions together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine
from fleet.plan import pools
from fleet.spec import StackSpec

_EVERYWHERE = "all regions"
_GPUS_EVERYWHERE = "GPUS_ALL_REGIONS"
# What the catalogue's quotas count; blocks and flex-start have limits of their own.
_COUNTED = ("spot", "on-demand", "reservation")
_AWS = "https://{region}.console.aws.amazon.com/servicequotas/home/services/ec2/quotas/{quota}"
_GCP = "https://console.cloud.google.com/iam-admin/quotas"
_AZURE = "https://portal.azure.com/#view/Microsoft_Azure_Capacity/QuotaMenuBlade/~/myQuotas"


@dataclass(frozen=True)
class QuotaNeed:
    """One quota in one region.

    Attributes:
        quota: the cloud's own name; None where the catalogue has none.
        amount: at least so many, in `unit`s. pools: what for, as stack/cluster/pool.
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
    return summed(
        (f"{stack}/{name}/{pool.name}", rung.cloud, *one)
        for stack, spec in stacks.items()
        for name, cluster in spec.clusters.items()
        for pool in pools(stack, name, cluster).values()
        for rung in pool.rungs
        # Hosts that stand ask no cloud for anything.
        if not rung.hosts
        for one in counted(rung.machine, rung.region, rung.purchase, rung.max_nodes)
    )


def summed(wanted: Iterable[tuple[str, Cloud, str, str | None, int]]) -> list[QuotaNeed]:
    """Amounts (what for, cloud, region, quota, amount) put together by cloud, region and quota."""
    amounts: dict[tuple[Cloud, str, str | None], int] = {}
    wanting: dict[tuple[Cloud, str, str | None], dict[str, None]] = {}
    for label, cloud, region, quota, amount in wanted:
        key = (cloud, region, quota)
        amounts[key] = amounts.get(key, 0) + amount
        wanting.setdefault(key, {})[label] = None
    return [
        QuotaNeed(cloud, region, quota, amounts[cloud, region, quota], _unit(cloud), tuple(of), _ask(cloud, region, quota))
        for (cloud, region, quota), of in sorted(wanting.items(), key=lambda item: (*item[0][:2], item[0][2] or ""))
    ]


def counted(row: Machine, region: str, purchase: str, nodes: int) -> Iterator[tuple[str, str | None, int]]:
    """(region, quota, amount) of so many machines."""
    each = row.accelerators if row.cloud is Cloud.GCP else row.vcpus
    quota = (row.spot_quota if purchase == "spot" else row.quota) if purchase in _COUNTED else ""
    yield region, quota or None, each * nodes
    if row.cloud is Cloud.GCP and row.accelerator is not None and row.accelerator.family is Family.NVIDIA:
        yield _EVERYWHERE, _GPUS_EVERYWHERE, each * nodes


def _unit(cloud: Cloud) -> str:
    return "accelerators" if cloud is Cloud.GCP else "vCPUs"


def _ask(cloud: Cloud, region: str, quota: str | None) -> str:
    if cloud is Cloud.AWS:
        return _AWS.format(region=region, quota=quota or "")
    return _GCP if cloud is Cloud.GCP else _AZURE
