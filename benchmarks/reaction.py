"""How soon work that comes to a model at zero has a pod on a node: our ScaledObject against KEDA's defaults, in one cluster.

The real KEDA counts messages of a queue (moto's SQS), the real scheduler binds the pod; nodes are there already, as what a
cloud takes for one is the same on both sides. Both sides of a round have their step at the same part of the way between two
looks, and the API server's requests are counted over as long a time. From one replica on neither is in the way: the HPA
asks by itself.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3

from benchmarks.measure import Aim, Ratio
from benchmarks.scale import gpu_pool
from infra.kubernetes.namespaces import KEDA
from infra.kubernetes.scaling import LOOK_FROM_ZERO_S
from sandbox import toolchain
from sandbox.addons.keda import Keda
from sandbox.cluster import ClusterSim
from sandbox.cluster.api import Api
from sandbox.control_plane import ControlPlane
from sandbox.object_stores import Moto

NAME = "reaction"

# https://keda.sh/docs/2.21/reference/scaledobject-spec/#pollinginterval
_STOCK_S = 30
# Each step's share of time: a step is no sooner than one stock interval after a look, and at work no later than two after.
_ROUND_S = 2 * _STOCK_S
# Until what a change of the interval asks of the API server is over.
_SETTLED_S = 3
_DEADLINE_S = 120
_SCALED = "/apis/keda.sh/v1alpha1/namespaces/default/scaledobjects"
_PODS = "/api/v1/namespaces/default/pods"


def measure(quick: bool) -> list[Ratio]:
    with tempfile.TemporaryDirectory(prefix="accelfleet-bench-") as scratch:
        queues = Moto(Path(scratch) / "moto")
        plane = ControlPlane("reaction", Path(scratch) / "plane")
        plane.start()
        sim = ClusterSim(plane, lambda _pool, _size: None)
        keys = {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox"}
        keda = Keda(plane, "", {"AWS_ENDPOINT_URL_SQS": queues.endpoint, **keys})
        try:
            sim.set_pool(gpu_pool(2))
            sim.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": KEDA}})
            keda.start()
            return _compared(_Steps(sim.api, queues.endpoint, lambda: _metrics(plane)), 3 if quick else 8)
        finally:
            keda.close()
            sim.close()
            plane.stop()
            queues.stop()


def _compared(steps: _Steps, rounds: int) -> list[Ratio]:
    sides: dict[int, list[tuple[float, float]]] = {_STOCK_S: [], LOOK_FROM_ZERO_S: []}
    for number in range(rounds):
        for interval, found in sides.items():
            found.append(steps.one(interval, (number + 0.5) / rounds))
    stock, ours = ([list(column) for column in zip(*sides[key], strict=True)] for key in (_STOCK_S, LOOK_FROM_ZERO_S))
    what, against = f"KEDA's default, a look every {_STOCK_S} s", f"ours, every {LOOK_FROM_ZERO_S} s: message to pod on a node"
    calls = f"ours, every {LOOK_FROM_ZERO_S} s: API server's requests"
    return [
        Ratio(NAME, what, against, "s", tuple(stock[0]), tuple(ours[0]), Aim(4, at_least=True)),
        Ratio(NAME, calls, "KEDA's default", "a second", tuple(ours[1]), tuple(stock[1]), Aim(1.5, at_least=False)),
    ]


class _Steps:
    """A Deployment at zero that goes by a queue, and steps of its load."""

    def __init__(self, api: Api, endpoint: str, metrics: Callable[[], str]) -> None:
        self._api, self._metrics = api, metrics
        keys = {"aws_access_key_id": "sandbox", "aws_secret_access_key": "sandbox", "region_name": "us-east-1"}
        self._sqs = boto3.client("sqs", endpoint_url=endpoint, **keys)
        self._url = self._sqs.create_queue(QueueName="jobs")["QueueUrl"]
        api.call("POST", "/apis/apps/v1/namespaces/default/deployments", _deployment())
        authentication = _of_keda("TriggerAuthentication", {"podIdentity": {"provider": "aws"}})
        api.call("POST", "/apis/keda.sh/v1alpha1/namespaces/default/triggerauthentications", authentication)
        api.call("POST", _SCALED, _scaled())

    def one(self, interval: int, part: float) -> tuple[float, float]:
        """Seconds from a message to a pod on a node, and requests a second that the API server had around it.

        Args:
            part: of the interval that has gone since a look when the message comes, 0 to 1.
        """
        self._look_every(interval)
        began = time.monotonic()
        time.sleep(_SETTLED_S)
        requests, counted = self._requests(), time.monotonic()
        _sleep_until(began + _STOCK_S + part * interval)
        sent = time.monotonic()
        self._sqs.send_message(QueueUrl=self._url, MessageBody="{}")
        _until(lambda: any(p["spec"].get("nodeName") for p in self._pods()), 0.2)
        took = time.monotonic() - sent
        _sleep_until(began + _ROUND_S)
        rate = (self._requests() - requests) / (time.monotonic() - counted)
        self._sqs.purge_queue(QueueUrl=self._url)
        self._look_every(LOOK_FROM_ZERO_S)
        _until(lambda: not self._pods(), 0.5)
        return took, rate

    def _look_every(self, seconds: int) -> None:
        """KEDA begins anew, with a look at once."""
        self._api.patch(f"{_SCALED}/model", {"spec": {"pollingInterval": seconds}})

    def _pods(self) -> list[Any]:
        return list(self._api.items(_PODS))

    def _requests(self) -> float:
        """All that anybody asked of the API server, but for our own looks at pods."""
        lines = self._metrics().splitlines()
        counted = (line for line in lines if line.startswith("apiserver_request_total{") and 'resource="pods"' not in line)
        return sum(float(line.rpartition(" ")[2]) for line in counted)


def _metrics(plane: ControlPlane) -> str:
    command = [str(toolchain.path("kubectl")), "--kubeconfig", str(plane.directory / "kubeconfig"), "get", "--raw", "/metrics"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def _until(ready: Callable[[], bool], pause: float) -> None:
    deadline = time.monotonic() + _DEADLINE_S
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError(f"nothing came of a step in {_DEADLINE_S} s")
        time.sleep(pause)


def _scaled() -> dict[str, Any]:
    metadata = {"queueURL": "https://sqs.us-east-1.amazonaws.com/123456789012/jobs", "awsRegion": "us-east-1"}
    trigger = {"type": "aws-sqs-queue", "metadata": metadata, "authenticationRef": {"name": "model"}}
    spec = {"scaleTargetRef": {"name": "model"}, "minReplicaCount": 0, "maxReplicaCount": 1, "cooldownPeriod": 1}
    return _of_keda("ScaledObject", {**spec, "triggers": [trigger]})


def _of_keda(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "keda.sh/v1alpha1", "kind": kind, "metadata": {"name": "model"}, "spec": spec}


def _deployment() -> dict[str, Any]:
    labels = {"app": "model"}
    container = {"name": "c", "image": "model:1", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    template = {"metadata": {"labels": labels}, "spec": {"tolerations": [{"operator": "Exists"}], "containers": [container]}}
    return {"metadata": {"name": "model"}, "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}}
