"""A cluster that was stopped, or that nobody heard of for a while, is there again as it was: nodes and pods Ready."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from sandbox.cluster import ClusterSim
from sandbox.cluster.api import Api, is_ready
from sandbox.control_plane import ControlPlane
from tests.accelerator_pools import pool_of
from tests.sandbox.test_nodes import as_the_cloud_makes_it, pod
from tests.waiting import until

pytestmark = pytest.mark.sandbox
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
PODS = "/api/v1/namespaces/default/pods"


def the_pod(api: Api) -> dict[str, Any]:
    return api.call("GET", f"{PODS}/served")


def holders(api: Api) -> set[str]:
    return {lease["spec"]["holderIdentity"] for lease in api.call("GET", LEASES)["items"]}


def test_nodes_and_pods_outlive_a_stop_and_a_silence(tmp_path: Path) -> None:
    pool = pool_of(machine(Cloud.GCP, "g2-standard-4"))
    plane = ControlPlane("restarted", tmp_path)
    plane.start()
    sim = ClusterSim(plane, lambda _pool, _size: None)
    sim.set_pool(as_the_cloud_makes_it(pool))
    sim.api.call("POST", PODS, pod("served", pool))
    assert until(lambda: is_ready(the_pod(sim.api)), 60)
    assert until(lambda: len(holders(sim.api)) == 1, 30)
    before = holders(sim.api)
    sim.close()
    plane.stop()

    plane.start()
    try:
        api = Api(plane.endpoint, plane.ca_pem, plane.token)
        # Within what Kubernetes waits for a node (50 s), and not after the old lease's two minutes.
        assert until(lambda: bool(holders(api)) and not holders(api) & before, 30)
        assert all(is_ready(node) for node in api.call("GET", "/api/v1/nodes")["items"])
        assert is_ready(the_pod(api))
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        unready = [{"type": "Ready", "status": "False", "lastTransitionTime": now}]
        others = [c for c in the_pod(api)["status"]["conditions"] if c["type"] != "Ready"]
        said = api.patch(f"{PODS}/served/status", {"status": {"conditions": [*others, *unready]}})
        assert not is_ready(said), "as Kubernetes marks the pods of a node that it has not heard of"
        assert until(lambda: is_ready(the_pod(api)), 30)
    finally:
        plane.stop()
