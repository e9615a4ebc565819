"""Every way to have so many accelerators: cloud, region, machine, purchase; with what it costs and emits an hour.

Reads the catalogue, or a price list that somebody else keeps. What has no price is no candidate, and is counted as such;
what has no figure of carbon is one, with None. Capacity is no part of it: nobody publishes it.
"""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache

from fleet.catalog.accelerators import ACCELERATORS, Family
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Offer, offers
from fleet.catalog.tpu import TOPOLOGIES, TpuSlice, tpu_slice
from fleet.cost import DEFAULT_PUE, UTILISATION, grid, hourly_price, tdp_of

_WANT = re.compile(
    r"(?:(?P<name>[a-z](?:-?[a-z0-9])*)=)?(?P<accelerators>[a-z0-9.,-]+):"
    r"(?:(?P<nodes>[1-9][0-9]{0,3})x)?(?P<count>[1-9][0-9]{0,4})"
)


@dataclass(frozen=True)
class Want:
    """So many accelerators of one kind, whichever of these; they make one pool called `name`.

    Attributes:
        each: how many a node has; None where any node will do.
    """

    name: str
    accelerators: tuple[str, ...]
    count: int
    each: int | None = None

    @classmethod
    def parse(cls, text: str) -> Want:
        """`nvidia-l4:8`, or `chat=nvidia-l4,nvidia-a10g:8`, or `train=nvidia-h100-80gb:2x8` for two nodes of eight.

        Raises:
            ValueError: it is no such word, or names an accelerator that the catalogue does not know.
        """
        found = _WANT.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is not [POOL=]ACCELERATOR[,ACCELERATOR…]:[NODESx]COUNT, such as chat=nvidia-l4:8")
        names = tuple(dict.fromkeys(found["accelerators"].split(",")))
        for name in names:
            if name not in ACCELERATORS:
                near = _near(name)
                raise ValueError(f"the catalogue knows no {name!r}" + (f": did you mean {near}?" if near else ""))
        each = int(found["count"])
        if found["nodes"] is None:
            return cls(found["name"] or names[0], names, each)
        return cls(found["name"] or names[0], names, each * int(found["nodes"]), each)


def _near(name: str) -> str | None:
    from fleet.checks.finding import closest  # noqa: PLC0415 - of a wrong word only

    return closest(name, ACCELERATORS)


@dataclass(frozen=True)
class Where:
    """What may be chosen from: globs of clouds and regions, and ways to buy.

    Attributes:
        ms: how far users are from each region; None where nobody asked. max_ms: no farther than this.
    """

    clouds: tuple[str, ...] = ("*",)
    regions: tuple[str, ...] = ("*",)
    purchases: tuple[str, ...] = ("on-demand",)
    ms: Mapping[tuple[str, str], Decimal] | None = None
    max_ms: Decimal | None = None


@dataclass(frozen=True)
class Candidate:
    """One way to have what is wanted.

    Attributes:
        accelerators: how many there are then, as many as are wanted or more.
        usd_hour, kg_hour: of all nodes; kg is None where nobody published the power, or the grid's figure.
        ms: a round trip to the users; None where nobody asked for it, or it is not known.
        gco2_kwh: of the grid there, a year's mean. quota: the cloud's name; empty where the catalogue has none.
        source, as_of: of the price.
    """

    want: str
    cloud: str
    region: str
    machine: str
    accelerator: str
    nodes: int
    accelerators: int
    topology: str | None
    purchase: str
    usd_hour: Decimal
    kg_hour: Decimal | None
    ms: Decimal | None
    gco2_kwh: Decimal | None
    quota: str
    source: str
    as_of: str

    @property
    def place(self) -> tuple[str, str]:
        return self.cloud, self.region


@dataclass
class Found:
    """Candidates, and how many were none, by the reason."""

    candidates: list[Candidate] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)


Market = Mapping[str, Iterable[Offer]]


def market(of: Iterable[Offer]) -> dict[str, list[Offer]]:
    """Offers by their accelerator; what has none is in none."""
    made: dict[str, list[Offer]] = {}
    for one in of:
        if one.machine.accelerator:
            made.setdefault(one.machine.accelerator.name, []).append(one)
    return made


@cache
def _catalogue() -> Market:
    return market(offers())


def candidates(want: Want, where: Where, sold: Market | None = None) -> Found:
    """Every candidate for what is wanted.

    Args:
        sold: what there is, by accelerator; the catalogue's offers unless given.
    """
    found, here = Found(), _Here(where)
    for price in (one for name in want.accelerators for one in (sold or _catalogue()).get(name, ())):
        row = price.machine
        if not here.takes(row.cloud, price.region):
            found.refused["of another cloud or region"] += 1
            continue
        if row.part != 1:
            found.refused["a part of an accelerator"] += 1
            continue
        if want.each is not None and row.accelerators != want.each:
            found.refused[f"not {want.each} a node"] += 1
            continue
        ms = where.ms.get((str(row.cloud), price.region)) if where.ms is not None else None
        if where.max_ms is not None and (ms is None or ms > where.max_ms):
            found.refused["too far from the users" if ms is not None else "how far from the users is not known"] += 1
            continue
        slice_ = _slice(want, price)
        if row.accelerator and row.accelerator.family is Family.TPU and slice_ is None:
            found.refused["a machine that no slice of this size is made of"] += 1
            continue
        for purchase in where.purchases:
            hourly = hourly_price(price, purchase) if purchase in row.purchases else None
            if hourly is None:
                found.refused[f"no {purchase} price"] += 1
                continue
            found.candidates.append(_candidate(want, price, purchase, hourly, slice_, ms))
    return found


class _Here:
    """Whether a place may be chosen; a price list names each many times."""

    def __init__(self, where: Where) -> None:
        self._where = where
        self._known: dict[tuple[str, str], bool] = {}

    def takes(self, cloud: str, region: str) -> bool:
        key = (cloud, region)
        if key not in self._known:
            self._known[key] = _matches(cloud, self._where.clouds) and _matches(region, self._where.regions)
        return self._known[key]


def _matches(word: str, globs: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(word, glob) for glob in globs)


def _slice(want: Want, price: Offer) -> TpuSlice | None:
    """The smallest slice with as many chips, if it is made of these machines."""
    accelerator = price.machine.accelerator
    if accelerator is None or accelerator.name not in TOPOLOGIES:
        return None
    shapes = (tpu_slice(accelerator.name, topology) for topology in TOPOLOGIES[accelerator.name])
    large = [shape for shape in shapes if shape.chips >= want.count]
    if not large:
        return None
    smallest = min(large, key=lambda shape: shape.chips)
    return smallest if smallest.machine == price.machine else None


def _candidate(
    want: Want, price: Offer, purchase: str, hourly: Decimal, slice_: TpuSlice | None, ms: Decimal | None
) -> Candidate:
    row = price.machine
    assert row.accelerator is not None, "its caller looked"
    nodes = slice_.hosts if slice_ else -(-want.count // row.accelerators)
    watts, here = tdp_of(row), grid(row.cloud, price.region)
    intensity, pue = here or (None, DEFAULT_PUE)
    kg = None
    if watts is not None and intensity is not None:
        kg = watts * nodes / 1000 * UTILISATION * pue * intensity / 1000
    return Candidate(
        want=want.name,
        cloud=str(row.cloud),
        region=price.region,
        machine=row.name,
        accelerator=row.accelerator.name,
        nodes=nodes,
        accelerators=nodes * row.accelerators,
        topology=slice_.topology if slice_ else None,
        purchase=purchase,
        usd_hour=hourly * nodes,
        kg_hour=kg,
        ms=ms,
        gco2_kwh=intensity,
        quota=row.spot_quota if purchase == "spot" else row.quota,
        source=price.source,
        as_of=price.as_of,
    )


def named(words: Iterator[str] | list[str]) -> list[Want]:
    """All that is wanted.

    Raises:
        ValueError: a word is wrong, or two pools have one name.
    """
    wants = [Want.parse(word) for word in words]
    twice = [name for name, count in Counter(want.name for want in wants).items() if count > 1]
    if twice:
        raise ValueError(f"two pools are called {twice[0]}: name them, as in a={twice[0]}:8")
    return wants


CLOUDS = tuple(str(cloud) for cloud in Cloud if cloud is not Cloud.EXISTING)
