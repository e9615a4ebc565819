"""A change that is asked for again by the same token is made once, and answered alike; what is under way is waited for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

# More than can be on their way at once; a token is asked for again within seconds.
_KEPT = 1000


class Once:
    """Answers by token, for as long as the daemon runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Future[Any]] = OrderedDict()

    def __call__(self, token: str, work: Callable[[], Any]) -> Any:
        with self._lock:
            answer = self._known.get(token)
            first = answer is None
            if answer is None:
                answer = self._known[token] = Future()
                if len(self._known) > _KEPT:
                    self._known.popitem(last=False)
        if first:
            try:
                answer.set_result(work())
            except BaseException as refused:
                answer.set_exception(refused)
        return answer.result()
