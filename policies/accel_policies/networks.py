"""What counts as the whole internet, and which ports nobody opens to it."""

from __future__ import annotations

from collections.abc import Iterable

_ANYWHERE = ("0.0.0.0/0", "::/0", "*", "Internet", "0.0.0.0")  # noqa: S104 - a word to look for
# Remote shells and desktops; of a range one port is enough.
_ADMIN_PORTS = (22, 3389)


def anywhere(ranges: Iterable[object]) -> str | None:
    """The first range that is everybody."""
    return next((str(one) for one in ranges if one in _ANYWHERE), None)


def reaches_admin(low: int, high: int) -> bool:
    """Whether a range of ports has one of those."""
    return any(low <= port <= high for port in _ADMIN_PORTS)


def span(text: str) -> tuple[int, int]:
    """`22`, `20-30` or `*` as ports from and to."""
    low, _, high = text.partition("-")
    return (0, 65535) if text == "*" else (int(low), int(high or low))
