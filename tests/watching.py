"""Every change of a cluster's objects, in order and none missed: what a look now and then would not see."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

from sandbox.control_plane import ControlPlane
from tests import waiting

Seen = Callable[[str, dict[str, Any]], None]


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
