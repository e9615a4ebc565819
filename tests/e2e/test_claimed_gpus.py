"""Stacks whose models claim their GPUs: the whole platform, the driver first; on EKS and, from no node, on GKE."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.cluster.api import is_ready
from tests.e2e.conftest import Fork

pytestmark = pytest.mark.sandbox
STACK = """
owner: ml-platform
environment: dev
clusters:
  eks:
    cloud: aws
    region: us-east-1
    network: {cidr: 10.10.0.0/16}
    api: {allowed_cidrs: [203.0.113.0/24]}
    pools:
      t4: {accelerator: nvidia-t4, per_node: 4, nodes: {min: 1, max: 2}, allocation: dra}
    teams:
      search: {accelerators: {nvidia-t4: 4}}
    models:
      chat: {pool: t4, accelerators: 2, team: search, replicas: {min: 2, max: 2}}
  gke:
    cloud: gcp
    region: us-central1
    network: {cidr: 10.20.0.0/16}
    api: {allowed_cidrs: [203.0.113.0/24]}
    pools:
      l4: {accelerator: nvidia-l4, nodes: {min: 0, max: 1, start: 0}, allocation: dra}
    models:
      chat: {pool: l4}
"""
CLAIMS = "/apis/resource.k8s.io/v1/resourceclaims"


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    made = Fork(tmp_path_factory.mktemp("fork"), "claims", STACK)
    (made.root / "stacks" / "Pulumi.claims.yaml").write_text("config:\n  gcp:project: accelfleet-sandbox\n")
    made.fleet("up")
    yield made
    made.close()


def held(fork: Fork, cluster: str) -> list[tuple[str, str]]:
    claims: list[dict[str, Any]] = fork.api(cluster).items(CLAIMS)
    return [(r["pool"], r["device"]) for c in claims for r in c["status"]["allocation"]["devices"]["results"]]


def test_models_serve_on_what_they_claimed(fork: Fork) -> None:
    pools = fork.pools()
    assert {name: (p["accelerators"], p["missing"], p["pods_ready"]) for name, p in pools.items()} == {
        "t4": (4, 0, 2),
        "l4": (1, 0, 1),
    }
    on_eks, on_gke = held(fork, "aws/claims-eks"), held(fork, "gcp/claims-gke")
    assert (len(on_eks), len(set(on_eks)), len(on_gke)) == (4, 4, 1)


def test_no_device_plugin_runs_beside_the_driver_and_gke_has_its_kernel_driver(fork: Fork) -> None:
    for cluster, wanted in (
        ("aws/claims-eks", {"dra-driver-nvidia-gpu-kubelet-plugin"}),
        ("gcp/claims-gke", {"dra-driver-nvidia-gpu-kubelet-plugin", "nvidia-driver-installer"}),
    ):
        api = fork.api(cluster)
        assert {d["metadata"]["name"] for d in api.items("/apis/apps/v1/daemonsets")} == wanted
        assert all(is_ready(p) for p in api.items("/api/v1/namespaces/dra-driver-nvidia-gpu/pods"))
        assert not any("nvidia.com/gpu" in n["status"]["allocatable"] for n in api.items("/api/v1/nodes"))


def test_a_teams_claims_are_counted(fork: Fork) -> None:
    quota = fork.api("aws/claims-eks").call("GET", "/api/v1/namespaces/team-search/resourcequotas/accelerators")
    assert quota["status"]["used"]["gpu.nvidia.com.deviceclass.resource.k8s.io/devices"] == "4"


def test_a_second_run_changes_nothing_and_a_changed_claim_rolls_out(fork: Fork) -> None:
    assert "no changes" in fork.fleet("up", "--expect-no-changes")
    fork.write(STACK.replace("accelerators: 2, team", "accelerators: 1, team"))
    fork.fleet("up")
    assert len(held(fork, "aws/claims-eks")) == 2
    fork.fleet("destroy")
