"""A model under faults, and under load all the while: nodes, a zone, a spot wave, a full node, its bucket, its weights.

What may be lost by each: docs/reliability.md.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from sandbox.cluster.api import Object, is_ready, nodes
from tests.e2e.served_model import CLIENTS, NAME, NODES, PODS, REPLICAS, ZONES, Served, standing
from tests.e2e.test_model_server import weights
from tests.waiting import until
from tests.watching import Budget, watching

pytestmark = pytest.mark.sandbox
NOTICE_S = 120  # AWS's


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with standing(tmp_path_factory.mktemp("serving")) as made:
        yield made


@pytest.fixture
def served(cluster: Served) -> Iterator[Served]:
    """All replicas ready on as many nodes as the pool has; and so again at the end."""
    assert until(cluster.settled, 180), cluster.pods()
    assert until(lambda: len(cluster.sim.nodes("gpu")) == NODES, 60)
    yield cluster
    assert until(cluster.settled, 180), cluster.pods()


def within_budget(counts: dict[str, int], dead: int) -> bool:
    """Each client may have had one request with each replica that died, and when all of these were gone was answered."""
    return counts["lost"] <= CLIENTS * dead and counts["twice"] <= CLIENTS * (dead - 1) and counts["refused"] == 0


def unharmed(counts: dict[str, int]) -> bool:
    return counts["lost"] == counts["refused"] == 0


def test_replicas_spread_over_zones_and_nodes(served: Served) -> None:
    per_zone = served.by_zone()
    assert len(per_zone) == ZONES
    assert max(per_zone.values()) - min(per_zone.values()) <= 1, per_zone
    assert len(served.busy()) == REPLICAS


def test_a_third_of_the_nodes_at_once(served: Served) -> None:
    gone = served.busy()[: NODES // 3]
    dead = sum(p["spec"]["nodeName"] in gone for p in served.pods())
    with served.load() as counts:
        served.take(gone)
        assert until(served.settled, 120), served.pods()
    assert within_budget(counts, dead), counts
    assert not set(gone) & set(served.busy())


def test_a_zone_that_is_lost(served: Served) -> None:
    (pool,) = served.sim.pools()
    (lost, dead), *_ = served.by_zone().most_common()
    there = [n for n in nodes(served.sim.api) if n["metadata"]["labels"]["topology.kubernetes.io/zone"] == lost]
    with served.load() as counts:
        served.sim.set_pool(replace(pool, zones=tuple(zone for zone in pool.zones if zone != lost)))
        served.take([node["metadata"]["name"] for node in there])
        assert until(served.settled, 120), served.pods()
    assert within_budget(counts, dead), counts
    assert served.by_zone().keys() == set(pool.zones) - {lost}
    served.sim.set_pool(pool)


def test_two_nodes_that_are_drained_at_once_take_one_replica_at_a_time(served: Served) -> None:
    budget = Budget(REPLICAS)
    with served.load() as counts, watching(served.plane, PODS, budget.see):
        served.take(served.busy()[:2], NOTICE_S)
        assert until(served.settled, 120), served.pods()
    assert unharmed(counts), counts
    assert budget.fewest >= REPLICAS - 1


def test_a_spot_wave_during_a_rollout(served: Served) -> None:
    """The rollout may have one replica down and the budget another; each says goodbye before it goes."""
    budget = Budget(REPLICAS)
    with served.load() as counts, watching(served.plane, PODS, budget.see):
        served.roll_out()
        assert until(lambda: not served.settled(), 30)
        served.take(served.busy()[:2], NOTICE_S)
        assert until(served.settled, 180), served.pods()
    assert unharmed(counts), counts
    assert budget.fewest >= REPLICAS - 2
    assert len(served.by_zone()) >= 2


def test_a_node_without_room_evicts_and_gets_nothing_more(served: Served) -> None:
    """The test is the kubelet: it says that the disk is full, and ends a pod on the spot, whatever its budget says."""
    api, node = served.sim.api, served.busy()[0]
    victims = [p for p in served.pods() if p["spec"]["nodeName"] == node]
    with served.load() as counts:
        pressure(served, node, "True")
        assert until(lambda: "node.kubernetes.io/disk-pressure" in taints(served, node), 30)
        for victim in victims:
            over = {
                "status": {
                    "phase": "Failed",
                    "reason": "Evicted",
                    "message": "The node was low on resource: ephemeral-storage.",
                }
            }
            api.patch(f"{PODS}/{victim['metadata']['name']}/status", over)
        assert until(served.settled, 120), served.pods()
    assert within_budget(counts, len(victims)), counts
    assert node not in served.busy()
    pressure(served, node, "False")
    assert until(lambda: "node.kubernetes.io/disk-pressure" not in taints(served, node), 30)


def pressure(served: Served, node: str, status: str) -> None:
    body = {"status": {"conditions": [{"type": "DiskPressure", "status": status, "reason": "Test"}]}}
    served.sim.api.call("PATCH", f"/api/v1/nodes/{node}/status", body, "application/strategic-merge-patch+json")


def taints(served: Served, node: str) -> set[str]:
    return {t["key"] for t in served.sim.api.call("GET", f"/api/v1/nodes/{node}")["spec"].get("taints") or []}


def newcomer(served: Served, before: list[Object]) -> Object | None:
    known = {p["metadata"]["uid"] for p in before}
    return next((p for p in served.pods() if p["metadata"]["uid"] not in known), None)


def test_a_bucket_that_does_not_answer_stops_new_replicas_alone_and_they_say_so(served: Served) -> None:
    before = served.pods()
    bucket = served.stores.s3._process
    assert bucket is not None
    with served.load() as counts:
        os.kill(bucket.pid, signal.SIGSTOP)
        try:
            served.sim.api.call("DELETE", f"{PODS}/{before[0]['metadata']['name']}")
            assert until(lambda: "has not answered" in served.log(newcomer(served, before) or before[0]), 60)
            new = newcomer(served, before)
            assert new is not None
            assert not is_ready(new)
        finally:
            os.kill(bucket.pid, signal.SIGCONT)
        assert until(served.settled, 120), served.pods()
    assert unharmed(counts), counts


def test_poisoned_weights_stop_a_rollout_at_its_first_replica(served: Served) -> None:
    before = served.pods()
    served.put("model.onnx", weights("magika").read_bytes())
    # In life each replica has scratch space of its own; here they share what one of them fetched.
    shutil.rmtree(served.plane.directory / "programs" / "models")
    try:
        with served.load() as counts:
            served.roll_out()
            assert until(lambda: "SHA-256" in served.log(newcomer(served, before) or before[0]), 90)
            time.sleep(5)  # and it stays at that
            ready = {p["metadata"]["uid"] for p in served.pods() if is_ready(p)}
            assert len(ready) == REPLICAS - 1
            assert ready < {p["metadata"]["uid"] for p in before}
    finally:
        served.put("model.onnx", weights(NAME).read_bytes())
    assert unharmed(counts), counts


def test_a_node_that_goes_silent_is_not_waited_for(served: Served) -> None:
    """Its machine is there, and nobody hears of it: after half a minute, not five, its replica is made elsewhere."""
    api, node = served.sim.api, served.busy()[0]
    api.patch(f"/api/v1/nodes/{node}", {"metadata": {"annotations": {"kwok.x-k8s.io/node": None}}})
    began = time.monotonic()
    body = {"status": {"conditions": [{"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}]}}
    api.call("PATCH", f"/api/v1/nodes/{node}/status", body, "application/strategic-merge-patch+json")
    assert until(lambda: served.settled() and node not in served.busy(), 120), served.pods()
    assert time.monotonic() - began > 30, "it was not the toleration that it waited for"
    served.take([node])
