"""The one shape of a finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Failure:
    """An input the provider would refuse.

    Attributes:
        path: the property as Pulumi prints it, wire names: `scalingConfig.maxSize`, `taints[0].effect`.
        reason: what was expected, what was given, and what is allowed.
    """

    path: str
    reason: str


def show(value: Any) -> str:
    """A value for a message, cut short: an input may hold a script."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
