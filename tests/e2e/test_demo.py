"""The main job, as a newcomer runs it: three clouds up, a second run changes nothing, and destroy leaves nothing."""

from __future__ import annotations

import os
import socket
from typing import Any
from urllib.parse import urlparse

import pytest

from fleet.standing import Standing
from fleet.table import picture
from tests.e2e.conftest import ROOT, Sandbox

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


def test_the_report_page_is_written(standing: dict[str, Any]) -> None:
    page = (ROOT / "out" / "report.html").read_text()
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


def test_destroy_leaves_nothing(sandbox: Sandbox, standing: dict[str, Any]) -> None:
    ports = [urlparse(c["endpoint"]).port for c in sandbox.cloud("status")["clusters"]]
    sandbox.fleet("destroy", *DEV)
    assert sandbox.cloud("list") == []
    assert sandbox.cloud("status")["clusters"] == []
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is still served"
    left = [p.name() for p in sandbox.processes() if p.name() in ("etcd", "kube-apiserver", "kwok", "kube-scheduler")]
    assert left == []
