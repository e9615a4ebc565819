"""Waiting for a cluster to come to where a test expects it."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(question: Callable[[], bool], seconds: float) -> bool:
    """Whether the answer became yes in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if question():
            return True
        time.sleep(0.2)
    return False
