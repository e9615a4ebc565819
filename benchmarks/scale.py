"""How large a cluster the sandbox holds: nodes of eight GPUs and a pod for each GPU, until all are Ready.

Against the 20 nodes or pods a second that KWOK's README promises on a laptop (kubernetes-sigs/kwok). The nodes are
registered, the pods made by a Deployment and bound by the real scheduler; memory is that of the whole control plane.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.clusters import mib
from benchmarks.measure import Aim, Ratio, Run
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from sandbox.cluster import ClusterSim, NodePool
from sandbox.control_plane import ControlPlane

NAME = "scale"

_PUBLISHED_A_SECOND = 20
_GPUS = 8
_DEADLINE_S = 1500
_LABELS = {"app": "model"}


def measure(quick: bool) -> list[Ratio]:
    found = []
    for nodes in (50, 100) if quick else (100, 300, 1000):
        run = _fill(nodes)
        objects = nodes * (1 + _GPUS)
        what, ours = f"{objects} nodes and pods at KWOK's 20 a second", f"{nodes} nodes, {nodes * _GPUS} GPU pods, all Ready"
        found.append(Ratio(NAME, what, ours, "s", (objects / _PUBLISHED_A_SECOND,), (run.seconds,), Aim(1, at_least=True)))
        found.append(Ratio(NAME, f"memory of {nodes} nodes", "GiB of it", "MiB", (run.mib,), (1024,)))
    return found


def _fill(nodes: int) -> Run:
    with tempfile.TemporaryDirectory(prefix="accelfleet-bench-") as scratch:
        plane = ControlPlane("scale", Path(scratch) / "plane")
        plane.start()
        sim = ClusterSim(plane, lambda _pool, _size: None)
        try:
            started = time.monotonic()
            sim.api.call("POST", "/apis/apps/v1/namespaces/default/deployments", _deployment(nodes * _GPUS))
            sim.set_pool(gpu_pool(nodes))
            while _ready(sim) < nodes * _GPUS:
                if time.monotonic() - started > _DEADLINE_S:
                    raise RuntimeError(f"{_ready(sim)} of {nodes * _GPUS} pods are Ready after {_DEADLINE_S} s")
                time.sleep(0.5)
            return Run(time.monotonic() - started, sum(mib(pid) for pid in plane.pids.values()))
        finally:
            sim.close()
            plane.stop()


def _ready(sim: ClusterSim) -> int:
    """As the Deployment's controller counts them; asking for 8,000 pods would be the heavier half of the work."""
    found = sim.api.call("GET", "/apis/apps/v1/namespaces/default/deployments/model")
    return int(found.get("status", {}).get("readyReplicas") or 0)


def gpu_pool(nodes: int) -> NodePool:
    return NodePool(
        name="gpu",
        cloud=Cloud.GCP,
        region="us-central1",
        zones=("us-central1-a",),
        machine_name="a3-highgpu-8g",
        hardware=machine(Cloud.GCP, "a3-highgpu-8g"),
        spot=False,
        labels={},
        taints=(),
        min_nodes=nodes,
        max_nodes=nodes,
        size=nodes,
        topology=None,
        autoscaled=False,
        has_cpu_pool=False,
        plugin_builtin=True,
        driver_ok=True,
        disk_gib=500,
    )


def _deployment(pods: int) -> dict[str, Any]:
    spec = {
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": "c", "image": "model:1", "resources": {"limits": {"nvidia.com/gpu": "1"}}}],
    }
    template = {"metadata": {"labels": _LABELS}, "spec": spec}
    return {
        "metadata": {"name": "model"},
        "spec": {"replicas": pods, "selector": {"matchLabels": _LABELS}, "template": template},
    }
