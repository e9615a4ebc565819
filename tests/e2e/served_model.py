"""A cluster with a model on it, for what goes wrong while it serves.

The chart with the product's own values, on a real API server and scheduler; each replica is a process of the real model
server and has its weights from S3 (moto). A Service leads here to replicas that listen; in life it also leads to those of a
dead node, until that is noticed.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from fleet.catalog.clouds import Cloud, zones
from fleet.catalog.machines import machine
from infra.kubernetes.model_serving import chart_values
from sandbox import toolchain
from sandbox.cloud.buckets import ObjectStores
from sandbox.cluster import ClusterSim
from sandbox.cluster.api import Object, is_ready, nodes
from sandbox.control_plane import ControlPlane
from tests.accelerator_pools import pool_of
from tests.charts.rendering import MODEL_SERVING, model, run
from tests.e2e.test_model_server import PYTHON, asks, describe, weights
from tests.sandbox.test_nodes import as_the_cloud_makes_it
from tests.sandbox.test_spot import device_plugin
from tests.waiting import until

NAME, PODS = "upright", "/api/v1/namespaces/models/pods"
# Two nodes a zone, four accelerators each: room for every replica after a fault, so that nobody waits for a machine.
REPLICAS, NODES, ZONES = 4, 6, 3
CLIENTS, PAUSE_S = 6, 0.05
# moto looks at no signature, but for one where there is an object already.
SIGNED = "AWS4-HMAC-SHA256 Credential=sandbox/20260101/us-east-1/s3/aws4_request"


@dataclass
class Served:
    """A cluster with a model on it."""

    plane: ControlPlane
    sim: ClusterSim
    stores: ObjectStores

    def pods(self) -> list[Object]:
        """Those that are not ending and have not ended."""
        items = self.sim.api.call("GET", PODS)["items"]
        return [p for p in items if not p["metadata"].get("deletionTimestamp") and p["status"].get("phase") != "Failed"]

    def settled(self) -> bool:
        deployment = self.sim.api.call("GET", f"/apis/apps/v1/namespaces/models/deployments/{NAME}")
        status = deployment["status"]
        rolled_out = status.get("observedGeneration") == deployment["metadata"]["generation"]
        counts = [status.get(key, 0) for key in ("replicas", "updatedReplicas", "readyReplicas")]
        return rolled_out and counts == [REPLICAS] * 3 and sum(map(is_ready, self.pods())) == REPLICAS

    def by_zone(self) -> Counter[str]:
        labels = {node["metadata"]["name"]: node["metadata"]["labels"] for node in nodes(self.sim.api)}
        return Counter(labels[p["spec"]["nodeName"]]["topology.kubernetes.io/zone"] for p in self.pods())

    def busy(self) -> list[str]:
        """Nodes that have a replica, those with most of them first."""
        # A pod that is just made has none yet.
        placed = (p["spec"]["nodeName"] for p in self.pods() if "nodeName" in p["spec"])
        return [node for node, _ in Counter(placed).most_common()]

    def take(self, gone: list[str], notice_s: float = 0) -> None:
        """Take these nodes away, all at once; their group makes others."""
        self.sim.reclaim("gpu", len(gone), notice_s, lambda _all, _count: gone)

    def put(self, file: str, content: bytes) -> None:
        url, kind = (
            f"{self.stores.s3.endpoint}/weights/{NAME}/{file}",
            {"content-type": "application/octet-stream", "authorization": SIGNED},
        )
        urllib.request.urlopen(urllib.request.Request(url, content, kind, method="PUT"), timeout=30).close()

    def log(self, pod: Object) -> str:
        file = self.plane.directory / "programs" / f"{pod['metadata']['name']}.log"
        return file.read_text() if file.exists() else ""

    def roll_out(self) -> None:
        """Every replica anew, as `fleet up` does where a pod's template changed."""
        note = {"spec": {"template": {"metadata": {"annotations": {"again": str(time.time())}}}}}
        self.sim.api.patch(f"/apis/apps/v1/namespaces/models/deployments/{NAME}", note)

    @contextlib.contextmanager
    def load(self) -> Iterator[dict[str, int]]:
        """Clients that ask all the while; what became of their requests is known at the end."""
        (http,) = [str(a["address"]) for a in self.sim.programs.addresses() if a["port"] == "http"]
        script = Path(__file__).with_name("load_model_server.py")
        command = [str(PYTHON), str(script), str(weights(NAME)), NAME, http, str(CLIENTS), str(PAUSE_S)]
        counts: dict[str, int] = {}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as clients:
            asks(clients)
            try:
                yield counts
            finally:
                clients.terminate()
            counts.update(json.loads(clients.communicate(timeout=60)[0]))
        assert counts["answered"] > 0


@contextlib.contextmanager
def standing(home: Path) -> Iterator[Served]:
    """The cluster, its pool, and the model as helm installs it; its replicas may still be starting."""
    assert PYTHON.exists(), "run `make install`"
    stores = ObjectStores(home)
    plane = ControlPlane("serving-faults", home / "plane")
    plane.start()
    sim = ClusterSim(plane, lambda _pool, _size: None, stores=stores.environment)
    try:
        made = Served(plane, sim, stores)
        stores.s3.create("weights")
        made.put("model.yaml", describe(NAME).encode())
        made.put("model.onnx", weights(NAME).read_bytes())
        hardware = machine(Cloud.AWS, "g6.12xlarge")
        where = {"region": "us-east-1", "zones": zones(Cloud.AWS, "us-east-1")[:ZONES]}
        pool = pool_of(hardware, spot=True, max_nodes=NODES + 3, **where)
        sim.set_pool(replace(as_the_cloud_makes_it(pool), min_nodes=NODES, max_nodes=NODES + 3, size=NODES))
        sim.api.call("POST", "/apis/apps/v1/namespaces/default/daemonsets", device_plugin())
        assert until(lambda: sum(pool.resource in n["status"]["allocatable"] for n in nodes(sim.api)) == NODES, 60)
        args = model(pool, name=NAME, image="registry.example/ml/accelfleet-serving:1.0", replicas=(REPLICAS, REPLICAS))
        values = chart_values(replace(args, weights_url=f"s3://weights/{NAME}", weights_gib=1))
        namespace = ("--namespace", "models", "--create-namespace", "--kubeconfig", plane.directory / "kubeconfig")
        run(toolchain.path("helm"), "install", NAME, MODEL_SERVING, *namespace, "--values", "-", stdin=json.dumps(values))
        yield made
    finally:
        sim.close()
        plane.stop()
        stores.close()
