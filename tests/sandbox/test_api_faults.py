"""Ten kinds of API fault against five kinds of resources, before the clouds' daemon and before a Kubernetes API over TLS.

Each time: the call comes to its end by itself, what was asked for exists once, and a fault that stays is one clear error
after a bounded number of tries. With the real engine, a create whose answer is lost for good: tests/e2e/test_states.py.
"""

from __future__ import annotations

import json
import random
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

from sandbox.certificates import Authority
from sandbox.cloud import client as cloud_client
from sandbox.cloud.client import Client
from sandbox.cloud.errors import CloudError
from sandbox.cloud.server import app
from sandbox.cloud.world import World
from sandbox.providers.base import Refused
from sandbox.providers.kubernetes import api as kubernetes_api
from sandbox.providers.kubernetes.api import Api, Kind
from sandbox.providers.kubernetes.kubeconfig import Kubeconfig
from tests.fault_proxy import FAULTS, FaultProxy

pytestmark = pytest.mark.enable_socket
CLOUD: dict[str, dict[str, Any]] = {
    "aws:sqs/queue:Queue": {"name": "q"},
    "aws:iam/role:Role": {"name": "r", "assumeRolePolicy": "{}"},
    "aws:ec2/vpc:Vpc": {"cidrBlock": "10.0.0.0/16"},
    "gcp:serviceaccount/account:Account": {"accountId": "model-reader"},
    "azure-native:resources:ResourceGroup": {"resourceGroupName": "g", "location": "westeurope"},
}
KINDS = {
    "ConfigMap": Kind("v1", "ConfigMap", "configmaps", True),
    "Secret": Kind("v1", "Secret", "secrets", True),
    "Namespace": Kind("v1", "Namespace", "namespaces", False),
    "Deployment": Kind("apps/v1", "Deployment", "deployments", True),
    "NetworkPolicy": Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", True),
}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cloud_client, kubernetes_api):
        monkeypatch.setattr(module.random, "uniform", lambda *_: 0.01)


def twice(fault: str) -> list[str]:
    """Once for the one that takes a time-out."""
    return [fault] if fault == "hang-after" else [fault, fault]


class Cloud:
    """The daemon's application in this process, and a client that reaches it through the proxy."""

    def __init__(self, home: Path) -> None:
        self.world = World(home)
        self._server = uvicorn.Server(uvicorn.Config(app(self.world), port=0, log_level="error", ws="none"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        self.proxy = FaultProxy(("127.0.0.1", port), lambda _, path, __: path == "/create")
        (home / "daemon.json").write_text(json.dumps({"url": f"http://127.0.0.1:{self.proxy.port}"}))
        self.client = Client(home, timeout_s=1)

    def create(self, type_: str, name: str) -> Any:
        cloud = type_.partition(":")[0]
        config = {"region": "us-east-1", "project": "p", "subscriptionId": "s"}
        urn = f"urn:pulumi:s::p::{type_}::{name}"
        given = {k: f"{v}-{name}" if k in ("name", "accountId", "resourceGroupName") else v for k, v in CLOUD[type_].items()}
        return self.client.call("create", cloud=cloud, type=type_, urn=urn, config=config, inputs=given, defaults={})

    def holds(self, name: str) -> int:
        return sum(r.urn.endswith(f"::{name}") for r in self.world.records.all())

    def close(self) -> None:
        self.proxy.close()
        self._server.should_exit = True
        self._thread.join(5)
        self.world.close()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    made = Cloud(tmp_path_factory.mktemp("cloud"))
    yield made
    made.close()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("type_", CLOUD, ids=lambda t: t.rsplit(":", 1)[-1])
def test_what_is_created_through_a_fault_exists_once(cloud: Cloud, type_: str, fault: str) -> None:
    name = f"x{random.Random(f'{type_}{fault}').randrange(10**6)}"
    cloud.proxy.plan[:] = twice(fault)
    made = cloud.create(type_, name)
    assert made["id"]
    assert cloud.proxy.plan == ([fault] if fault == "skew-after" else []), "the fault was not met"
    assert cloud.holds(name) == 1


@pytest.mark.parametrize("fault", [f for f in FAULTS if f != "skew-after"])
def test_a_fault_that_stays_is_one_error_after_a_bounded_number_of_tries(cloud: Cloud, fault: str) -> None:
    name = f"y{fault}".replace("-", "")
    cloud.proxy.plan[:] = [fault] * 20
    before = cloud.proxy.seen
    with pytest.raises(CloudError, match="SandboxDown: the sandbox did not answer in 5 tries"):
        cloud.create("aws:sqs/queue:Queue", name)
    assert cloud.proxy.seen - before == 5
    cloud.proxy.plan.clear()
    assert cloud.holds(name) == (1 if fault.endswith("after") else 0)


def test_what_the_cloud_itself_refuses_is_asked_once(cloud: Cloud) -> None:
    cloud.proxy.plan.clear()
    cloud.create("aws:sqs/queue:Queue", "taken")
    before = cloud.proxy.seen
    with pytest.raises(CloudError, match="AlreadyExists"):
        cloud.create("aws:sqs/queue:Queue", "taken")
    assert cloud.proxy.seen - before == 1


class ApiServer:
    """As much of a Kubernetes API as server-side apply needs: an object a path, and how often each was written."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.writes: list[str] = []
        held = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PATCH(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                path = self.path.partition("?")[0]
                held.writes.append(path)
                kept = held.objects.setdefault(path, {"metadata": {"uid": f"uid-{len(held.objects)}"}})
                answer = {**body, "metadata": {**body["metadata"], **kept["metadata"]}}
                held.objects[path] = answer
                content = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Cluster:
    """The plugin's own client, over TLS, through the proxy."""

    def __init__(self, home: Path) -> None:
        self.server = ApiServer()
        authority = Authority(home / "pki")
        certificate, key = authority.issue("api", "kubernetes")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate, key)
        self.proxy = FaultProxy(("127.0.0.1", self.server.server.server_address[1]), lambda method, *_: method == "PATCH", tls)
        about = {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "clusters": [
                {
                    "name": "k",
                    "cluster": {
                        "server": f"https://127.0.0.1:{self.proxy.port}",
                        "certificate-authority": str(authority.certificate),
                    },
                }
            ],
            "users": [{"name": "u", "user": {"token": "t"}}],
        }
        self.api = Api(Kubeconfig.parse(about))
        self.api._client.timeout = httpx2.Timeout(1)

    def apply(self, kind: Kind, name: str) -> dict[str, Any]:
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}}
        return self.api.apply(kind, "default", body, force=True)

    def close(self) -> None:
        self.api.close()
        self.proxy.close()
        self.server.server.shutdown()
        self.server.server.server_close()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.close()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_applied_through_a_fault_exists_once(cluster: Cluster, kind: str, fault: str) -> None:
    cluster.proxy.plan[:] = twice(fault)
    served = KINDS[kind]
    name = f"{kind.lower()}-{fault}"
    uid = cluster.apply(served, name)["metadata"]["uid"]
    path = served.path(name, "default")
    assert cluster.server.objects[path]["metadata"]["uid"] == uid
    assert cluster.proxy.plan == ([fault] if fault == "skew-after" else []), "the fault was not met"
    # Written again where the answer was lost, which is the same object: server-side apply names it.
    lost = fault.endswith("after") and fault != "skew-after"
    assert (2 if lost else 1) <= cluster.server.writes.count(path) <= 6


@pytest.mark.parametrize("fault", [f for f in FAULTS if f != "skew-after"])
def test_a_fault_of_the_api_that_stays_is_one_error(cluster: Cluster, fault: str) -> None:
    cluster.proxy.plan[:] = [fault] * 20
    before = cluster.proxy.seen
    with pytest.raises(Refused) as refused:
        cluster.apply(KINDS["ConfigMap"], f"stays-{fault}")
    assert 3 <= cluster.proxy.seen - before <= 6
    assert (
        "no answer from the API server" in str(refused.value)
        or fault[:3] in str(refused.value)
        or "gateway" in str(refused.value)
    )
    cluster.proxy.plan.clear()
