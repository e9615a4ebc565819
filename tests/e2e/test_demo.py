"""The main job, as a newcomer runs it: three clouds up, a second run changes nothing, and destroy leaves nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from typing import Any
from urllib.parse import urlparse

import pytest

from fleet.standing import Standing
from fleet.table import picture
from sandbox import toolchain
from tests.e2e.conftest import ROOT, Sandbox
from tests.e2e.hand_edits import EDITS

pytestmark = pytest.mark.sandbox
DEV = ("--sandbox", "--stack", "*-dev")


@pytest.fixture(scope="module")
def standing(sandbox: Sandbox) -> dict[str, Any]:
    done = sandbox.fleet("up", *DEV)
    assert "What stands" in done.stdout
    assert "Next:" in done.stdout
    return dict(sandbox.json("status", *DEV))


def test_three_api_servers_answer(sandbox: Sandbox, standing: dict[str, Any]) -> None:
    clusters = sandbox.cloud("status")["clusters"]
    assert {c["cluster"].split("/")[0] for c in clusters} == {"aws", "gcp", "azure"}
    for cluster in clusters:
        where = urlparse(cluster["endpoint"])
        assert where.port is not None
        with socket.create_connection(("127.0.0.1", where.port), timeout=5):
            pass
    assert standing["unreachable"] == {}


def test_every_pool_has_its_nodes_and_accelerators(standing: dict[str, Any]) -> None:
    pools = {(p["stack"], p["pool"]): p for p in standing["pools"]}
    assert {name for name, _ in pools} == {"aws-dev", "gcp-dev", "azure-dev"}
    for pool in pools.values():
        assert pool["ready"] == pool["nodes"] >= 1, pool
        assert pool["accelerators"] == pool["nodes"] * pool["per_node"], pool
        assert pool["missing"] == 0, pool
    assert pools["gcp-dev", "v5e-slice"]["nodes"] == 4
    assert {p["purchase"] for p in pools.values()} == {"spot", "on-demand"}


def test_a_model_is_ready_on_a_node_of_each_pool(standing: dict[str, Any]) -> None:
    assert standing["waiting"] == []
    for pool in standing["pools"]:
        assert pool["pods_ready"] == pool["pods"] >= 1, pool


def test_the_report_page_is_written(sandbox: Sandbox, standing: dict[str, Any]) -> None:
    page = (sandbox.home / "out" / "report.html").read_text()
    for pool in standing["pools"]:
        assert pool["machine"] in page or pool["accelerator"] in page
    assert "http" not in page.replace("http-equiv", ""), "the page must need no network"


def test_the_readme_shows_what_stands(standing: dict[str, Any]) -> None:
    """The README's picture is this very run; `UPDATE_PICTURES=1` draws it anew."""
    drawn = picture(Standing.from_json(standing))
    kept = ROOT / "docs" / "images" / "what-stands.svg"
    if os.environ.get("UPDATE_PICTURES"):
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(drawn)
    assert kept.read_text() == drawn


def test_a_second_run_changes_nothing_also_after_an_autoscaler_moved_pools(sandbox: Sandbox, standing: dict[str, Any]) -> None:
    for cloud, cluster, pool in (
        ("aws", "aws-dev-main", "l4"),
        ("gcp", "gcp-dev-main", "l4"),
        ("azure", "azure-dev-main", "t4"),
    ):
        sandbox.cloud("resize", cloud=cloud, cluster=cluster, pool=pool, size=3)
    result = sandbox.json("up", *DEV, "--expect-no-changes")
    assert all(set(s["changes"]) <= {"same"} and s["ok"] for s in result["stacks"].values()), result
    sizes = {(p["cluster"], q["name"]): q["size"] for p in sandbox.cloud("status")["clusters"] for q in p["pools"]}
    assert sizes["aws/aws-dev-main", "l4"] == sizes["gcp/gcp-dev-main", "l4"] == sizes["azure/azure-dev-main", "t4"] == 3


def test_buckets_hold_objects(sandbox: Sandbox, standing: dict[str, Any]) -> None:
    """The stores are the vendors' protocols, spoken by the vendors' clients."""
    import boto3

    endpoint = sandbox.cloud("status")["stores"]["aws"]
    (bucket,) = sandbox.cloud("list", cloud="aws", type="aws:s3/bucket:Bucket")
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    client.put_object(Bucket=bucket["id"], Key="chat/weights.bin", Body=b"\x00weights")
    assert client.get_object(Bucket=bucket["id"], Key="chat/weights.bin")["Body"].read() == b"\x00weights"
    client.delete_object(Bucket=bucket["id"], Key="chat/weights.bin")


def test_status_shows_why_a_pod_waits(sandbox: Sandbox, standing: dict[str, Any]) -> None:
    """One accelerator more than a node has: the scheduler's own words reach the user."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        # Where the admission rules let pods alone: elsewhere the API server refuses it at once.
        "metadata": {"name": "greedy", "namespace": "accelerators"},
        "spec": {
            "nodeSelector": {"accelfleet.io/pool": "l4"},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
            "containers": [{"name": "c", "image": "busybox:1", "resources": {"limits": {"nvidia.com/gpu": "2"}}}],
        },
    }
    kubeconfig = sandbox.home / "clusters" / "aws" / "aws-dev-main" / "kubeconfig"
    kubectl = [str(toolchain.path("kubectl")), "--kubeconfig", str(kubeconfig)]
    subprocess.run([*kubectl, "apply", "-f", "-"], input=json.dumps(pod), text=True, check=True, capture_output=True)
    deadline = time.monotonic() + 60
    reasons: list[str] = []
    while time.monotonic() < deadline and not any("Insufficient nvidia.com/gpu" in r for r in reasons):
        waiting = sandbox.json("status", "--sandbox", "--stack", "aws-dev")["waiting"]
        reasons = [w["reason"] for w in waiting if w["pod"] == "accelerators/greedy"]
        time.sleep(0.5)
    assert any("Insufficient nvidia.com/gpu" in r for r in reasons), reasons
    subprocess.run([*kubectl, "-n", "accelerators", "delete", "pod", "greedy", "--now"], check=True, capture_output=True)


def test_fifteen_hand_edits_are_found_and_nothing_else(sandbox: Sandbox, standing: dict[str, Any]) -> None:
    """Pools that an autoscaler moved are told apart; what nobody touched is not told at all."""
    clean = sandbox.json("drift", *DEV)["stacks"]
    assert {one["kind"] for told in clean.values() for one in told} == {"autoscaler"}, clean
    for edit in EDITS.values():
        edit.do(sandbox)
    told = sandbox.json("drift", "--sandbox", "--stack", "aws-dev", check=False)["stacks"]["aws-dev"]
    missed = [name for name, edit in EDITS.items() if not edit.found(told)]
    assert len(EDITS) >= 15
    assert missed == [], told


def test_pain_19_destroy_sweeps_what_clusters_left_and_leaves_nothing(sandbox: Sandbox, standing: dict[str, Any]) -> None:
    """Kubernetes' own load balancer holds a subnet, and things nobody knows of carry our tag."""
    (subnet,) = [
        r["id"]
        for r in sandbox.cloud("list", cloud="aws", type="aws:ec2/subnet:Subnet")
        if r["name"].endswith("private-us-east-1a")
    ]
    made_by_cluster = {"kubernetes.io/cluster/aws-dev-main": "owned"}

    def plant(cloud: str, type_: str, **inputs: Any) -> None:
        sandbox.cloud("create", cloud=cloud, type=type_, urn="", config={"region": "us-east-1"}, inputs=inputs)

    plant("aws", "aws:lb/loadBalancer:LoadBalancer", name="k8s-chat", subnets=[subnet], tags=made_by_cluster)
    plant(
        "aws",
        "aws:ec2/networkInterface:NetworkInterface",
        subnetId=subnet,
        tags={**made_by_cluster, "Name": "ELB net/k8s-chat"},
    )
    plant("gcp", "gcp:compute/disk:Disk", name="pvc-1", labels={"goog-k8s-cluster-name": "gcp-dev-main"})
    group = next(r for r in sandbox.cloud("list", cloud="azure-native") if r["type"].endswith(":ResourceGroup"))["inputs"]
    plant(
        "azure-native",
        "azure-native:machinelearningservices:Workspace",
        name="soft-deleted",
        tags={"accelfleet-stack": "azure-dev"},
    )
    assert group["resourceGroupName"]

    ports = [urlparse(c["endpoint"]).port for c in sandbox.cloud("status")["clusters"]]
    result = sandbox.json("destroy", *DEV, check=False)["stacks"]
    assert [s.split(" ")[:2] for s in result["aws-dev"]["swept"]] == [["LoadBalancer", "k8s-chat"], ["NetworkInterface", "ELB"]]
    assert result["aws-dev"]["ok"], result["aws-dev"]
    assert result["gcp-dev"]["ok"]
    assert "Disk pvc-1" in result["gcp-dev"]["swept"][0]
    # What may hold data is named and left; the command fails so that nobody overlooks it.
    assert not result["azure-dev"]["ok"]
    assert "Workspace soft-deleted" in result["azure-dev"]["leftovers"][0]
    (left,) = sandbox.cloud("list")
    sandbox.cloud("delete", cloud=left["cloud"], type=left["type"], id=left["id"])

    sandbox.fleet("destroy", *DEV)
    assert sandbox.cloud("list") == []
    assert sandbox.cloud("status")["clusters"] == []
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is still served"
    names = ("etcd", "kube-apiserver", "kwok", "kube-scheduler", "kube-controller-manager")
    assert [p.name() for p in sandbox.processes() if p.name() in names] == []
