"""A queue that grows: the real KEDA counts it, Kubernetes makes replicas, the cloud makes nodes; and all of it goes again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import toolchain
from sandbox.addons import ADDONS, PLAYED, TOOLS
from sandbox.cluster.api import ApiError, is_ready
from tests.e2e.conftest import ROOT, Fork
from tests.waiting import until

pytestmark = pytest.mark.sandbox
STACK = """
owner: ml-platform
environment: dev
clusters:
  main:
    cloud: aws
    region: us-east-1
    api: {allowed_cidrs: [203.0.113.0/24]}
    pools:
      l4:
        accelerator: nvidia-l4
        nodes: {min: 0, max: 3}
    models:
      chat:
        pool: l4
        autoscaler: keda
        replicas: {min: 1, max: 3}
"""
CLUSTER = "aws/queue-main"
OPERATOR = "keda-operator"


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    toolchain.ensure(TOOLS["keda"])
    made = Fork(tmp_path_factory.mktemp("fork"), "queue", STACK, ACCELFLEET_IDLE_S="5")
    made.fleet("up")
    yield made
    made.close()


def replicas(fork: Fork) -> tuple[int, int]:
    """Of the model: those that are there and those that are Ready."""
    found = fork.api(CLUSTER).call("GET", "/api/v1/namespaces/models/pods")["items"]
    there = [p for p in found if p["metadata"].get("deletionTimestamp") is None]
    return len(there), sum(is_ready(p) for p in there)


def nodes(fork: Fork) -> int:
    return len(fork.api(CLUSTER).items("/api/v1/nodes", labelSelector="accelfleet.io/pool=l4"))


def scaled(fork: Fork) -> dict[str, Any]:
    return fork.api(CLUSTER).call("GET", "/apis/keda.sh/v1alpha1/namespaces/models/scaledobjects/chat")


def load(fork: Fork, waiting: int) -> None:
    fork.run("sandbox", "load", "queue-main", "chat", str(waiting))


def test_every_stand_in_of_a_chart_has_its_programs() -> None:
    assert {p.name for p in (ROOT / "sandbox" / "charts").iterdir()} == {*ADDONS, *PLAYED}
    assert set(ADDONS) == set(TOOLS)


def test_keda_takes_the_model_over(fork: Fork) -> None:
    conditions = {c["type"]: c["status"] for c in scaled(fork)["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    assert replicas(fork) == (1, 1)
    pods = fork.api(CLUSTER).items("/api/v1/namespaces/keda/pods")
    assert len(pods) == 2
    assert all(is_ready(p) for p in pods)


def test_a_queue_makes_replicas_and_they_make_nodes(fork: Fork) -> None:
    load(fork, 12)  # four wait for each of three
    assert until(lambda: replicas(fork) == (3, 3), 120), (replicas(fork), scaled(fork)["status"])
    assert nodes(fork) == 3


def test_a_longer_queue_makes_no_more_than_the_stack_file_says(fork: Fork) -> None:
    load(fork, 500)
    assert not until(lambda: replicas(fork)[0] > 3 or nodes(fork) > 3, 20)


def test_a_second_run_leaves_the_replicas_alone(fork: Fork) -> None:
    assert "no changes" in fork.fleet("up", "--expect-no-changes")
    assert replicas(fork)[0] == 3


def test_a_sandbox_that_was_stopped_comes_back_with_keda(fork: Fork) -> None:
    fork.run("sandbox", "down")
    fork.run("sandbox", "up")
    api = fork.api(CLUSTER)

    def served() -> bool:
        try:
            return bool(api.call("GET", "/apis/external.metrics.k8s.io/v1beta1"))
        except ApiError:
            return False

    assert until(served, 60), scaled(fork)["status"]


def test_without_load_all_but_the_least_go_and_so_do_their_nodes(fork: Fork) -> None:
    load(fork, 0)
    assert until(lambda: replicas(fork) == (1, 1) and nodes(fork) == 1, 180), (replicas(fork), nodes(fork))


def test_with_the_last_model_on_it_keda_goes(fork: Fork) -> None:
    fork.write(STACK.replace("        autoscaler: keda\n        replicas: {min: 1, max: 3}\n", ""))
    fork.fleet("up")
    with pytest.raises(ApiError):
        scaled(fork)
    programs = list((fork.home / "clusters" / CLUSTER / "logs").glob("keda-*.log"))
    assert programs, "they ran"
    fork.fleet("destroy")
