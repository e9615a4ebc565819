"""The model server behind its Deployment on all three clouds: real processes, real ONNX models, read from real stores."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from azure.storage.blob import BlobServiceClient

from sandbox import toolchain
from sandbox.addons import TOOLS
from sandbox.cluster.api import is_ready
from sandbox.object_stores import azure_key
from tests.e2e.conftest import ROOT, Fork
from tests.waiting import until

pytestmark = pytest.mark.sandbox
PYTHON = ROOT / ".venv-serving" / "bin" / "python"
# Of the wheels that have trained models in them.
FILES = {
    "magika": "magika/models/standard_v3_3/model.onnx",
    "upright": "rapidocr/models/ch_ppocr_mobile_v2.0_cls_mobile.onnx",
    "read": "rapidocr/models/PP-OCRv6_rec_small.onnx",
}
CLUSTERS = {"read": "aws/three-east", "upright": "gcp/three-west", "magika": "azure/three-europe"}
ACCOUNTS = {"gcp:project": "sandbox", "azure-native:subscriptionId": "00000000-0000-0000-0000-000000000000"}
MODEL = """
      {name}:
        pool: gpu
        image: registry.example/ml/accelfleet-serving:1.0
        weights: {{store: weights, path: {name}, size_gib: 1{files}}}{more}
"""
SCALED = """
        autoscaler: keda
        replicas: {min: 1, max: 2}"""
CLUSTER = """
  {name}:
    cloud: {cloud}
    region: {region}
    network: {{cidr: {cidr}}}
    api: {{allowed_cidrs: [203.0.113.0/24]}}
    pools:
      gpu: {{accelerator: {accelerator}, nodes: {{min: 0, max: 2}}}}
    stores: {{weights: {{}}}}
    models:{models}"""


def stack(*, on_azure: bool) -> str:
    """The stack file; on Azure weights come from elsewhere, so its model is asked for once they are there."""

    def cluster(name: str, cloud: str, region: str, cidr: str, accelerator: str, models: str) -> str:
        return CLUSTER.format(name=name, cloud=cloud, region=region, cidr=cidr, accelerator=accelerator, models=models)

    def model(name: str) -> str:
        files = "" if name == "magika" else f", files: models/{name}"
        return MODEL.format(name=name, files=files, more=SCALED if name == "read" else "")

    return "owner: ml-platform\nenvironment: dev\nclusters:" + "".join(
        (
            cluster("east", "aws", "us-east-1", "10.10.0.0/16", "nvidia-l4", model("read")),
            cluster("west", "gcp", "us-west1", "10.20.0.0/16", "nvidia-l4", model("upright")),
            cluster("europe", "azure", "westeurope", "10.30.0.0/16", "nvidia-t4", model("magika") if on_azure else " {}"),
        )
    )


def weights(name: str) -> Path:
    (site,) = (ROOT / ".venv-serving" / "lib").glob("python3*/site-packages")
    return site / FILES[name]


def describe(name: str) -> str:
    digest = hashlib.sha256(weights(name).read_bytes()).hexdigest()
    return yaml.safe_dump({"name": name, "runtime": "onnx", "files": {"fp32": {"path": "model.onnx", "sha256": digest}}})


@pytest.fixture(scope="module")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fork]:
    assert PYTHON.exists(), "run `make install`"
    toolchain.ensure(TOOLS["keda"])
    made = Fork(tmp_path_factory.mktemp("fork"), "three", stack(on_azure=False), ACCELFLEET_SERVING_PYTHON=str(PYTHON))
    (made.root / "stacks" / "Pulumi.three.yaml").write_text(yaml.safe_dump({"config": ACCOUNTS}))
    for name in ("read", "upright"):
        folder = made.root / "models" / name
        folder.mkdir(parents=True)
        shutil.copyfile(weights(name), folder / "model.onnx")
        (folder / "model.yaml").write_text(describe(name))
    made.fleet("up")
    yield made
    made.close()


def addresses(fork: Fork, name: str) -> dict[str, str]:
    """Where the model's Service is on this machine, by its port's name."""
    found = json.loads(fork.run("sandbox", "status", "--json"))["clusters"]
    ports = next(c["services"] for c in found if c["cluster"] == CLUSTERS[name])
    return {p["port"]: p["address"] for p in ports if p["service"] == name and p["ready"]}


def differences(fork: Fork, name: str) -> dict[str, float]:
    """Of the answers over each protocol from the model run directly."""
    there = addresses(fork, name)
    command = [str(PYTHON), str(ROOT / "tests" / "e2e" / "ask_model_server.py"), str(weights(name)), name]
    done = subprocess.run(
        [*command, there["http"], there["grpc"], "3"], capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


def pods(fork: Fork, name: str) -> list[dict[str, Any]]:
    return fork.api(CLUSTERS[name]).items("/api/v1/namespaces/models/pods")


@pytest.mark.parametrize("name", ["read", "upright"])
def test_the_server_reads_its_weights_from_the_store_and_answers_as_the_model_does(fork: Fork, name: str) -> None:
    differ = differences(fork, name)
    assert set(differ) == {"http", "grpc"}
    assert max(differ.values()) < 1e-3


def ready(fork: Fork, name: str) -> int:
    return sum(is_ready(p) for p in pods(fork, name) if p["metadata"].get("deletionTimestamp") is None)


def asks(clients: subprocess.Popen[str]) -> None:
    """Wait until it does: from then on it can be told to stop."""
    assert clients.stdout is not None
    assert clients.stdout.readline() == "asking\n"


def test_a_queue_of_real_requests_makes_replicas_and_nobody_is_lost_as_they_come_and_go(fork: Fork) -> None:
    """KEDA counts what waits at the servers; requests go on, fewer, while the second replica is drained and ends."""
    http = addresses(fork, "read")["http"]
    command = [str(PYTHON), str(ROOT / "tests" / "e2e" / "load_model_server.py"), str(weights("read")), "read", http]
    with subprocess.Popen([*command, "48"], stdout=subprocess.PIPE, text=True) as heavy:
        asks(heavy)
        try:
            assert until(lambda: ready(fork, "read") == 2, 120), pods(fork, "read")
        finally:
            heavy.terminate()
        said, _ = heavy.communicate(timeout=120)
    with subprocess.Popen([*command, "1"], stdout=subprocess.PIPE, text=True) as light:
        asks(light)
        try:
            assert until(lambda: len(pods(fork, "read")) == 1, 180), pods(fork, "read")
        finally:
            light.terminate()
        said_later, _ = light.communicate(timeout=120)
    for counts in (json.loads(said), json.loads(said_later)):
        assert counts["answered"] > 0
        assert counts["lost"] == 0, counts


def test_a_second_up_changes_nothing(fork: Fork) -> None:
    fork.fleet("up", "--expect-no-changes")


def test_on_azure_weights_are_put_there_from_elsewhere(fork: Fork) -> None:
    stores = json.loads(fork.run("sandbox", "status", "--json"))["stores"]
    (name,) = json.loads((fork.home / "stores" / "azure" / "accounts.json").read_text())
    container = BlobServiceClient(f"{stores['azure']}/{name}", credential=azure_key(name)).get_container_client("models")
    container.upload_blob("magika/model.yaml", describe("magika"))
    container.upload_blob("magika/model.onnx", weights("magika").read_bytes())
    fork.write(stack(on_azure=True))
    fork.fleet("up")
    assert ready(fork, "magika") == 1, "up waits for it"
    assert max(differences(fork, "magika").values()) < 1e-4


def test_a_replica_that_dies_is_not_ready_until_it_answers_again(fork: Fork) -> None:
    (pod,) = pods(fork, "upright")
    (log,) = fork.home.glob(f"clusters/gcp/*/programs/{pod['metadata']['name']}.log")
    before = log.stat().st_size
    (process,) = [p for p in fork.processes() if str(log.parent) in " ".join(p.cmdline()) and "serving" in p.cmdline()]
    process.kill()
    assert until(lambda: pods(fork, "upright")[0]["status"]["containerStatuses"][0]["restartCount"] == 1, 60)
    assert until(lambda: is_ready(pods(fork, "upright")[0]), 60)
    assert log.stat().st_size > before
    assert max(differences(fork, "upright").values()) < 1e-4


def test_poisoned_weights_are_never_served(fork: Fork) -> None:
    """The checksum in model.yaml is another: the new replica says why it does not start, and the Deployment does not go on."""
    (fork.root / "models" / "upright" / "model.yaml").write_text(describe("magika"))
    before = pods(fork, "upright")[0]["metadata"]["uid"]
    fork.fleet("up")
    api = fork.api(CLUSTERS["upright"])
    api.call("DELETE", f"/api/v1/namespaces/models/pods/{pods(fork, 'upright')[0]['metadata']['name']}")

    def said() -> bool:
        found = [p for p in pods(fork, "upright") if p["metadata"]["uid"] != before]
        waiting = [s["state"].get("waiting") or {} for p in found for s in p["status"].get("containerStatuses") or []]
        return any("SHA-256" in (w.get("message") or "") for w in waiting) and not any(map(is_ready, found))

    assert until(said, 90)
    assert not addresses(fork, "upright")


def test_destroy_leaves_nothing(fork: Fork) -> None:
    fork.fleet("destroy")
    assert not [p for p in fork.processes() if "serving" in p.cmdline()]
