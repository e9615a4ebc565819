"""One pod's process: its command as an image's entry point would be, its probes, its restarts and its end.

Owns the process and what the pod's status should be; refuses to know the API server. Follows
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fleet.carbon import EXPORTER, exporter, source
from fleet.catalog.servers import Server, server_in
from fleet.workspace import ROOT
from sandbox import processes
from sandbox.cluster.api import Object

# The environment that `make install` makes for `serving/`; a test's fork of the repository has none of its own.
_PYTHON = "ACCELFLEET_SERVING_PYTHON"
_PROBE_S = 0.5
_TIMEOUT_S = 2.0
# A kubelet begins with ten seconds; here nobody pays for the attempt.
_BACK_OFF_S, _MOST_BACK_OFF_S = 1.0, 30.0


def entry_point(container: Object) -> str | None:
    """The module that a container runs, of those that this machine can run: the model server, the carbon exporter."""
    if container.get("name") == EXPORTER:
        return exporter.__name__
    return "serving" if server_in(container.get("image", "")) is Server.OURS else None


class Program:
    """The process of a pod's one container.

    Attributes:
        ports: local port by the container's.
        ended: whether a pod that is being deleted has nothing left to wait for.
        told: the status that the API server has of it.
    """

    def __init__(self, pod: Object, address: str, directory: Path, stores: Callable[[str], dict[str, str]]) -> None:
        meta = pod["metadata"]
        self.uid, self.name, self.namespace = meta["uid"], meta["name"], meta["namespace"]
        self.labels: dict[str, str] = meta.get("labels") or {}
        (self.container,) = pod["spec"]["containers"]
        self.ports: dict[int, int] = {}
        self.ready, self.ended = False, False
        self.told: Any = None
        self._pod, self._address, self._directory, self._stores = pod, address, directory, stores
        self._process: subprocess.Popen[bytes] | None = None
        self._restarts, self._next, self._why = -1, 0.0, ""
        self._started, self._started_at = False, ""
        self._probed, self._alive_at, self._ready_at = 0.0, 0.0, 0.0
        self._ends: tuple[float, float] | None = None

    def step(self, pod: Object) -> None:
        """Bring it a moment on; `pod` is how the API server has it."""
        now = time.monotonic()
        if pod["metadata"].get("deletionTimestamp"):
            self._end(now)
        elif self._process is None:
            if now >= self._next:
                self._start(now)
        elif (code := self._process.poll()) is not None:
            self._died(now, f"ended with {code}")
        elif now - self._probed >= _PROBE_S:
            self._probed = now
            self._probe(now)

    def kill(self) -> None:
        """At once, as a machine that is gone."""
        self.ready = False
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _start(self, now: float) -> None:
        self._restarts += 1
        numbers = [port["containerPort"] for port in self.container["ports"]]
        self.ports = dict(zip(numbers, processes.free_ports(len(numbers)), strict=True))
        env = {e["name"]: str(e.get("value", "")) for e in self.container.get("env") or []}
        if entry_point(self.container) == exporter.__name__:
            env |= {
                "PYTHONPATH": str(ROOT),
                "HOST": "127.0.0.1",
                "PORT": str(self.ports[numbers[0]]),
                **self._stores(source.URL),
            }
            self._run([sys.executable, "-m", exporter.__name__], env, now)
            return
        python = Path(os.environ.get(_PYTHON) or ROOT / ".venv-serving" / "bin" / "python")
        if not python.exists():
            self._died(now, "the model server's environment is missing here: run `make install`")
            return
        # Of the flags that are given twice the last counts: the pod's addresses are no addresses of this machine.
        here = ["--host=127.0.0.1", f"--cache={self._directory / 'models'}"]
        for name, flag in (("http", "--port"), ("grpc", "--grpc-port")):
            number = next((p["containerPort"] for p in self.container["ports"] if p["name"] == name), None)
            here += [f"{flag}={self.ports[number]}"] if number else []
        arguments = [re.sub(r"\$\((\w+)\)", lambda m: env.get(m[1], m[0]), a) for a in self.container.get("args") or []]
        env |= {"PYTHONPATH": str(ROOT), "HOME": str(self._directory), **self._stores(env.get("WEIGHTS_URL", ""))}
        self._run([str(python), "-m", "serving", *arguments, *here], env, now)

    def _run(self, command: list[str], env: dict[str, str], now: float) -> None:
        self._process = processes.start(command, self._log, env)
        self._started, self._started_at, self._alive_at, self._why = False, _now(), now, ""

    @property
    def _log(self) -> Path:
        return self._directory / f"{self.name}.log"

    def _died(self, now: float, why: str) -> None:
        self._process, self.ready = None, False
        self._why = f"{why}: {processes.tail(self._log, 3)}" if self._log.exists() else why
        self._next = now + min(_BACK_OFF_S * 2 ** max(self._restarts, 0), _MOST_BACK_OFF_S)

    def _probe(self, now: float) -> None:
        """Until the startup probe has succeeded the others say nothing; here it asks what readiness asks."""
        readiness = self.container.get("readinessProbe")
        if self._answers(readiness):
            self.ready, self._started, self._ready_at = True, True, now
        elif now - self._ready_at > _patience(readiness):
            self.ready = False
        probe = self.container.get("livenessProbe" if self._started else "startupProbe")
        if self._answers(probe):
            self._alive_at = now
        elif now - self._alive_at > _patience(probe):
            self.kill()
            self._died(now, f"{probe['httpGet']['path']} did not answer for {_patience(probe)} s")

    def _answers(self, probe: Any) -> bool:
        """Whether an HTTP probe, of the port by its name, succeeds; one that is not there does."""
        if not probe:
            return True
        ask = probe["httpGet"]
        number = next(p["containerPort"] for p in self.container["ports"] if ask["port"] in (p["name"], p["containerPort"]))
        with contextlib.suppress(OSError, urllib.error.URLError):
            url = f"http://127.0.0.1:{self.ports[number]}{ask['path']}"
            with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as reply:
                return bool(reply.status < 400)
        return False

    def _end(self, now: float) -> None:
        """The preStop hook's sleep, SIGTERM, and SIGKILL when the grace period is over; no Service leads here any more."""
        self.ready = False
        if self._process is None or self._process.poll() is not None:
            self.ended = True
            return
        if self._ends is None:
            hook = (self.container.get("lifecycle") or {}).get("preStop") or {}
            sleep = float((hook.get("sleep") or {}).get("seconds", 0))
            self._ends = (now + sleep, now + float(self._pod["spec"].get("terminationGracePeriodSeconds", 30)))
        asked, killed = self._ends
        if now >= killed:
            self.kill()
        elif now >= asked:
            self._ends = (float("inf"), killed)
            self._process.send_signal(signal.SIGTERM)

    def status(self) -> dict[str, Any]:
        """What a kubelet would write of the pod."""
        yes = "True" if self.ready else "False"
        running = self._process is not None
        reason = "CrashLoopBackOff" if self._restarts > 0 else "ContainerCreating"
        state = {"running": {"startedAt": self._started_at}, "waiting": None}
        waiting = {"waiting": {"reason": reason, "message": self._why}, "running": None}
        return {
            "phase": "Running" if running or self._restarts > 0 else "Pending",
            "podIP": self._address,
            "podIPs": [{"ip": self._address}],
            "conditions": [
                {"type": "Initialized", "status": "True"},
                {"type": "ContainersReady", "status": yes},
                {"type": "Ready", "status": yes, "message": self._why},
            ],
            "containerStatuses": [
                {
                    "name": self.container["name"],
                    "image": self.container["image"],
                    "imageID": "",
                    "ready": self.ready,
                    "started": self._started,
                    "restartCount": max(self._restarts, 0),
                    "state": state if running else waiting,
                }
            ],
        }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _patience(probe: Any) -> float:
    """Seconds for which a probe may fail."""
    return float(probe.get("failureThreshold", 3) * probe.get("periodSeconds", 10))
