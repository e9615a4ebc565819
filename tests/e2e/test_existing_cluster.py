"""A cluster that somebody else made, in a fork with a stack file of its own: up, no changes, another host, given back.

Terraform made it, and a state of Terraform's says how it is reached and what its hosts are called.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.cluster.api import is_ready
from tests.e2e.conftest import Fork
from tests.waiting import until

pytestmark = pytest.mark.sandbox
STACK = """
owner: lab
environment: dev
terraform:
  rack: {state: terraform/rack.tfstate}
clusters:
  lab:
    cloud: existing
    region: DE
    kubeconfig: terraform:rack.kubeconfig
    pools:
      rtx:
        accelerator: nvidia-rtx-4090
        per_node: 2
        sharing: {time_slices: 2}
        hosts:
          names: [gpu-1, gpu-2]
          vcpus: 32
          memory_gib: 128
          taints: ["dedicated=gpu:NoSchedule"]
          runtime_class: nvidia
          usd_hour: 0.5
      operated:
        accelerator: nvidia-rtx-5090
        per_node: 1
        hosts: {names: [gpu-4], vcpus: 16, memory_gib: 64, driver: operator}
      gaudi:
        accelerator: gaudi3
        per_node: 8
        hosts: {names: terraform:rack.gaudi_hosts, vcpus: 160, memory_gib: 1024}
    models:
      chat: {pool: rtx, replicas: {min: 2, max: 2}}
      draw: {pool: operated}
"""
CLUSTER = "existing/lab-lab"
# In the sandbox its own cluster's takes its place, so that this one is never asked.
TOKEN = "token-of-a-real-cluster"
STATE = {
    "version": 4,
    "outputs": {
        "kubeconfig": {"value": f"users: [{{user: {{token: {TOKEN}}}}}]", "type": "string", "sensitive": True},
        "gaudi_hosts": {"value": ["gaudi-1"], "type": ["list", "string"]},
    },
    "resources": [],
}


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    made = Fork(tmp_path_factory.mktemp("fork"), "lab", STACK)
    (made.root / "terraform").mkdir()
    (made.root / "terraform" / "rack.tfstate").write_text(json.dumps(STATE))
    made.fleet("up")
    yield made
    made.close()


def ours(fork: Fork) -> dict[str, dict[str, str]]:
    """Of each node, the labels that are ours."""
    nodes = fork.api(CLUSTER).call("GET", "/api/v1/nodes")["items"]
    prefix = "accelfleet.io/"
    return {
        n["metadata"]["name"]: {k.removeprefix(prefix): v for k, v in n["metadata"]["labels"].items() if k.startswith(prefix)}
        for n in nodes
    }


def test_every_pool_offers_what_its_hosts_have(fork: Fork) -> None:
    found = fork.pools()
    assert {name: (p["ready"], p["accelerators"], p["missing"]) for name, p in found.items()} == {
        "rtx": (2, 4, 0),
        "operated": (1, 1, 0),
        "gaudi": (1, 8, 0),
    }
    assert {p["purchase"] for p in found.values()} == {"owned"}
    assert found["rtx"]["pods_ready"] == found["rtx"]["pods"] == 2
    assert found["operated"]["pods_ready"] == 1


def test_the_token_of_the_terraform_state_goes_nowhere(fork: Fork) -> None:
    kept = [path for path in fork.home.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
    assert kept == []


def test_hosts_cost_what_their_owner_says_and_nothing_is_made_up(fork: Fork) -> None:
    found = fork.pools()
    assert float(found["rtx"]["cost"]["usd_month"]) == 0.5 * 2 * 730
    assert found["gaudi"]["cost"]["usd_month"] is None
    # TDP x 60 % x hours x the grid of Germany x PUE 1.2
    expected = 2 * 2 * 450 / 1000 * 0.6 * 730 * 1.2 * 0.27582
    assert abs(float(found["rtx"]["cost"]["kg_month"]) - expected) < 0.1


def test_a_pod_without_the_hosts_toleration_is_kept_out(fork: Fork) -> None:
    api = fork.api(CLUSTER)
    spec: dict[str, Any] = {
        "nodeSelector": {"accelfleet.io/pool": "rtx"},
        "containers": [{"name": "c", "image": "model:1", "resources": {"limits": {"nvidia.com/gpu": "1"}}}],
    }
    body = {"metadata": {"name": "stranger"}, "spec": spec}
    api.call("POST", "/api/v1/namespaces/default/pods", body)

    def words() -> str:
        pod = api.call("GET", "/api/v1/namespaces/default/pods/stranger")
        assert not is_ready(pod)
        return " ".join(str(c.get("message")) for c in pod["status"].get("conditions") or [])

    assert until(lambda: "untolerated taint" in words(), 30)
    api.call("DELETE", "/api/v1/namespaces/default/pods/stranger")


def test_a_second_run_changes_nothing(fork: Fork) -> None:
    assert "no changes" in fork.fleet("up", "--expect-no-changes")


def test_another_host_takes_a_hosts_place(fork: Fork) -> None:
    fork.write(STACK.replace("[gpu-1, gpu-2]", "[gpu-1, gpu-3]"))
    fork.fleet("up")
    labels = ours(fork)
    assert labels["gpu-3"]["pool"] == "rtx"
    assert "gpu-2" not in labels
    assert fork.pools()["rtx"]["pods_ready"] == 2


def test_the_kubeconfig_is_in_no_state_in_clear(fork: Fork) -> None:
    token = json.loads((fork.home / "clusters" / CLUSTER / "cluster.json").read_text())["token"]
    states = [p for p in (fork.home / "state").rglob("*.json*") if p.is_file()]
    assert states
    assert not [p for p in states if token.encode() in p.read_bytes()]


def test_destroy_gives_the_hosts_back_as_they_were(fork: Fork) -> None:
    fork.fleet("destroy")
    assert ours(fork) == {"gpu-1": {}, "gpu-3": {}, "gpu-4": {}, "gaudi-1": {}}
