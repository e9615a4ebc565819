"""What things cost and emit in three cases, and the sums of what is known of them. Adds; knows no price."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal


@dataclass(frozen=True)
class Band:
    """At the least, as declared, and at the most.

    Attributes:
        floor: with the nodes that always stand. expected: with those that the models' fewest replicas fill.
        ceiling: with every pool at its bound, bought in its dearest way.
    """

    floor: Decimal | None
    expected: Decimal | None
    ceiling: Decimal | None

    @property
    def known(self) -> bool:
        return None not in (self.floor, self.expected, self.ceiling)


ZERO = Band(Decimal(0), Decimal(0), Decimal(0))


def total(bands: Iterable[Band]) -> Band:
    """The sum of what is known."""
    all_ = list(bands)

    def add(numbers: Iterable[Decimal | None]) -> Decimal:
        return sum((number for number in numbers if number is not None), Decimal(0))

    return Band(add(b.floor for b in all_), add(b.expected for b in all_), add(b.ceiling for b in all_))


def difference(after: Band | None, before: Band | None) -> Band:
    """What changes, of what is known of both; a side that is not there counts as nothing."""
    new, old = after or ZERO, before or ZERO

    def less(a: Decimal | None, b: Decimal | None) -> Decimal:
        return (a or Decimal(0)) - (b or Decimal(0))

    return Band(less(new.floor, old.floor), less(new.expected, old.expected), less(new.ceiling, old.ceiling))


@dataclass(frozen=True)
class Line:
    """One thing that is paid for.

    Attributes:
        kind: `pool` for machines with accelerators, whoever has them.
        name: `cluster/pool`, or `cluster` with what it is; a resource's own. what: machines and how they are bought.
        nodes: at the floor, expected and at the ceiling; None where nodes are not what is paid for.
        accelerator: catalogue name, and `accelerators` how many of them stand in the three cases.
        kg: None where nothing of it is counted: a CPU's power no cloud publishes.
        unknown: why a figure is missing. as_of: date of the price.
    """

    kind: Literal["pool", "tpu-vm", "system", "machines", "control-plane", "nat", "disk", "load-balancer", "by-use", "service"]
    name: str
    cloud: str
    region: str
    what: str
    usd: Band
    kg: Band | None = None
    nodes: tuple[int, int, int] | None = None
    accelerator: str | None = None
    accelerators: tuple[int, int, int] | None = None
    unknown: tuple[str, ...] = ()
    as_of: str | None = None


@dataclass(frozen=True)
class Estimate:
    """A stack as one stack file has it."""

    lines: tuple[Line, ...]
    usd: Band
    kg: Band
    priced: int
    counted: int
    with_accelerators: int
    accelerators: dict[str, tuple[int, int, int]]
    as_of: tuple[str, str] | None
    by_use: int = 0

    @property
    def priceable(self) -> int:
        """Lines that can have a price though nobody knows how much they will be used."""
        return len(self.lines) - self.by_use

    @classmethod
    def of(cls, lines: Iterable[Line]) -> Estimate:
        """The sums over these lines."""
        all_ = tuple(lines)
        pools = [line for line in all_ if line.accelerator]
        count: dict[str, tuple[int, int, int]] = {}
        for line in pools:
            if line.accelerator and line.accelerators:
                before = count.get(line.accelerator, (0, 0, 0))
                low, middle, high = (a + b for a, b in zip(before, line.accelerators, strict=True))
                count[line.accelerator] = (low, middle, high)
        dates = sorted(line.as_of for line in all_ if line.as_of and line.as_of[:1].isdigit())
        return cls(
            lines=all_,
            usd=total(line.usd for line in all_),
            kg=total(line.kg for line in pools if line.kg),
            priced=sum(line.usd.known for line in all_),
            counted=sum(line.kg is not None and line.kg.known for line in pools),
            with_accelerators=len(pools),
            accelerators=count,
            as_of=(dates[0], dates[-1]) if dates else None,
            by_use=sum(line.kind == "by-use" for line in all_),
        )
