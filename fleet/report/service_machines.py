"""The lines of services on machines: those that stand all month, and those of managed services, by the hours that they run.

A managed service has its own price of a machine on AWS and GCP, and asks what the machine costs on Azure. A training stands
for nothing while it does not run, so that it costs nothing at the least; without hours it has no figure, and says the price
of one.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, offer
from fleet.catalog.usage_prices import managed_price
from fleet.cost import ALL_MONTH, carbon_of, grid, hourly_price, month_of, tdp_of
from fleet.report.model import Band, Line
from fleet.service_machines import machine_of
from fleet.spec import ClusterSpec
from fleet.spec_services import EndpointSpec, Kind, MachineSpec, TrainingSpec

_SERVICE = {Cloud.AWS: "SageMaker", Cloud.GCP: "Vertex AI", Cloud.AZURE: "Azure Machine Learning"}


class _Hourly(NamedTuple):
    """USD an hour of a machine as it is bought; `most` where that is not known: on-demand, which spot does not exceed."""

    usd: Decimal | None
    most: Decimal | None
    as_of: str | None
    unknown: str


def line(name: str, cluster: ClusterSpec, spec: MachineSpec | TrainingSpec | EndpointSpec) -> Line:
    """The line of one service."""
    row = machine_of(spec, cluster.cloud, cluster.region)
    match spec:
        case MachineSpec():
            price, how = offer(row, cluster.region), str(spec.purchase)
            usd, unknown = hourly_price(price, how), f"no {how} price of {row.name} in {cluster.region}"
            hourly = _Hourly(usd, usd, price.as_of if price else None, unknown)
            return _line(name, cluster, row, f"{row.name}, {how}", hourly, (1, 1, 1), ALL_MONTH)
        case EndpointSpec():
            hourly = _managed(cluster, Kind.ENDPOINTS, row, "on-demand")
            hours = Decimal(str(spec.usage.hours)) if spec.usage else ALL_MONTH
            return _line(name, cluster, row, f"{row.name}, managed endpoint", hourly, (spec.machines,) * 3, hours)
        case TrainingSpec():
            hourly = _managed(cluster, Kind.TRAININGS, row, spec.purchase)
            if spec.usage is None:
                return _unused(name, cluster, f"training on {spec.nodes} {row.name}, {spec.purchase}", hourly)
            what, hours = f"training on {row.name}, {spec.purchase}", Decimal(str(spec.usage.hours))
            return _line(name, cluster, row, what, hourly, (0, spec.nodes, spec.nodes), hours)


def _managed(cluster: ClusterSpec, section: Kind, row: Machine, purchase: str) -> _Hourly:
    """What the service asks; spot is the machine's own price and a fee on GCP, and has no list on AWS and Azure.

    Azure adds nothing to what machines cost: https://azure.microsoft.com/pricing/details/machine-learning/
    """
    plain = offer(row, cluster.region)
    own = managed_price(cluster.cloud, cluster.region, str(section), row.name)
    on_demand, as_of = (own.usd_hour, own.as_of) if own else (None, None)
    if cluster.cloud is Cloud.AZURE:
        on_demand, as_of = hourly_price(plain, "on-demand"), plain.as_of if plain else None
    usd = on_demand
    if purchase == "spot":
        spot = hourly_price(plain, purchase)
        usd = spot + own.spot_fee if spot is not None and own and own.spot_fee is not None else None
    unknown = f"no {purchase} price of {row.name} on {_SERVICE[cluster.cloud]} in {cluster.region}, which has its own"
    return _Hourly(usd, usd if usd is not None else on_demand, as_of, unknown)


def _unused(name: str, cluster: ClusterSpec, what: str, hourly: _Hourly) -> Line:
    """No hours, no figure."""
    usd = f"${hourly.usd.normalize():f} an hour and machine" if hourly.usd is not None else hourly.unknown
    return Line(
        kind="by-use",
        name=name,
        cloud=str(cluster.cloud),
        region=cluster.region,
        what=what,
        usd=Band(None, None, None),
        unknown=(f"paid by use: {usd}, and no hours are given",),
        as_of=hourly.as_of,
    )


def _line(
    name: str, cluster: ClusterSpec, row: Machine, what: str, hourly: _Hourly, nodes: tuple[int, int, int], hours: Decimal
) -> Line:
    kg = Band(*(carbon_of(cluster.cloud, cluster.region, row, count, hours) for count in nodes))
    unknown = [] if hourly.usd is not None else [hourly.unknown]
    if row.accelerator and not kg.known:
        why = "nobody published its power" if tdp_of(row) is None else "no figure of the grid"
        unknown.append(f"no carbon: {why}" if grid(cluster.cloud, cluster.region) else "no carbon: no figure of the grid")
    (low, expected, most), each = nodes, row.accelerators
    return Line(
        kind="machines",
        name=name,
        cloud=str(cluster.cloud),
        region=cluster.region,
        what=what if hours == ALL_MONTH else f"{what}, {hours.normalize():f} hours a month",
        usd=Band(_month(hourly.usd, low, hours), _month(hourly.usd, expected, hours), _month(hourly.most, most, hours)),
        kg=kg if row.accelerator else None,
        nodes=nodes,
        accelerator=row.accelerator.name if row.accelerator else None,
        accelerators=(low * each, expected * each, most * each) if row.accelerator else None,
        unknown=tuple(unknown),
        as_of=hourly.as_of,
    )


def _month(hourly: Decimal | None, nodes: int, hours: Decimal) -> Decimal | None:
    """None of a machine costs nothing, whatever its price."""
    if hourly is None:
        return None if nodes else Decimal(0)
    return month_of(hourly, nodes, hours)
