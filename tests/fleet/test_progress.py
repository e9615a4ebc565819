"""The board: a line for each step where nobody watches, one line a stack on a terminal, nothing where JSON is wanted."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from fleet.engine import Event, Outcome
from fleet.progress import Board

URN = "urn:pulumi:dev::accelfleet::accelfleet:platform:Cluster$aws:eks/nodeGroup:NodeGroup::main-l4"
Show = Callable[..., tuple[Board, Callable[[], str]]]


@pytest.fixture
def show() -> Show:
    def make(verb: str = "up", *, terminal: bool = False, quiet: bool = False) -> tuple[Board, Callable[[], str]]:
        out = io.StringIO()
        console = Console(file=out, force_terminal=terminal, width=100, color_system=None)
        return Board(verb, ["dev", "prod"], console, quiet=quiet), out.getvalue

    return make


def pre(op: str) -> Event:
    return {"resourcePreEvent": {"metadata": {"op": op, "urn": URN}}}


def done(op: str) -> Event:
    return {"resOutputsEvent": {"metadata": {"op": op, "urn": URN}}}


def test_away_from_a_terminal_every_change_is_a_line_with_its_stack(show: Show) -> None:
    board, text = show()
    with board:
        board.phase("dev", "starting the engine")
        board.event("dev", pre("create"))
        board.event("dev", done("create"))
        board.end("dev", Outcome(0, 12.4, {"create": 2, "update": 1, "same": 9}))
    assert text().splitlines() == [
        "dev: starting the engine",
        "dev: create NodeGroup main-l4",
        "dev: ✓ 2 create, 1 update in 12 s",
    ]


@pytest.mark.parametrize("op", ["same", "read"])
def test_what_does_not_change_makes_no_line(show: Show, op: str) -> None:
    board, text = show()
    board.event("dev", pre(op))
    board.event("dev", done(op))
    assert text() == ""


def test_events_of_other_kinds_pass(show: Show) -> None:
    board, text = show()
    board.event("dev", {"diagnosticEvent": {"message": "x"}})
    board.event("dev", {})
    assert text() == ""


@pytest.mark.parametrize(
    ("verb", "outcome", "expected"),
    [
        ("preview", Outcome(0, 3.0, {"create": 4}), "✓ 4 to create in 3 s"),
        ("up", Outcome(0, 3.0, {"same": 4}), "✓ no changes in 3 s"),
        ("destroy", Outcome(1, 3.0, {"delete": 4}), "✗ failed"),
    ],
)
def test_the_last_line_says_how_it_ended(show: Show, verb: str, outcome: Outcome, expected: str) -> None:
    board, text = show(verb)
    board.end("dev", outcome)
    assert text() == f"dev: {expected}\n"


def test_where_json_is_wanted_nothing_is_said(show: Show) -> None:
    board, text = show(quiet=True)
    with board:
        board.phase("dev", "starting the engine")
        board.event("dev", pre("create"))
        board.event("dev", done("create"))
        board.stopping()
        board.end("dev", Outcome(1, 1))
    assert text() == ""


def test_on_a_terminal_each_stack_has_one_line_with_how_far_it_is(show: Show) -> None:
    board, text = show(terminal=True)
    with board:
        for event in (pre("create"), pre("create"), pre("same"), done("create")):
            board.event("dev", event)
    plain = re.sub(r"\x1b\[[0-9?;]*[A-Za-z]", "", text())
    last = [line.split() for line in plain.splitlines() if "dev" in line or "prod" in line][-2:]
    assert last == [["·", "dev", "1/2", "NodeGroup", "main-l4"], ["·", "prod", "waiting"]]


def test_ctrl_c_is_answered_and_so_is_the_second(show: Show) -> None:
    board, text = show()
    board.stopping()
    assert "Ctrl-C again ends it at once" in text()
    board.stopping()
    assert text().splitlines()[-1].endswith("; ending at once")
