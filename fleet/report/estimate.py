"""What a stack file costs and emits a month, line by line: pools, system nodes, disks, control planes, NAT gateways.

Reads the checked spec and the catalogue, no cloud. Three cases (`fleet.report.model.Band`), since with autoscaled
pools no single number is true. What the catalogue cannot price says why, and never counts as nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Literal

from fleet.catalog.clouds import SYSTEM_MACHINE, Cloud
from fleet.catalog.machines import Offer, machine, offer
from fleet.catalog.services import ServicePrice, service_price
from fleet.catalog.tpu_vms import tpu_vm_type
from fleet.contract import AcceleratorPool
from fleet.cost import HOURS_A_MONTH, grid, hourly_price, pool_cost, tdp_of
from fleet.plan import least_nodes, network_zones, pools
from fleet.report import services
from fleet.report.disks import pool_disks, stores, system_disks
from fleet.report.model import Band, Estimate, Line
from fleet.spec import ClusterSpec, Environment, StackSpec
from fleet.spec_network import Nat
from fleet.spec_tpu import TpuVmSpec

# Cloud NAT asks a price a VM for so many, and one price for more.
_NAT_NODES = 32
_SERVICE = {Cloud.AWS: "EKS", Cloud.GCP: "GKE", Cloud.AZURE: "AKS"}
_Kind = Literal["control-plane", "nat"]

# In no sum of a report, because no stack file says how much of it there will be.
NOT_COUNTED = (
    "what is in object stores",
    "volumes and load balancers that workloads ask for",
    "traffic through NAT and out of the cloud",
    "public addresses",
    "logs",
    "taxes and discounts",
    "the power of CPUs and hosts",
)


def estimate(stack: str, spec: StackSpec) -> Estimate:
    """The lines of a checked stack file, and their sums."""
    return Estimate.of(line for name, cluster in spec.clusters.items() for line in _cluster(stack, name, cluster, spec))


def _cluster(stack: str, name: str, cluster: ClusterSpec, spec: StackSpec) -> Iterator[Line]:
    made = list(pools(stack, name, cluster).values())
    found = [_pool(name, cluster, pool) for pool in made]
    yield from found
    yield from (_tpu_vm(name, cluster, key, vm) for key, vm in cluster.tpu_vms.items())
    if cluster.cloud is Cloud.EXISTING:
        return
    system = _system(name, cluster)
    yield system
    for pool, line in zip(made, found, strict=True):
        if line.nodes and (disks := pool_disks(name, pool, line.nodes)):
            yield disks
    if system.nodes:
        yield system_disks(name, cluster, cluster.system_pool.machine or SYSTEM_MACHINE[cluster.cloud], system.nodes)
    yield from stores(name, cluster)
    yield _control_plane(name, cluster, spec.environment)
    yield from services.lines(name, cluster)
    nodes = [line.nodes for line in (*found, system) if line.nodes]
    if cluster.network.nat is not Nat.NONE and not cluster.network.existing:
        yield _nat(name, cluster, (sum(n[0] for n in nodes), sum(n[1] for n in nodes), sum(n[2] for n in nodes)))


def _pool(cluster_name: str, cluster: ClusterSpec, pool: AcceleratorPool) -> Line:
    models = [model for model in cluster.models.values() if model.pool == pool.name]
    filled = least_nodes(models, pool.machine, pool.tpu, pool.sharing)
    low, most = pool.min_nodes, pool.most_nodes
    nodes = (low, max(pool.start_nodes, low, min(most, filled)), most)
    unpriced = [why for rung in pool.rungs if (why := _unpriced(rung))]
    usd = Band(_bought(pool.rungs, low, _hourly), _bought(pool.rungs, nodes[1], _hourly), _ceiling(pool))
    kg = Band(*(pool_cost(pool.cloud, pool.region, pool.machine, None, purchase="", nodes=n).kg_month for n in nodes))
    price = _offer(pool)
    return Line(
        kind="pool",
        name=f"{cluster_name}/{pool.name}",
        cloud=str(pool.cloud),
        region=pool.region,
        what=f"{pool.machine.name}, {', then '.join(rung.purchase for rung in pool.rungs)}",
        usd=usd,
        kg=kg,
        nodes=nodes,
        accelerator=pool.accelerator.name,
        accelerators=(nodes[0] * pool.per_node, nodes[1] * pool.per_node, nodes[2] * pool.per_node),
        unknown=(*dict.fromkeys(unpriced), *_uncounted(pool)),
        as_of=price.as_of if price else None,
    )


def _tpu_vm(cluster_name: str, cluster: ClusterSpec, name: str, spec: TpuVmSpec) -> Line:
    """It stands from `up` to `destroy`, with all of its machines."""
    row = tpu_vm_type(spec.type, cluster.region, spec.zone)
    hourly = row.usd_hour(spot=spec.purchase == "spot")
    usd = _month(hourly) if hourly is not None else None
    unknown = () if usd is not None else (f"no {spec.purchase} price of a TPU VM {row.type} in {row.region}",)
    return Line(
        kind="tpu-vm",
        name=f"{cluster_name}/{name}",
        cloud=str(cluster.cloud),
        region=cluster.region,
        what=f"TPU VM {row.type}, {spec.purchase}",
        usd=Band(usd, usd, usd),
        nodes=(row.hosts, row.hosts, row.hosts),
        accelerator=row.accelerator,
        accelerators=(row.chips, row.chips, row.chips),
        unknown=(*unknown, f"no carbon: nobody published the power of {row.accelerator}"),
        as_of=row.price_as_of or None,
    )


def _offer(rung: AcceleratorPool) -> Offer | None:
    """The catalogue's price, or what the owner of the hosts said that one costs."""
    if rung.hosts is None:
        return offer(rung.machine, rung.region)
    if rung.hosts.usd_hour is None:
        return None
    own = Decimal(str(rung.hosts.usd_hour))
    return Offer(region=rung.region, machine=rung.machine, on_demand=own, spot=None, source="hosts.usd_hour", as_of="")


def _hourly(rung: AcceleratorPool) -> Decimal | None:
    return hourly_price(_offer(rung), rung.purchase)


def _hourly_most(rung: AcceleratorPool) -> Decimal | None:
    """Where nobody knows what spot costs: on-demand, which no cloud's spot costs more than unless one asks for it."""
    known = _hourly(rung)
    return hourly_price(_offer(rung), "on-demand") if known is None and rung.spot else known


def _ceiling(pool: AcceleratorPool) -> Decimal | None:
    """The pool at its bound, the dearest rungs first; one of no known price may be the dearest."""
    if any(_hourly_most(rung) is None for rung in pool.rungs):
        return None
    dearest = sorted(pool.rungs, key=lambda rung: -(_hourly_most(rung) or 0))
    return _bought(dearest, pool.most_nodes, _hourly_most)


def _bought(
    rungs: Iterable[AcceleratorPool], nodes: int, hourly: Callable[[AcceleratorPool], Decimal | None]
) -> Decimal | None:
    """USD a month of so many nodes, taken from the rungs in this order; None where one of them has no price."""
    an_hour, left = Decimal(0), nodes
    for rung in rungs:
        here, price = min(left, rung.max_nodes), hourly(rung)
        if here and price is None:
            return None
        an_hour, left = an_hour + (price or 0) * here, left - here
    return _month(an_hour)


def _unpriced(rung: AcceleratorPool) -> str | None:
    if _hourly(rung) is not None:
        return None
    if rung.hosts:
        return "no price: set hosts.usd_hour"
    if _offer(rung) is not None and rung.terms:
        return f"no price: {rung.purchase} has none of its own here, it is agreed or paid ahead"
    return f"no {rung.purchase} price of {rung.machine.name} in {rung.region}"


def _uncounted(pool: AcceleratorPool) -> Iterator[str]:
    if tdp_of(pool.machine) is None:
        yield f"no carbon: nobody published the power of {pool.accelerator.name}"
    elif grid(pool.cloud, pool.region) is None:
        yield f"no carbon: no figure of the grid of {pool.region}"


def _system(cluster_name: str, cluster: ClusterSpec) -> Line:
    name = cluster.system_pool.machine or SYSTEM_MACHINE[cluster.cloud]
    row = machine(cluster.cloud, name)
    price = offer(row, cluster.region) if row else None
    size = cluster.system_pool.nodes
    nodes = (size.min, max(size.min, size.start or 0), size.max)
    usd = Band(*(pool_cost(cluster.cloud, cluster.region, row, price, purchase="on-demand", nodes=n).usd_month for n in nodes))
    return Line(
        kind="system",
        name=f"{cluster_name} system nodes",
        cloud=str(cluster.cloud),
        region=cluster.region,
        what=f"{name}, on-demand",
        usd=usd,
        nodes=nodes,
        unknown=() if usd.known else (f"no on-demand price of {name} in {cluster.region}",),
        as_of=price.as_of if price else None,
    )


def _control_plane(cluster_name: str, cluster: ClusterSpec, environment: Environment) -> Line:
    service = "control-plane"
    if cluster.cloud is Cloud.AZURE:
        # infra/clouds/azure/cluster.py: the tier with an SLA goes with the protection of prod.
        service += "-standard" if environment is Environment.PROD else "-free"
    price = service_price(cluster.cloud, cluster.region, service)
    return _service(cluster_name, cluster, "control-plane", f"{_SERVICE[cluster.cloud]} control plane", price, 1)


def _nat(cluster_name: str, cluster: ClusterSpec, nodes: tuple[int, int, int]) -> Line:
    """NAT gateways by the hour: one or one a zone; Cloud NAT is one, and asks by the nodes that use it."""
    if cluster.cloud is not Cloud.GCP:
        count = len(network_zones(cluster)) if cluster.network.nat is Nat.PER_ZONE else 1
        price = service_price(cluster.cloud, cluster.region, "nat-gateway")
        what = f"{count} NAT gateway{'s' if count > 1 else ''}"
        return _service(cluster_name, cluster, "nat", what, price, count)
    few, many = (service_price(cluster.cloud, cluster.region, name) for name in ("nat-a-node", "nat-most"))
    if few is None or many is None:
        return _service(cluster_name, cluster, "nat", "Cloud NAT", None, 1)
    cases = [few.usd_hour * n if n <= _NAT_NODES else many.usd_hour for n in nodes]
    return _line(cluster_name, cluster, "nat", "Cloud NAT", Band(*(_month(usd) for usd in cases)), few)


def _service(cluster_name: str, cluster: ClusterSpec, kind: _Kind, what: str, price: ServicePrice | None, count: int) -> Line:
    usd = _month(price.usd_hour * count) if price else None
    return _line(cluster_name, cluster, kind, what, Band(usd, usd, usd), price)


def _line(cluster_name: str, cluster: ClusterSpec, kind: _Kind, what: str, usd: Band, price: ServicePrice | None) -> Line:
    name = "NAT" if kind == "nat" else "control plane"
    return Line(
        kind=kind,
        name=f"{cluster_name} {name}",
        cloud=str(cluster.cloud),
        region=cluster.region,
        what=what,
        usd=usd,
        unknown=() if price else (f"no price of {name} in {cluster.region}",),
        as_of=price.as_of if price else None,
    )


def _month(hourly: Decimal) -> Decimal:
    return (hourly * HOURS_A_MONTH).quantize(Decimal("0.01"))
