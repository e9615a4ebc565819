"""Follows pods, nodes and endpoints of one cluster, change by change, while an engine works on it.

Loses nothing between two looks: each list is gone on from at its own version. Where a stream ends (the API server
restarts, or the cluster is made anew) the next list tells what came and went meanwhile. Judges nothing; that is `tally`'s.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable

from fleet.kubectl import Kubectl, Object

PATHS = {
    "pods": "/api/v1/pods",
    "nodes": "/api/v1/nodes",
    "endpointslices": "/apis/discovery.k8s.io/v1/endpointslices",
}
# (when, kind, whether it is there, object)
See = Callable[[float, str, bool, Object], None]
_PAUSE_S = 0.5


class Watch:
    """One cluster, followed between `start` and `stop`; `see` is called by a thread for each kind."""

    def __init__(self, see: See) -> None:
        self._parts = [_Part(kind, path, see) for kind, path in PATHS.items()]
        self._threads: list[threading.Thread] = []

    def start(self, cluster: Kubectl) -> None:
        """Look at all there is, and follow it.

        Raises:
            RuntimeError: the cluster does not answer.
        """
        versions = [part.begin(cluster) for part in self._parts]
        self._threads = [
            threading.Thread(target=part.follow, args=(cluster, version), daemon=True)
            for part, version in zip(self._parts, versions, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Follow no more; nothing is called after this."""
        for part in self._parts:
            part.end()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def look(self, cluster: Kubectl) -> None:
        """All there is now, of a cluster that is not followed any more.

        Raises:
            RuntimeError: the cluster does not answer.
        """
        for part in self._parts:
            part.look(cluster)


class _Part:
    """One kind of objects."""

    def __init__(self, kind: str, path: str, see: See) -> None:
        self._kind, self._path, self._see = kind, path, see
        self._known: dict[str, Object] = {}
        # Since when nobody answers; what is gone then, went then.
        self._silent: float | None = None
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._stream: subprocess.Popen[str] | None = None

    def begin(self, cluster: Kubectl) -> str:
        """The version to follow from."""
        self._ended.clear()
        return self.look(cluster)

    def look(self, cluster: Kubectl) -> str:
        """Tell what differs from what is known; returns the list's version."""
        listed = cluster.at(self._path)
        now = time.monotonic()
        there = {thing["metadata"]["uid"]: thing for thing in listed["items"]}
        for uid in self._known.keys() - there.keys():
            self._see(self._silent or now, self._kind, False, self._known.pop(uid))
        for uid, thing in there.items():
            if _version(self._known.get(uid)) != _version(thing):
                self._remember(now, True, thing)
        self._silent = None
        return str(listed["metadata"]["resourceVersion"])

    def follow(self, cluster: Kubectl, version: str) -> None:
        while True:
            with self._lock:
                if self._ended.is_set():
                    return
                stream = self._stream = cluster.changes(self._path, version)
            with stream:
                assert stream.stdout is not None, "it is a pipe"
                for line in stream.stdout:
                    # Half a line is what an ended stream leaves.
                    if not line.endswith("\n") or not self._read(json.loads(line)):
                        break
                stream.kill()
            self._silent = time.monotonic()
            while not self._ended.wait(_PAUSE_S):
                try:
                    version = self.look(cluster)
                    break
                except RuntimeError:
                    continue

    def end(self) -> None:
        with self._lock:
            self._ended.set()
            if self._stream is not None:
                self._stream.kill()

    def _read(self, change: Object) -> bool:
        """Take a change in; False where the stream says that it cannot go on."""
        if change["type"] == "ERROR":
            return False
        self._remember(time.monotonic(), change["type"] != "DELETED", change["object"])
        return True

    def _remember(self, at: float, there: bool, thing: Object) -> None:
        if there:
            self._known[thing["metadata"]["uid"]] = thing
        else:
            self._known.pop(thing["metadata"]["uid"], None)
        self._see(at, self._kind, there, thing)


def _version(thing: Object | None) -> object:
    return thing["metadata"]["resourceVersion"] if thing else None
