"""Facts about commitments: sold by that cloud, still running, of machines there are, and one for each hour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import combinations

from fleet.catalog.clouds import PUBLIC, regions
from fleet.catalog.machines import machine, machines
from fleet.checks.finding import Finding, Path, fields, listed, nearest
from fleet.commitments import SOLD, CommitmentSpec, list_price


def check(made: Mapping[str, CommitmentSpec]) -> Iterator[Finding]:
    """Faults of a stack's commitments."""
    for name, one in made.items():
        where: Path = ("commitments", name)
        yield from _sold(where, one)
        yield from _term(where, one)
        yield from _place(where, one)
        yield from _amount(where, one)
    yield from _overlaps(made)


def _sold(where: Path, one: CommitmentSpec) -> Iterator[Finding]:
    cloud, kind = fields(where, "cloud", "kind")
    if one.cloud not in SOLD:
        message = "nothing is committed to a cluster of one's own"
        yield Finding(cloud, message, repr(str(one.cloud)), listed(PUBLIC), "remove it; hosts have usd_hour")
    elif one.kind not in SOLD[one.cloud]:
        message = f"{one.cloud} sells no {one.kind}"
        remedy = f"set kind: {SOLD[one.cloud][0]}"
        yield Finding(kind, message, repr(str(one.kind)), listed(SOLD[one.cloud]), remedy, needs=(kind, cloud))


def _term(where: Path, one: CommitmentSpec) -> Iterator[Finding]:
    starts, ends = fields(where, "starts", "ends")
    if one.starts is not None and one.ends <= one.starts:
        message = "ends before it starts"
        yield Finding(ends, message, str(one.ends), f"after {one.starts}", "mend one of the two", needs=(starts, ends))
    elif one.ends <= datetime.now(UTC):
        yield Finding(ends, "that commitment is over", str(one.ends), "a time to come", "remove it, or write the next one")


def _place(where: Path, one: CommitmentSpec) -> Iterator[Finding]:
    cloud = (*where, "cloud")
    if one.cloud not in SOLD:
        return
    known = regions(one.cloud)
    for i, region in enumerate(one.regions):
        if region not in known:
            at = (*where, "regions", i)
            remedy = nearest(region, known, "use a region of the catalogue")
            yield Finding(at, f"{one.cloud} has no such region", repr(region), listed(known), remedy, needs=(at, cloud))
    names = sorted({m.name for m in machines() if m.cloud is one.cloud})
    for i, family in enumerate(one.machines):
        if not any(name.startswith(family) for name in names):
            at = (*where, "machines", i)
            message = f"no machine of {one.cloud} that the catalogue knows begins so"
            remedy = nearest(family, names, "use a type or its beginning")
            yield Finding(at, message, repr(family), "such as " + names[0], remedy, needs=(at, cloud))


def _amount(where: Path, one: CommitmentSpec) -> Iterator[Finding]:
    """An amount of money, or of machines whose price is known."""
    usd, nodes, of, there = fields(where, "usd_hour", "nodes", "machines", "regions")
    if (one.usd_hour is None) == (one.nodes is None):
        said = "says usd_hour and nodes" if one.nodes else "says no amount"
        remedy = "keep one of the two" if one.nodes else "add usd_hour, what is committed an hour"
        yield Finding(where, said, allowed="one of usd_hour, nodes", remedy=remedy, at_key=True, needs=(usd, nodes))
    elif one.nodes is not None:
        read = (nodes, of, there, (*where, "cloud"))
        exact = len(one.machines) == 1 and machine(one.cloud, one.machines[0]) is not None
        if not exact or len(one.regions) != 1:
            message = "nodes are of one machine type in one region"
            remedy = "name them in machines and regions, or write usd_hour instead"
            yield Finding(nodes, message, str(one.nodes), "one machine, one region", remedy, needs=read)
        elif list_price(one.cloud, one.regions[0], one.machines[0]) is None:
            message = f"the catalogue has no list price of {one.machines[0]} in {one.regions[0]}"
            yield Finding(nodes, message, str(one.nodes), "usd_hour", "write usd_hour instead", needs=read)


def _overlaps(made: Mapping[str, CommitmentSpec]) -> Iterator[Finding]:
    """Two of which one hour could be paid: which one it is, and so what is left, would be a guess."""
    for (first, one), (second, other) in combinations(made.items(), 2):
        if one.cloud is other.cloud and _meet(one, other):
            where: Path = ("commitments", second)
            needs = (where, ("commitments", first))
            message = f"could pay for the same hours as '{first}'"
            remedy = "tell them apart by regions, machines or dates, or add them up"
            yield Finding(where, message, allowed="one commitment for each hour", remedy=remedy, at_key=True, needs=needs)


def _meet(one: CommitmentSpec, other: CommitmentSpec) -> bool:
    in_time = (one.starts is None or one.starts < other.ends) and (other.starts is None or other.starts < one.ends)
    there = not one.regions or not other.regions or bool({*one.regions} & {*other.regions})
    pairs = [(a, b) for a in one.machines or [""] for b in other.machines or [""]]
    return in_time and there and any(a.startswith(b) or b.startswith(a) for a, b in pairs)
