"""Every change of a cluster's objects, in order and none missed: what a look now and then would not see."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from sandbox.cluster.api import is_ready
from sandbox.control_plane import ControlPlane
from tests import waiting

Seen = Callable[[str, dict[str, Any]], None]


class Budget:
    """The fewest ready pods at any moment, as the disruption controller counts them; `replicas` are ready at first."""

    def __init__(self, replicas: int) -> None:
        self._ready: set[str] = set()
        self.fewest = replicas

    def see(self, change: str, pod: dict[str, Any]) -> None:
        meta = pod["metadata"]
        up = change != "DELETED" and is_ready(pod) and not meta.get("deletionTimestamp")
        (self._ready.add if up else self._ready.discard)(meta["uid"])
        if change != "ADDED":
            self.fewest = min(self.fewest, len(self._ready))


@contextlib.contextmanager
def watching(plane: ControlPlane, path: str, seen: Seen) -> Iterator[None]:
    """Call `seen` with ADDED for what is there, then with each ADDED, MODIFIED and DELETED until the context's end.

    Args:
        path: of a list, with its selector if it has one. seen: called from one thread, one change at a time.
    """
    found = json.loads(plane.get(path))
    for item in found["items"]:
        seen("ADDED", item)
    version = int(found["metadata"]["resourceVersion"])
    read = [version]
    question = f"{plane.endpoint}{path}{'&' if '?' in path else '?'}watch=1&resourceVersion={version}&timeoutSeconds=1200"
    request = urllib.request.Request(question, headers={"authorization": f"Bearer {plane.token}"})
    stream = urllib.request.urlopen(request, context=ssl.create_default_context(cadata=plane.ca_pem))

    def follow() -> None:
        with contextlib.suppress(OSError, ValueError):  # closed below
            for line in stream:
                change = json.loads(line)
                seen(change["type"], change["object"])
                read[0] = int(change["object"]["metadata"]["resourceVersion"])

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
        newest = max((int(i["metadata"]["resourceVersion"]) for i in json.loads(plane.get(path))["items"]), default=0)
        assert waiting.until(lambda: read[0] >= newest, seconds=30), "the watch fell behind"
    finally:
        # Reading holds the stream's own lock; only its connection can be ended from here.
        with contextlib.suppress(OSError):
            _socket(stream).shutdown(2)
        thread.join(5)


def _socket(stream: Any) -> Any:
    return stream.fp.raw._sock
