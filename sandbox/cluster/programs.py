"""Pods whose program runs for real, as a process of this machine: our model server's, and the carbon exporter's.

Plays their kubelet: starts, probes, restarts and ends the process as the pod's spec says, and tells the API server of it.
Pods of all other images are KWOK's (`sandbox.kwok`). Where clients reach them is `sandbox.cluster.services`'.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from pathlib import Path

from sandbox.cluster.api import Api, ApiError, Object
from sandbox.cluster.program import Program, entry_point
from sandbox.cluster.services import Services

_PAUSE_S = 0.25
# Beside KWOK's own 10.244.
_ADDRESSES = (f"10.245.{i // 250}.{i % 250 + 1}" for i in itertools.count())

# Environment that leads a program to the store of a URL.
Stores = Callable[[str], dict[str, str]]


def runs_here(pod: Object) -> bool:
    """Whether the pod's program is one that this machine can run."""
    return any(entry_point(container) for container in pod["spec"].get("containers") or [])


class Programs:
    """The processes of one cluster's pods.

    Args:
        directory: for their logs and what they fetch.
    """

    def __init__(self, api: Api, directory: Path, stores: Stores) -> None:
        self._api, self._directory, self._stores = api, directory, stores
        self._seen: dict[str, Object] = {}
        self._running: dict[str, Program] = {}
        self._services = Services()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def see(self, pods: list[Object]) -> None:
        """The cluster's pods as they are now."""
        self._seen = {p["metadata"]["uid"]: p for p in pods if runs_here(p) and p["spec"].get("nodeName")}
        if self._seen and self._thread is None:
            self._thread = threading.Thread(target=self._run, name="programs", daemon=True)
            self._thread.start()

    def port(self, pod: Object, container_port: int) -> int | None:
        """Where on this machine a pod's port is."""
        program = self._running.get(pod["metadata"]["uid"])
        return program.ports.get(container_port) if program else None

    def addresses(self) -> list[dict[str, object]]:
        """Services that lead to programs, with their address on this machine, for `fleet sandbox status`."""
        return self._services.addresses()

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(30)
        for program in self._running.values():
            program.kill()
        self._services.close()

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE_S):
            # The API server may be starting or stopping; the next look sees what became of it.
            with contextlib.suppress(ApiError):
                self._look()

    def _look(self) -> None:
        seen = dict(self._seen)
        for uid, pod in seen.items():
            if uid not in self._running and not _is_over(pod):
                self._running[uid] = self._start(pod)
        for uid, program in list(self._running.items()):
            # A node that vanished took the process with it, and an eviction for want of room ends it on the spot.
            if uid not in seen or _is_over(seen[uid]):
                program.kill()
                del self._running[uid]
            else:
                program.step(seen[uid])
        running = list(self._running.values())
        # Before a pod is said to be ready its Service leads there: who waited for the one goes on with the other.
        self._services.reconcile(self._api.items("/api/v1/services") if running else [], running)
        for program in running:
            self._tell(program)

    def _start(self, pod: Object) -> Program:
        """A pod that was there before this daemon keeps its address."""
        taken = {p["status"].get("podIP") for p in self._seen.values()}
        address = pod["status"].get("podIP") or next(a for a in _ADDRESSES if a not in taken)
        self._directory.mkdir(exist_ok=True)
        return Program(pod, address, self._directory, self._stores)

    def _tell(self, program: Program) -> None:
        path = f"/api/v1/namespaces/{program.namespace}/pods/{program.name}"
        try:
            if program.ended:
                body = {"gracePeriodSeconds": 0, "preconditions": {"uid": program.uid}}
                self._api.call("DELETE", path, body)
            elif (status := program.status()) != program.told:
                self._api.call("PATCH", f"{path}/status", {"status": status}, "application/strategic-merge-patch+json")
                program.told = status
        except ApiError as error:
            if error.status not in (404, 409):
                raise


def _is_over(pod: Object) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")
