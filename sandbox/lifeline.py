"""A plugin lives no longer than the process that started it."""

from __future__ import annotations

import os
import threading
import time

_EVERY = 0.5  # seconds


def end_with_parent() -> None:
    """Exit at once when the parent process is gone.

    Watched by asking: PR_SET_PDEATHSIG fires when the parent's *thread* ends, and a Go engine's threads come and go
    (https://github.com/golang/go/issues/27505).
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_EVERY)
        os._exit(1)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
