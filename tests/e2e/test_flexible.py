"""A flexible model under load: a grid that gets dirty holds it back, a clean one lets it go, and both real programs do it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import toolchain
from sandbox.addons import TOOLS
from sandbox.cluster.api import is_ready
from tests.e2e.conftest import Fork
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
"""
CLUSTER, ZONE = "aws/green-main", "US-MIDA-PJM"
SCALED = "/apis/keda.sh/v1alpha1/namespaces/models/scaledobjects"


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    toolchain.ensure(TOOLS["keda"])
    made = Fork(tmp_path_factory.mktemp("fork"), "green", STACK, ACCELFLEET_IDLE_S="5")
    # The ciphertext is nobody's: in the sandbox another value takes its place.
    (made.root / "stacks" / "Pulumi.green.yaml").write_text("config: {accelfleet:em-token: {secure: AAABAKx}}")
    try:
        made.fleet("up")
        yield made
    finally:
        made.close()


def replicas(fork: Fork) -> tuple[int, int]:
    """Of the flexible model and of the interactive one."""
    found = fork.api(CLUSTER).call("GET", "/api/v1/namespaces/models/pods")["items"]
    there = [p["metadata"] for p in found if p["metadata"].get("deletionTimestamp") is None]
    batch, chat = (sum(p["labels"]["app.kubernetes.io/instance"] == model for p in there) for model in ("batch", "chat"))
    return batch, chat


def scaled(fork: Fork) -> list[Any]:
    return [fork.api(CLUSTER).call("GET", f"{SCALED}/{model}") for model in ("batch", "chat")]


def state(fork: Fork) -> tuple[tuple[int, int], list[Any]]:
    return replicas(fork), [s["status"] for s in scaled(fork)]


def are(fork: Fork, kind: str) -> bool:
    """Whether a condition holds for both."""
    return all({c["type"]: c["status"] for c in s["status"]["conditions"]}.get(kind) == "True" for s in scaled(fork))


def grid(fork: Fork, gco2: int) -> None:
    fork.run("sandbox", "grid", ZONE, str(gco2))


def test_the_exporter_runs_and_the_models_are_scaled(fork: Fork) -> None:
    pods = fork.api(CLUSTER).items("/api/v1/namespaces/carbon/pods")
    assert len(pods) == 2
    assert all(is_ready(p) for p in pods)
    assert until(lambda: are(fork, "Ready"), 60), state(fork)


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


def test_a_second_run_changes_nothing(fork: Fork) -> None:
    assert "no changes" in fork.fleet("up", "--expect-no-changes")
    fork.fleet("destroy")
