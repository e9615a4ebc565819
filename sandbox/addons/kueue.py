"""Kueue beside a cluster: the real manager, its CRDs and its webhooks.

Its configuration is the release's own; addresses alone are changed, to loopback. It makes its certificate as in a cluster, by a
Secret, which is copied here to where a kubelet would have mounted it. https://kueue.sigs.k8s.io/docs/reference/kueue-config.v1beta2/
"""

from __future__ import annotations

import base64
import contextlib
import json
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from sandbox import processes, toolchain
from sandbox.cluster.api import Api, ApiError, Object
from sandbox.control_plane import ControlPlane

NAMESPACE = "kueue-system"
CONFIG_MAP = "kueue-manager-config"
CONFIG_KEY = "controller_manager_config.yaml"
_CERTIFICATE = "kueue-webhook-server-cert"
_CORE = f"/api/v1/namespaces/{NAMESPACE}"
_SERVICE = "kueue-webhook-service"
_WEBHOOKS = ("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
# Kinds that it converts between versions, as config/components/crd/kustomization.yaml has them.
_CONVERTED = ("localqueues", "clusterqueues", "cohorts", "workloads", "multikueueclusters")
_READY_S = 120
_GONE_S = 30


class Kueue:
    """Kueue in one cluster; it starts where a release left its configuration."""

    needs_daemon = False

    def __init__(self, plane: ControlPlane, proxy: str, env: dict[str, str]) -> None:
        self._plane = plane
        self._api = Api(plane.endpoint, plane.ca_pem, plane.token)
        self._directory = plane.directory / "kueue"
        self._log = plane.directory / "logs" / "kueue.log"
        self._running: subprocess.Popen[bytes] | None = None
        self._health = 0

    def start(self) -> None:
        """CRDs, the manager by the release's configuration, and webhooks that the API server can ask.

        Raises:
            RuntimeError: there is no configuration, or it did not become ready.
        """
        self.close()
        certificates = self._directory / "certificates"
        certificates.mkdir(mode=0o700, parents=True, exist_ok=True)
        port, self._health = processes.free_ports(2)
        config = self._directory / "config.json"
        given = self._given()
        config.write_text(json.dumps(self._on_loopback(given, port, certificates)))
        self._expose(port)
        selector = given.get("managedJobsNamespaceSelector")
        self._apply("crds", [_converting(one, port) for one in _carried() if one["kind"] not in _WEBHOOKS])
        self._kubectl("wait", "--for=condition=Established", f"--timeout={_READY_S}s", "-f", self._file("crds"))
        self._apply("webhooks", [_reached(one, port, selector) for one in _carried() if one["kind"] in _WEBHOOKS])
        env = {
            "KUBECONFIG": str(self._plane.directory / "kubeconfig"),
            "POD_NAMESPACE": NAMESPACE,
            "GOMAXPROCS": "2",
            "GOGC": "60",
        }
        command = [str(toolchain.path("kueue")), f"--config={config}", "--zap-log-level=2"]
        self._running = processes.start(command, self._log, env)
        self._wait(certificates)

    def remove(self) -> None:
        """The CRDs with every object of them, the webhooks, and the program last: who else would end its finalizers."""
        try:
            for kind in ("crds", "webhooks"):
                self._kubectl("delete", "--ignore-not-found", f"--timeout={_GONE_S}s", "-f", self._file(kind))
        finally:
            self.close()

    def close(self) -> None:
        if self._running is not None:
            processes.end(self._running)
        self._running = None

    def _given(self) -> Object:
        try:
            text = self._api.call("GET", f"{_CORE}/configmaps/{CONFIG_MAP}")["data"][CONFIG_KEY]
        except (ApiError, KeyError) as error:
            raise RuntimeError(f"the release of Kueue left no configuration: {error}") from None
        config: Object = yaml.safe_load(text)
        return config

    def _on_loopback(self, given: Object, port: int, certificates: Path) -> Object:
        return {
            **given,
            "health": {"healthProbeBindAddress": f"127.0.0.1:{self._health}"},
            "metrics": {"bindAddress": "0"},
            "webhook": {"host": "127.0.0.1", "port": port, "certDir": str(certificates)},
            # One of one: there is nobody to elect.
            "leaderElection": {"leaderElect": False},
            # Its API of what waits is at an address that no setting moves.
            "featureGates": {**given.get("featureGates", {}), "VisibilityOnDemand": False},
        }

    def _expose(self, port: int) -> None:
        """The API server asks webhooks by way of a Service, which here is a name for this machine."""
        service = {
            "metadata": {"name": _SERVICE},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
        }
        with contextlib.suppress(ApiError):  # of an earlier run, with another port
            self._api.call("DELETE", f"{_CORE}/services/{_SERVICE}")
        self._api.call("POST", f"{_CORE}/services", service)

    def _wait(self, certificates: Path) -> None:
        assert self._running is not None
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            if self._running.poll() is not None:
                raise RuntimeError(f"Kueue ended with {self._running.returncode}:\n{processes.tail(self._log)}")
            self._mount(certificates)
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._health}/readyz", timeout=5) as reply:
                    if reply.status == 200:
                        return
            except (OSError, urllib.error.URLError):
                time.sleep(0.2)
        self.close()
        raise RuntimeError(f"Kueue was not ready in {_READY_S} s:\n{processes.tail(self._log)}")

    def _mount(self, certificates: Path) -> None:
        data: dict[str, str] = self._api.call("GET", f"{_CORE}/secrets/{_CERTIFICATE}").get("data") or {}
        for name in ("ca.crt", "tls.key", "tls.crt"):
            if name in data:
                file = certificates / name
                file.touch(mode=0o600)
                file.write_bytes(base64.b64decode(data[name]))

    def _apply(self, kind: str, objects: list[Object]) -> None:
        Path(self._file(kind)).write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
        self._kubectl("apply", "--server-side", "--force-conflicts", "-f", self._file(kind))

    def _file(self, kind: str) -> str:
        return str(self._directory / f"{kind}.json")

    def _kubectl(self, *args: str) -> None:
        config = str(self._plane.directory / "kubeconfig")
        command = [str(toolchain.path("kubectl")), "--kubeconfig", config, *args]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {args[0]} of Kueue's CRDs and webhooks: {done.stderr.strip()}")


def _reached(webhooks: Object, port: int, selector: Object | None) -> Object:
    """As the chart has them: jobs of the namespaces that Kueue manages, and Kueue's own kinds."""
    made = []
    for webhook in webhooks["webhooks"]:
        its_own = webhook["rules"][0]["apiGroups"] == ["kueue.x-k8s.io"]
        where = {"namespaceSelector": selector} if selector and not its_own else {}
        made.append({**webhook, **where, "clientConfig": _client(port, webhook["clientConfig"]["service"]["path"])})
    return {**webhooks, "metadata": {"name": f"kueue-{webhooks['metadata']['name']}"}, "webhooks": made}


def _converting(crd: Object, port: int) -> Object:
    if crd["spec"]["names"]["plural"] not in _CONVERTED:
        return crd
    webhook = {"clientConfig": _client(port, "/convert"), "conversionReviewVersions": ["v1"]}
    return {**crd, "spec": {**crd["spec"], "conversion": {"strategy": "Webhook", "webhook": webhook}}}


def _client(port: int, path: str) -> dict[str, Any]:
    return {"service": {"namespace": NAMESPACE, "name": _SERVICE, "path": path, "port": port}}


def _carried() -> list[Object]:
    return [one for file in toolchain.carried("kueue") for one in yaml.safe_load_all(file.read_text()) if one]
