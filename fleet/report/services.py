"""The lines of a cluster's cloud services. Machines that stand are priced and counted; what is paid by use is not known.

No stack file says how much a queue or a workflow will be used: such a line has no figure, and says the price of a unit where
the catalogue has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, offer
from fleet.catalog.usage_prices import usage_price
from fleet.cost import grid, pool_cost, tdp_of
from fleet.report.model import Band, Line
from fleet.service_machines import machine_of
from fleet.spec import ClusterSpec
from fleet.spec_services import EndpointSpec, Kind, MachineSpec, TrainingSpec

_UNKNOWN = Band(None, None, None)


def lines(cluster_name: str, cluster: ClusterSpec) -> Iterator[Line]:
    """A line a service."""
    for kind, key, spec in cluster.services.all():
        name = f"{cluster_name}/{key}"
        match spec:
            case MachineSpec():
                row = machine_of(spec, cluster.cloud, cluster.region)
                yield _standing(name, cluster, row, str(spec.purchase), 1, None)
            case EndpointSpec():
                row = machine_of(spec, cluster.cloud, cluster.region)
                yield _standing(name, cluster, row, "managed endpoint", spec.machines, _endpoint_price(cluster.cloud, row))
            case TrainingSpec():
                row = machine_of(spec, cluster.cloud, cluster.region)
                what = f"training on {spec.nodes} {row.name}, {spec.purchase}"
                yield _by_use(name, cluster, kind, what, "paid by the hour that it runs, and no hours are given")
            case _:
                yield _by_use(name, cluster, kind, _words(kind), _unit(cluster, kind))


def _endpoint_price(cloud: Cloud, row: Machine) -> str | None:
    """Why a managed endpoint's machines have no price of the catalogue; None where they cost what the machines do.

    Azure adds nothing: https://azure.microsoft.com/pricing/details/machine-learning/
    """
    of = {
        Cloud.AWS: f"no price of ml.{row.name}, which is SageMaker's own",
        Cloud.GCP: f"no price of {row.name} on Vertex AI, which has its own; none stands until a model is deployed",
    }
    return of.get(cloud)


def _standing(name: str, cluster: ClusterSpec, row: Machine, what: str, count: int, unpriced: str | None) -> Line:
    price = None if unpriced else offer(row, cluster.region)
    purchase = what if what == "spot" else "on-demand"
    cost = pool_cost(cluster.cloud, cluster.region, row, price, purchase=purchase, nodes=count)
    usd, kg = Band(*[cost.usd_month] * 3), Band(*[cost.kg_month] * 3)
    unknown = [] if usd.known else [unpriced or f"no {purchase} price of {row.name} in {cluster.region}"]
    if row.accelerator and not kg.known:
        why = "nobody published its power" if tdp_of(row) is None else "no figure of the grid"
        unknown.append(f"no carbon: {why}" if grid(cluster.cloud, cluster.region) else "no carbon: no figure of the grid")
    here = (row.accelerators * count,) * 3 if row.accelerator else None
    return Line(
        kind="machines",
        name=name,
        cloud=str(cluster.cloud),
        region=cluster.region,
        what=f"{row.name}, {what}",
        usd=usd,
        kg=kg if row.accelerator else None,
        nodes=(count, count, count),
        accelerator=row.accelerator.name if row.accelerator else None,
        accelerators=here,
        unknown=tuple(unknown),
        as_of=price.as_of if price else None,
    )


def _by_use(name: str, cluster: ClusterSpec, kind: Kind, what: str, why: str) -> Line:
    price = usage_price(cluster.cloud, cluster.region, str(kind))
    return Line(
        kind="by-use",
        name=name,
        cloud=str(cluster.cloud),
        region=cluster.region,
        what=what,
        usd=_UNKNOWN,
        unknown=(why,),
        as_of=price.as_of if price else None,
    )


def _unit(cluster: ClusterSpec, kind: Kind) -> str:
    price = usage_price(cluster.cloud, cluster.region, str(kind))
    if price is None:
        return "paid by use: no price in the catalogue, and no use is given"
    return f"paid by use: ${_plain(price.usd)} for {price.unit}, and no use is given"


def _plain(usd: Decimal) -> str:
    return format(usd.normalize(), "f")


def _words(kind: Kind) -> str:
    return str(kind).replace("_", " ").removesuffix("s") if kind is not Kind.LOGS else "logs"
