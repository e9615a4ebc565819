"""A plugin lives no longer than the engine that started it, and goes quietly when told to."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable

_EVERY = 0.5  # seconds


def end_with_parent(last: Callable[[], None] = lambda: None) -> None:
    """Exit when the parent process is gone, or on the signals by which the engine ends its plugins.

    Watched by asking: PR_SET_PDEATHSIG fires when the parent's *thread* ends, and a Go engine's threads come and go
    (https://github.com/golang/go/issues/27505).

    Args:
        last: what to do before exiting.
    """
    parent = os.getppid()

    def end(code: int) -> None:
        last()
        os._exit(code)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_EVERY)
        end(1)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end(0))
    threading.Thread(target=watch, name="lifeline", daemon=True).start()
