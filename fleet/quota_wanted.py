"""What is wanted of one quota, and how a cloud counts its own machines. Knows no stack file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine

GCP_PAGE = "https://console.cloud.google.com/iam-admin/quotas"
_AWS = "https://{region}.console.aws.amazon.com/servicequotas/home/services/ec2/quotas/{quota}"
_AZURE = "https://portal.azure.com/#view/Microsoft_Azure_Capacity/QuotaMenuBlade/~/myQuotas"
EVERYWHERE = "all regions"
_GPUS_EVERYWHERE = "GPUS_ALL_REGIONS"
# What the catalogue's quotas count; blocks and flex-start have limits of their own.
_COUNTED = ("spot", "on-demand", "reservation")


@dataclass(frozen=True)
class Wanted:
    """So many of one quota in one region, which for a TPU VM is its zone.

    Attributes:
        quota: the cloud's own name; None where the catalogue has none.
        amount: in `unit`s. ask: page where more is asked for.
    """

    cloud: Cloud
    region: str
    quota: str | None
    amount: int
    unit: str
    ask: str

    @property
    def key(self) -> tuple[Cloud, str, str | None, str]:
        """What amounts are put together by: one that nobody can name is not mixed with what is counted otherwise."""
        return self.cloud, self.region, self.quota, self.unit


def of_machines(row: Machine, region: str, purchase: str, nodes: int) -> Iterator[Wanted]:
    """What so many virtual machines want, bought in this way."""
    on_gcp = row.cloud is Cloud.GCP
    unit, each = ("accelerators", row.accelerators) if on_gcp else ("vCPUs", row.vcpus)
    quota = ((row.spot_quota if purchase == "spot" else row.quota) if purchase in _COUNTED else "") or None
    page = _AWS.format(region=region, quota=quota or "") if row.cloud is Cloud.AWS else GCP_PAGE if on_gcp else _AZURE
    yield Wanted(row.cloud, region, quota, each * nodes, unit, page)
    if on_gcp and row.accelerator is not None and row.accelerator.family is Family.NVIDIA:
        yield Wanted(row.cloud, EVERYWHERE, _GPUS_EVERYWHERE, each * nodes, unit, GCP_PAGE)
