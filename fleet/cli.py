"""The `fleet` command: its words, and where each of them is done. A word loads its own modules and nobody else's.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 this machine lacks something, 130 interrupted.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from fleet.collector import rests

# A function, or an app that has words of its own.
WORDS = {
    "up": "fleet.stacks_cli:up",
    "preview": "fleet.stacks_cli:preview",
    "destroy": "fleet.stacks_cli:destroy",
    "status": "fleet.stacks_cli:status",
    "check": "fleet.stacks_cli:check",
    "quota": "fleet.stacks_cli:quota",
    "report": "fleet.report.cli:report",
    "place": "fleet.place.cli:place",
    "fit": "fleet.fit:fit",
    "drift": "fleet.drift_cli:drift",
    "carbon": "fleet.carbon.cli:carbon",
    "actual": "fleet.actual.cli:actual",
    "latency": "fleet.latency_cli:latency",
    "import-terraform": "fleet.terraform.cli:import_terraform",
    "doctor": "fleet.doctor:doctor",
    "comment": "fleet.comment.cli:app",
    "policies": "fleet.policies:app",
    "state": "fleet.state.cli:app",
    "catalog": "fleet.prices.cli:app",
    "sandbox": "sandbox.cli:app",
}


@cache
def _command(word: str) -> Any:
    """What the command-line library makes of a word's function or app."""
    module, _, name = WORDS[word].partition(":")
    found = getattr(import_module(module), name)
    alone = typer.Typer(add_completion=False, rich_markup_mode="markdown")
    if isinstance(found, typer.Typer):
        alone.add_typer(found, name=word)
    else:
        alone.command(word)(found)
    return get_group(alone).commands[word]


class _Commands(Mapping[str, Any]):
    """The words' commands, each made when it is asked for."""

    def __getitem__(self, word: str) -> Any:
        if word not in WORDS:
            raise KeyError(word)
        return _command(word)

    def __contains__(self, word: object) -> bool:
        return word in WORDS

    def __iter__(self) -> Iterator[str]:
        return iter(WORDS)

    def __len__(self) -> int:
        return len(WORDS)


class _Words(TyperGroup):
    """A group whose commands are not there before they are needed."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands()  # type: ignore[assignment] # nobody adds any


app = typer.Typer(
    name="fleet",
    cls=_Words,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="AI accelerators on EKS, GKE and AKS, from reviewed stack files.\n\n"
    "Try it with no cloud account: `fleet up --sandbox --stack '*-dev'`",
)
# It is a group by having this: its words are in no list of the library's.
app.callback()(lambda: None)


def main() -> None:
    """Entry point."""
    # No plugin of pydantic's is ours, for which it would ask every package that is installed.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    word = "".join(sys.argv[1:2])
    with rests():
        if word in WORDS:
            _command(word)
    # What was loaded lives to the end: nothing in it for the collector to look through.
    gc.freeze()
    app()
