"""A flexible model under load: a grid that gets dirty holds it back, a clean one lets it go, and both real programs do it.

Beside it two models whose work waits in a queue: replicas that wait for the cleanest hour, and Jobs whose deadline is before
that. An hour lasts five seconds.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import toolchain
from sandbox.addons import TOOLS
from sandbox.cluster.api import is_ready
from tests.e2e.conftest import Fork
from tests.e2e.test_queue import Queue
from tests.waiting import until

pytestmark = pytest.mark.sandbox
STACK = """
owner: ml-platform
environment: dev
secrets: [em-token]
clusters:
  main:
    cloud: aws
    region: us-east-1
    grid_token: em-token
    api: {allowed_cidrs: [203.0.113.0/24]}
    pools:
      l4:
        accelerator: nvidia-l4
        nodes: {min: 0, max: 6}
    models:
      chat:
        pool: l4
        autoscaler: keda
        replicas: {min: 1, max: 3}
      batch:
        pool: l4
        autoscaler: keda
        replicas: {min: 1, max: 3}
        tier: flexible
        carbon: {clean: 150, dirty: 400}
      night: &waits
        pool: l4
        image: registry.example/ml/scorer:1.0
        autoscaler: keda
        replicas: {min: 0, max: 1}
        tier: flexible
        scaling:
          queue: &queue {address: "https://sqs.us-east-1.amazonaws.com/123456789012/jobs", messages: 5}
          idle_s: 60
        carbon: {deadline_h: 12, work_h: 2}
      archive:
        <<: *waits
        scaling: {queue: *queue, jobs: true}
        carbon: {deadline_h: 7, work_h: 2}
"""
HOUR_S = 5.0
CLUSTER, ZONE = "aws/green-main", "US-MIDA-PJM"
SCALED = "/apis/keda.sh/v1alpha1/namespaces/models/scaledobjects"


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    toolchain.ensure(TOOLS["keda"])
    made = Fork(tmp_path_factory.mktemp("fork"), "green", STACK, ACCELFLEET_IDLE_S="5", ACCELFLEET_HOUR_S=str(HOUR_S))
    # The ciphertext is nobody's: in the sandbox another value takes its place.
    (made.root / "stacks" / "Pulumi.green.yaml").write_text("config: {accelfleet:em-token: {secure: AAABAKx}}")
    try:
        made.fleet("up")
        yield made
    finally:
        made.close()


def count(fork: Fork, model: str) -> int:
    found = fork.api(CLUSTER).call("GET", "/api/v1/namespaces/models/pods")["items"]
    there = [p["metadata"] for p in found if p["metadata"].get("deletionTimestamp") is None]
    return sum(p["labels"]["app.kubernetes.io/instance"] == model for p in there)


def replicas(fork: Fork) -> tuple[int, int]:
    """Of the flexible model and of the interactive one."""
    return count(fork, "batch"), count(fork, "chat")


def scaled(fork: Fork) -> list[Any]:
    return [fork.api(CLUSTER).call("GET", f"{SCALED}/{model}") for model in ("batch", "chat")]


def state(fork: Fork) -> tuple[tuple[int, int], list[Any]]:
    return replicas(fork), [s["status"] for s in scaled(fork)]


def are(fork: Fork, kind: str) -> bool:
    """Whether a condition holds for both."""
    return all({c["type"]: c["status"] for c in s["status"]["conditions"]}.get(kind) == "True" for s in scaled(fork))


def grid(fork: Fork, gco2: int, *ahead: int) -> None:
    fork.run("sandbox", "grid", ZONE, str(gco2), *(["--forecast", ",".join(map(str, ahead))] if ahead else []))


def exporter(fork: Fork) -> str:
    ports = json.loads(fork.run("sandbox", "status", "--json"))["clusters"][0]["services"]
    return next(str(port["address"]) for port in ports if port["service"] == "carbon-exporter")


def put_off(address: str, rule: str) -> list[dict[str, Any]]:
    """What both replicas say of a deadline, as they answer by turns; KEDA goes by the one that lets go."""
    found = []
    for _ in range(2):
        with urllib.request.urlopen(f"http://{address}/v1/deferral", timeout=5) as reply:
            found.append(json.load(reply)["rules"][rule])
    return found


def test_the_exporter_runs_and_the_models_are_scaled(fork: Fork) -> None:
    pods = fork.api(CLUSTER).items("/api/v1/namespaces/carbon/pods")
    assert len(pods) == 2
    assert all(is_ready(p) for p in pods)
    assert until(lambda: are(fork, "Ready"), 60), state(fork)
    # Until it is there nobody can count it, which to KEDA is work for one replica.
    Queue(fork)


def test_on_a_clean_grid_both_queues_get_what_they_ask_for(fork: Fork) -> None:
    grid(fork, 100)
    for model in ("batch", "chat"):
        fork.run("sandbox", "load", "green-main", model, "40")
    assert until(lambda: replicas(fork) == (3, 3), 120), state(fork)


def test_a_dirty_grid_holds_it_back_to_the_floor_and_no_further(fork: Fork) -> None:
    grid(fork, 500)
    assert until(lambda: replicas(fork) == (1, 3), 120), ("the interactive one is nobody's to hold back", state(fork))
    assert not until(lambda: replicas(fork) != (1, 3), 10), state(fork)


def test_in_between_it_has_some(fork: Fork) -> None:
    grid(fork, 275)
    assert until(lambda: replicas(fork) == (2, 3), 120), state(fork)


def test_requests_that_nobody_can_count_any_more_take_no_replica_away(fork: Fork) -> None:
    for model in scaled(fork):
        waiting, *others = model["spec"]["triggers"]
        waiting["metadata"]["url"] = "http://nobody.models.svc:8000/metrics"
        fork.api(CLUSTER).patch(f"{SCALED}/{model['metadata']['name']}", {"spec": {"triggers": [waiting, *others]}})
    assert until(lambda: are(fork, "Fallback") or replicas(fork) != (2, 3), 120), state(fork)
    assert not until(lambda: replicas(fork) != (2, 3), 25), state(fork)
    assert are(fork, "Fallback")


def test_work_that_waits_is_done_in_the_cleanest_hour_or_by_its_deadline(fork: Fork) -> None:
    queue, address = Queue(fork), exporter(fork)
    assert until(lambda: count(fork, "night") == 0, 120), "since its queue is there it is idle"
    hours = [*range(500, 300, -20), 100, 100, 500]
    told = time.time()
    grid(fork, *hours)

    def held(rule: str) -> bool:
        return all(found["deferred"] for found in put_off(address, rule))

    assert until(lambda: held("12h-2h") and held("7h-2h"), 60), put_off(address, "12h-2h")
    # The last moments: of the cleanest hour's beginning, and of five hours after the hold's.
    cleanest = told + hours.index(100) * HOUR_S
    latest = min(found["held_since"] or 0.0 for found in put_off(address, "7h-2h")) + 5 * HOUR_S
    queue.put(10)
    came: dict[str, float] = {}

    def both() -> bool:
        for model in ("night", "archive"):
            if count(fork, model):
                came.setdefault(model, time.time())
        return len(came) == 2

    assert until(both, 180), (came, cleanest, latest, put_off(address, "12h-2h"))
    assert came["night"] >= cleanest, "no replica before the cleanest hour, though messages wait"
    assert latest <= came["archive"] < came["night"], "a deadline before that hour is kept, and nothing is done sooner"


def test_a_second_run_changes_nothing(fork: Fork) -> None:
    assert "no changes" in fork.fleet("up", "--expect-no-changes")
    fork.fleet("destroy")
