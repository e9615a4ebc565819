"""What a command says beside its result, on stderr and as it was written: no markup, no colouring of words, no wrapping."""

from __future__ import annotations


def complain(said: object) -> None:
    """What the command fails for."""
    _say(said, "red")


def warn(said: object) -> None:
    """What somebody should know of a result that stands."""
    _say(said, "yellow")


def _say(said: object, style: str) -> None:
    from rich.console import Console  # noqa: PLC0415 - most commands say nothing beside their result

    Console(stderr=True, soft_wrap=True).print(str(said), style=style, highlight=False, markup=False)
