"""The kinds of rule that no API model carries, each with its complaint: a pattern, a few values, a range, a CIDR block."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from sandbox.providers.validation.failure import show
from sandbox.providers.validation.model import bounds, listed


@dataclass(frozen=True)
class Text:
    """A string matches; `says` tells the rule in the vendor's words."""

    pattern: str
    says: str
    never: str | None = None

    def complaint(self, value: Any) -> str | None:
        if not isinstance(value, str) or not value:
            return None
        wrong = re.fullmatch(self.pattern, value) is None or (self.never is not None and re.search(self.never, value))
        return f"{show(value)} is not well-formed: {self.says}" if wrong else None


@dataclass(frozen=True)
class OneOf:
    """A value is one of a few; a number in a string counts as one."""

    values: tuple[str | int, ...]

    def complaint(self, value: Any) -> str | None:
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        allowed = tuple(map(str, self.values))
        return None if shown in ("", *allowed) else f"{show(value)} is not one of its values{listed(shown, allowed)}"


@dataclass(frozen=True)
class Range:
    """A number lies between two, inclusive; a number in a string counts as one."""

    low: float | None
    high: float | None

    def complaint(self, value: Any) -> str | None:
        given = number(value)
        if given is None:
            return None
        low_ok = self.low is None or given >= self.low
        return (
            None
            if low_ok and (self.high is None or given <= self.high)
            else f"{given:g} is out of range: {bounds(self.low, self.high)}"
        )


@dataclass(frozen=True)
class Cidr:
    """An address block in CIDR notation.

    Attributes:
        shortest, longest: prefix lengths the vendor takes.
        bare: `/20` alone is allowed, the vendor picks the block.
        host_bits: bits right of the prefix may be set.
    """

    shortest: int = 0
    longest: int = 128
    bare: bool = False
    host_bits: bool = False

    def complaint(self, value: Any) -> str | None:
        if not isinstance(value, str) or not value:
            return None
        text = f"10.0.0.0{value}" if self.bare and value.startswith("/") else value
        try:
            if "/" not in text:
                raise ValueError("it has no prefix length")
            block = ip_network(text, strict=not (self.host_bits or text is not value))
        except ValueError as error:
            return f"{show(value)} is no CIDR block: {error}"
        if block.version == 4 and not self.shortest <= block.prefixlen <= self.longest:
            return f"{show(value)}: prefix length must be /{self.shortest} to /{self.longest}"
        return None


Rule = Text | OneOf | Range | Cidr


def number(value: Any) -> float | None:
    """The number a value is, or holds as a string; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None
