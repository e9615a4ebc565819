"""`fleet report --rehearse`: a change run in a sandbox of its own first, and what that did to what stood there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """How a change is to be rehearsed.

    Attributes:
        patience_s: how long anything may take to come up there. keep: let the sandbox stand afterwards.
    """

    patience_s: float
    keep: bool
