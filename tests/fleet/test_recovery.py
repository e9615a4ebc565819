"""What recovery says it did; what it does is shown with a real engine (tests/e2e/test_lost_state.py)."""

from __future__ import annotations

from fleet.recovery import Recovered


def test_what_was_mended_is_told_in_words() -> None:
    done = Recovered(state="replaced the state", locks=["7"], adopted=["urn:a"], cleared=["urn:b"])
    assert done.lines() == [
        "replaced the state",
        "broke the lock of dead process 7",
        "adopted urn:a",
        "cleared an unfinished operation on urn:b",
    ]
    assert Recovered().lines() == []
