"""The cluster fails while the engine makes a hundred objects: after one `fleet up` more at most each is there, once.

The real engine, API server and etcd. What the API server lists is the truth; what the state holds must be the same.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from fleet.engine import Engine
from fleet.operations import Result
from sandbox import processes
from sandbox.cluster.api import Api, ApiError
from sandbox.control_plane import ControlPlane
from tests.e2e.rig import HERE, STACK, Rig, standing
from tests.waiting import until

pytestmark = pytest.mark.sandbox
SPACE, OBJECTS = "objects", 100
KINDS = {
    "ConfigMap": "/api/v1/namespaces/objects/configmaps",
    "Secret": "/api/v1/namespaces/objects/secrets",
    "Service": "/api/v1/namespaces/objects/services",
    "ServiceAccount": "/api/v1/namespaces/objects/serviceaccounts",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/objects/networkpolicies",
}
# So many of the hundred stand when the fault comes.
STANDING = 15


@dataclass
class Cluster:
    """A control plane of the test's own, and the stack that fills it."""

    plane: ControlPlane
    rig: Rig
    api: Api

    def exists(self) -> set[tuple[str, str]]:
        return {
            (kind, item["metadata"]["name"])
            for kind, path in KINDS.items()
            for item in self.api.call("GET", path)["items"]
            if item["metadata"]["name"].startswith("object-")
        }

    def state(self) -> set[tuple[str, str]]:
        deployment = Engine(self.rig.workspace, STACK).export().get("deployment") or {}
        assert not deployment.get("pending_operations")
        made = [r for r in deployment.get("resources") or [] if r.get("id")]
        kinds = [(r["type"].rpartition(":")[2], r["id"].rpartition("/")[2]) for r in made]
        return {(kind, name) for kind, name in kinds if kind in KINDS}

    def spaces(self) -> set[str]:
        return {item["metadata"]["name"] for item in self.api.call("GET", "/api/v1/namespaces")["items"]}

    def during(self, fault: Callable[[Cluster], object], begins: Callable[[], bool]) -> Result:
        """`fleet up`, with a fault once it has begun its work."""
        struck = threading.Event()

        def strike() -> None:
            if until(lambda: _quietly(begins), seconds=300):
                struck.set()
                fault(self)

        thread = threading.Thread(target=strike)
        thread.start()
        result = self.rig.run("up")
        thread.join()
        assert struck.is_set(), "the run ended before its fault"
        return result

    def restart(self, *parts: str, hard: bool = False) -> None:
        """End parts, the API server before its etcd, and start them again."""
        for part in parts:
            process = self.plane._running.pop(part)
            if hard:
                process.kill()
                process.wait()
            else:
                processes.end(process)
        for part in reversed(parts):
            (self.plane._start_etcd if part == "etcd" else self.plane._start_api_server)()
        self.plane._wait_ready()


def _quietly(question: Callable[[], bool]) -> bool:
    with contextlib.suppress(ApiError):
        return question()
    return False


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    plane = ControlPlane("faults", tmp_path_factory.mktemp("plane"))
    plane.start()
    try:
        with standing(tmp_path_factory.mktemp("faults"), latency=0, program=HERE / "objects_program") as rig:
            yield Cluster(plane, rig, Api(plane.endpoint, plane.ca_pem, plane.token))
    finally:
        plane.stop()


def api_server_restarts(cluster: Cluster) -> None:
    cluster.restart("api")


def etcd_restarts(cluster: Cluster) -> None:
    cluster.restart("etcd")


def etcd_is_killed(cluster: Cluster) -> None:
    cluster.restart("etcd", hard=True)


def etcd_is_slow(cluster: Cluster) -> None:
    """It answers after 200 ms, for ten seconds."""
    pid = cluster.plane.pids["etcd"]
    for _ in range(40):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.2)
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.05)


FAULTS = [api_server_restarts, etcd_restarts, etcd_is_killed, etcd_is_slow]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_cluster_that_fails_under_a_run_ends_whole(cluster: Cluster, fault: Callable[[Cluster], None]) -> None:
    cluster.rig.configure(generation="1", kubeconfig=str(cluster.plane.directory / "kubeconfig"))
    first = cluster.during(fault, lambda: len(cluster.exists()) >= STANDING)
    made = first if first.ok else cluster.rig.run("up")
    assert made.ok, (first.outcome.errors, made.outcome.errors)
    ends_whole(cluster)


def ends_whole(cluster: Cluster) -> None:
    """Each object once, the state knows them all, a run more has nothing to do, and none is left."""
    exists = cluster.exists()
    assert len(exists) == OBJECTS
    assert cluster.state() == exists
    again = cluster.rig.run("up")
    assert again.ok, again.outcome.errors
    assert again.outcome.changed == 0
    gone = cluster.rig.run("destroy")
    assert gone.ok, gone.outcome.errors
    assert until(lambda: SPACE not in cluster.spaces(), seconds=60)
