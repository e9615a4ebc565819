"""What a drawing shows, before it is drawn: boxes in groups, and arrows between them.

`diagrams.stack` and `diagrams.layers` make one; `diagrams.mermaid` and `diagrams.svg` draw it. Knows nothing of either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter


@dataclass(frozen=True)
class Box:
    """One thing: a title, lines below it, a kind that decides its colour; `column` where its maker knows it, else by arrows."""

    id: str
    kind: str
    title: str
    lines: tuple[str, ...] = ()
    column: int | None = None


@dataclass(frozen=True)
class Arrow:
    source: str
    target: str
    label: str = ""


@dataclass(frozen=True)
class Group:
    """Boxes that belong together, framed where it has a title; arrows do not leave it."""

    title: str
    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a box twice and an arrow from or to nowhere: a drawing that lacks something in silence is worse than none."""
        ids = [box.id for box in self.boxes]
        twice = {id_ for id_ in ids if ids.count(id_) > 1}
        nowhere = {end for arrow in self.arrows for end in (arrow.source, arrow.target)} - set(ids)
        if twice or nowhere:
            raise ValueError(f"{self.title}: boxes twice: {sorted(twice)}; arrows to nowhere: {sorted(nowhere)}")

    def columns(self) -> dict[str, int]:
        """Each box's column: its own, else one behind the last that points to it.

        Raises:
            ValueError: arrows go round in a circle.
        """
        before: dict[str, set[str]] = {box.id: set() for box in self.boxes}
        for arrow in self.arrows:
            before[arrow.target].add(arrow.source)
        own = {box.id: box.column for box in self.boxes}
        found: dict[str, int] = {}
        try:
            for id_ in TopologicalSorter(before).static_order():
                given = own[id_]
                found[id_] = given if given is not None else 1 + max((found[one] for one in before[id_]), default=-1)
        except CycleError as circle:
            raise ValueError(f"{self.title}: arrows go round: {' -> '.join(circle.args[1])}") from None
        return found


@dataclass(frozen=True)
class Drawing:
    name: str
    title: str
    groups: tuple[Group, ...]


def reduced(edges: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """The fewest arrows that still lead from everywhere to where these do; for edges without a circle."""

    def reach(start: str, first: Iterable[str]) -> set[str]:
        seen: set[str] = set()
        waiting = [end for end in first if end != start]
        while waiting:
            at = waiting.pop()
            if at not in seen:
                seen.add(at)
                waiting += edges.get(at, ())
        return seen

    beyond = {at: reach(at, edges.get(at, ())) for at in edges}
    return {
        at: {end for end in ends if not any(end in beyond.get(other, ()) for other in ends if other != end)}
        for at, ends in edges.items()
    }
