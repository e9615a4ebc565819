"""The lines of a cluster's cloud services: what is paid by use, by the use given; machines are `service_machines`'.

Where a stack file says how much of a service a month uses (`usage:`), its line has a figure; else it has none, and says the
price of a unit where the catalogue has it.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from fleet.catalog.clouds import Cloud
from fleet.catalog.services import service_price
from fleet.catalog.usage_prices import UNREAD, UsagePrice, prices_of
from fleet.cost import HOURS_A_MONTH
from fleet.report import service_machines
from fleet.report.model import Band, Line
from fleet.spec import ClusterSpec
from fleet.spec_services import ByUse, EndpointSpec, Kind, MachineSpec, Service, TrainingSpec

_UNKNOWN = Band(None, None, None)
_CENT = Decimal("0.01")


def lines(cluster_name: str, cluster: ClusterSpec) -> Iterator[Line]:
    """A line a service, and one for the namespace that Azure's queues and topics are in."""
    if cluster.cloud is Cloud.AZURE and (cluster.services.queues or cluster.services.topics):
        yield _namespace(cluster_name, cluster)
    for kind, key, spec in cluster.services.all():
        name = f"{cluster_name}/{key}"
        match spec:
            case MachineSpec() | TrainingSpec() | EndpointSpec():
                yield service_machines.line(name, cluster, spec)
            case _:
                yield _by_use(name, cluster, kind, spec)


def _namespace(cluster_name: str, cluster: ClusterSpec) -> Line:
    """What Service Bus asks for standing there, whatever goes through."""
    price = service_price(Cloud.AZURE, cluster.region, "service-bus")
    usd = (price.usd_hour * HOURS_A_MONTH).quantize(_CENT) if price else None
    return Line(
        kind="service",
        name=f"{cluster_name}/service-bus",
        cloud=str(cluster.cloud),
        region=cluster.region,
        what="Service Bus namespace",
        usd=Band(usd, usd, usd),
        unknown=() if price else (f"no price of a Service Bus namespace in {cluster.region}",),
        as_of=price.as_of if price else None,
    )


def _by_use(name: str, cluster: ClusterSpec, kind: Kind, spec: Service) -> Line:
    used = spec.usage if isinstance(spec, ByUse) else {}
    prices = prices_of(cluster.cloud, cluster.region, str(kind))
    why = _lacking(prices, used, UNREAD.get((cluster.cloud, str(kind)), ""))
    dates = [price.as_of for price in prices]
    if why:
        return _unknown(name, cluster, _words(kind), why, min(dates, default=None))
    usd = sum((price.of(used.get(price.measure, 1)) for price in prices), Decimal(0)).quantize(_CENT)
    counted = ", ".join(f"{amount:,.10g} {measure}" for measure, amount in used.items())
    return Line(
        kind="service",
        name=name,
        cloud=str(cluster.cloud),
        region=cluster.region,
        what=f"{_words(kind)}, a month: {counted}" if counted else _words(kind),
        usd=Band(usd, usd, usd),
        as_of=min(dates),
    )


def _lacking(prices: tuple[UsagePrice, ...], used: dict[str, float], unread: str) -> str:
    """Why there is no figure; empty where there is one. A measure that is not given is never taken for nothing."""
    if not prices and unread:
        return f"paid by use: no price in the catalogue: {unread}"
    if not prices:
        return "paid by use: no price in the catalogue" + ("" if used else ", and no use is given")
    missing = [price.measure for price in prices if price.measure and price.measure not in used]
    foreign = [measure for measure in used if measure not in {price.measure for price in prices}]
    if foreign:
        return f"paid by use: no price of {', '.join(foreign)} there in the catalogue"
    if missing:
        of = f" of {', '.join(missing)}" if used else ""
        asked = ", ".join(f"${_plain(price.usd)} for {price.unit}" for price in prices)
        return f"paid by use: {asked}, and no use{of} is given"
    return ""


def _unknown(name: str, cluster: ClusterSpec, what: str, why: str, as_of: str | None = None) -> Line:
    return Line(
        kind="by-use",
        name=name,
        cloud=str(cluster.cloud),
        region=cluster.region,
        what=what,
        usd=_UNKNOWN,
        unknown=(why,),
        as_of=as_of,
    )


def _plain(usd: Decimal) -> str:
    return format(usd.normalize(), "f")


def _words(kind: Kind) -> str:
    return str(kind).replace("_", " ").removesuffix("s") if kind is not Kind.LOGS else "logs"
