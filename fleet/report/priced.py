"""What things cost and emit a month, as lines of a report. Reads the catalogue; what it lacks is said, never zero."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal

from fleet.catalog.accelerators import ACCELERATORS
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, machine, offer
from fleet.catalog.plain_prices import PlainPrice, plain_prices
from fleet.catalog.services import service_price
from fleet.catalog.storage import disk_price
from fleet.cost import HOURS_A_MONTH, grid, hourly_price, pool_cost, tdp_of
from fleet.inventory.thing import Count, Thing
from fleet.report.model import Band, Line

# In no sum of a program's report, because nothing in the program says how much of it there will be.
NOT_COUNTED = (
    "what is paid by use",
    "traffic",
    "what disks are asked beyond their kind's base",
    "logs",
    "taxes and discounts",
    "the power of CPUs and hosts",
)
_UNKNOWN = Band(None, None, None)
# Cloud NAT asks a price a VM for so many, and one price for more; forwarding rules cost as one up to so many.
_NAT_NODES, _RULES = 32, 5


def lines(found: Iterable[Thing]) -> Iterator[Line]:
    """A line for each thing; GCP's forwarding rules of a program make one."""
    all_ = list(found)
    rules = [thing for thing in all_ if thing.service == "forwarding-rules"]
    for thing in all_:
        if thing.service == "forwarding-rules":
            if thing is rules[0]:
                yield _rules(thing, len(rules))
        elif thing.unknown or thing.count is None:
            yield _line(thing, _UNKNOWN, why=thing.unknown or "how many there are is not in the file")
        elif thing.kind == "machines":
            yield _machines(thing, thing.count)
        elif thing.disk:
            yield _disk(thing, thing.count, *thing.disk)
        elif thing.service == "nat-a-node":
            yield _cloud_nat(thing, _nodes(all_, thing.region))
        else:
            yield _service(thing, thing.count)


def row_of(thing: Thing) -> Machine | None:
    """The catalogue's row of a thing's machines; None where it has none."""
    if thing.cloud is None or thing.machine is None:
        return None
    if thing.gpu is None:
        return machine(thing.cloud, thing.machine)
    name, many = thing.gpu
    called = next((one.name for one in ACCELERATORS.values() if one.gke_name == name), None)
    row = machine(thing.cloud, thing.machine, called) if called else None
    return row if row and row.accelerators == many else None


def _machines(thing: Thing, count: Count) -> Line:
    row = row_of(thing)
    if row is None and (plain := _plain(thing)):
        usd = Band(*(_money(plain.usd_hour * HOURS_A_MONTH * many) for many in count))
        return _line(thing, usd, nodes=count, as_of=plain.as_of)
    price = offer(row, thing.region) if row and thing.region else None
    hourly = hourly_price(price, thing.purchase)
    usd = _UNKNOWN if hourly is None else Band(*(_money(hourly * HOURS_A_MONTH * many) for many in count))
    why = [] if hourly is not None else [f"no {thing.purchase} price of {thing.what} in {thing.region or 'an unknown region'}"]
    with_accelerators = row is not None and row.accelerator is not None
    if not with_accelerators:
        return _line(thing, usd, nodes=count, why=" ".join(why), as_of=price.as_of if price else None)
    assert row is not None
    assert row.accelerator is not None
    assert thing.cloud is not None
    place = thing.region or ""
    kg = Band(*(pool_cost(thing.cloud, place, row, None, purchase="", nodes=many).kg_month for many in count))
    if tdp_of(row) is None:
        why.append(f"no carbon: nobody published the power of {row.accelerator.name}")
    elif grid(thing.cloud, place) is None:
        why.append(f"no carbon: no figure of the grid of {place or 'an unknown region'}")
    return Line(
        kind="pool",
        name=thing.resource.name,
        cloud=str(thing.cloud),
        region=place,
        what=f"{thing.what}, {thing.purchase}",
        usd=usd,
        kg=kg,
        nodes=count,
        accelerator=row.accelerator.name,
        accelerators=(count[0] * row.accelerators, count[1] * row.accelerators, count[2] * row.accelerators),
        unknown=tuple(why),
        as_of=price.as_of if price else None,
    )


def _plain(thing: Thing) -> PlainPrice | None:
    """Of a machine that the catalogue has no more of than its price, bought on demand."""
    if thing.cloud is None or thing.gpu or thing.purchase != "on-demand":
        return None
    return plain_prices().get((thing.cloud, thing.region or "", thing.machine or ""))


def _disk(thing: Thing, count: Count, kind: str, gib: int) -> Line:
    price = disk_price(thing.cloud, thing.region, kind, gib) if thing.cloud and thing.region else None
    if price is None:
        return _line(thing, _UNKNOWN, why=f"no price of {thing.what} in {thing.region or 'an unknown region'}")
    return _line(thing, Band(*(_money(price.of(gib) * many) for many in count)), as_of=price.as_of)


def _service(thing: Thing, count: Count) -> Line:
    found = service_price(thing.cloud, thing.region or "", thing.service) if thing.cloud and thing.service else None
    if found is None:
        return _line(thing, _UNKNOWN, why=f"no price of {thing.what} in {thing.region or 'an unknown region'}")
    return _line(thing, Band(*(_money(found.usd_hour * HOURS_A_MONTH * many) for many in count)), as_of=found.as_of)


def _cloud_nat(thing: Thing, nodes: Count) -> Line:
    """By the machines of the program in the gateway's region, the only ones that the program knows of."""
    few, many = (service_price(Cloud.GCP, thing.region or "", name) for name in ("nat-a-node", "nat-most"))
    if few is None or many is None:
        return _line(thing, _UNKNOWN, why="no price of Cloud NAT")
    hourly = [few.usd_hour * n if n <= _NAT_NODES else many.usd_hour for n in nodes]
    return _line(thing, Band(*(_money(usd * HOURS_A_MONTH) for usd in hourly)), as_of=few.as_of)


def _nodes(all_: list[Thing], region: str | None) -> Count:
    counts = [
        one.count for one in all_ if one.kind == "machines" and one.cloud is Cloud.GCP and one.region == region and one.count
    ]
    return (sum(c[0] for c in counts), sum(c[1] for c in counts), sum(c[2] for c in counts))


def _rules(thing: Thing, many: int) -> Line:
    first, more = (service_price(Cloud.GCP, "*", name) for name in ("forwarding-rules", "forwarding-rule-more"))
    if first is None or more is None:
        return _line(thing, _UNKNOWN, why="no price of forwarding rules")
    usd = _money((first.usd_hour + more.usd_hour * max(0, many - _RULES)) * HOURS_A_MONTH)
    what = f"{many} forwarding rule{'s' if many > 1 else ''}"
    return _line(thing, Band(usd, usd, usd), as_of=first.as_of, what=what)


def _line(
    thing: Thing, usd: Band, *, nodes: Count | None = None, why: str = "", as_of: str | None = None, what: str = ""
) -> Line:
    bought = f", {thing.purchase}" if thing.kind == "machines" and thing.machine else ""
    return Line(
        kind=thing.kind,
        name=thing.resource.name,
        cloud=str(thing.cloud or "-"),
        region=thing.region or "-",
        what=(what or thing.what) + bought,
        usd=usd,
        nodes=nodes,
        unknown=(why,) if why else (),
        as_of=as_of,
    )


def _money(value: Decimal) -> Decimal:
    return value.quantize(Decimal("0.01"))
