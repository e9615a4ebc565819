"""KEDA beside a cluster: its operator, and the metrics adapter behind the API server's external metrics.

What its chart would set by flags and a certificate Secret is set here by flags and files: every address on loopback, a
certificate of the cluster's own authority, no rotation. https://keda.sh/docs/2.21/operate/
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import time
from pathlib import Path

from sandbox import processes, toolchain
from sandbox.cluster.api import Api, ApiError
from sandbox.control_plane import ControlPlane

_NAMESPACE = "keda"
_METRICS = "v1beta1.external.metrics.k8s.io"
_API_SERVICE = f"/apis/apiregistration.k8s.io/v1/apiservices/{_METRICS}"
_SERVICE = "keda-metrics-on-loopback"
_READY_S = 120


class Keda:
    """KEDA in one cluster.

    Args:
        proxy: by which its scalers reach pods. env: what leads them to the cloud's queues.
    """

    needs_daemon = False

    def __init__(self, plane: ControlPlane, proxy: str, env: dict[str, str]) -> None:
        self._plane, self._proxy, self._env = plane, proxy, env
        self._api = Api(plane.endpoint, plane.ca_pem, plane.token)
        self._directory = plane.directory / "keda"
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """CRDs, the operator, the adapter, and the API server told of it.

        Raises:
            RuntimeError: one of them did not come up.
        """
        if all(process.poll() is None for process in self._running.values()) and self._running:
            return
        self.close()
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._kubectl("apply", "--server-side", "--force-conflicts", *_files())
        self._kubectl("wait", "--for=condition=Established", f"--timeout={_READY_S}s", *_files())
        certificates = self._certificates()
        grpc, health, metrics, serving = processes.free_ports(4)
        self._run(
            "keda-operator",
            "--metrics-bind-address=0",
            f"--health-probe-bind-address=127.0.0.1:{health}",
            f"--metrics-service-bind-address=127.0.0.1:{grpc}",
            f"--cert-dir={certificates}",
            "--enable-cert-rotation=false",
            "--enable-webhook-patching=false",
            "--enable-apiservice-patching=false",
            "--enable-prometheus-metrics=false",
            "--zap-log-level=info",
        )
        kubeconfig = self._plane.directory / "kubeconfig"
        self._run(
            "keda-adapter",
            f"--secure-port={serving}",
            "--bind-address=127.0.0.1",
            f"--port={metrics}",
            f"--metrics-service-address=localhost:{grpc}",
            f"--cert-dir={certificates}",
            f"--tls-cert-file={certificates / 'tls.crt'}",
            f"--tls-private-key-file={certificates / 'tls.key'}",
            f"--lister-kubeconfig={kubeconfig}",
            f"--authentication-kubeconfig={kubeconfig}",
            f"--authorization-kubeconfig={kubeconfig}",
        )
        self._register(serving)
        self._wait()

    def remove(self) -> None:
        """The programs, the API that the adapter served, and the CRDs with every object of them."""
        self.close()
        for path in (_API_SERVICE, f"/api/v1/namespaces/{_NAMESPACE}/services/{_SERVICE}"):
            with contextlib.suppress(ApiError):
                self._api.call("DELETE", path)
        self._kubectl("delete", "--ignore-not-found", "--wait=false", *_files())

    def close(self) -> None:
        for name in list(self._running):
            processes.end(self._running.pop(name))

    def _run(self, program: str, *flags: str) -> None:
        env = {
            **self._env,
            "KUBECONFIG": str(self._plane.directory / "kubeconfig"),
            "KEDA_CLUSTER_OBJECT_NAMESPACE": _NAMESPACE,
            "POD_NAMESPACE": _NAMESPACE,
            "WATCH_NAMESPACE": "",
            # Loopback, where the API server is, is never asked for by a proxy.
            "HTTP_PROXY": self._proxy,
            "GOMAXPROCS": "2",
            "GOGC": "60",
        }
        command = [str(toolchain.path(program)), *flags]
        self._running[program] = processes.start(command, self._log(program), env)

    def _log(self, program: str) -> Path:
        return self._plane.directory / "logs" / f"{program}.log"

    def _certificates(self) -> Path:
        """What the chart keeps in a Secret: the authority, and a pair for server and client alike."""
        where = self._directory / "certificates"
        where.mkdir(mode=0o700, exist_ok=True)
        certificate, key = self._plane.issue("keda", "keda-operator")
        (where / "ca.crt").write_text(self._plane.ca_pem)
        shutil.copyfile(certificate, where / "tls.crt")
        (where / "tls.key").touch(mode=0o600)
        shutil.copyfile(key, where / "tls.key")
        return where

    def _register(self, port: int) -> None:
        """The API server asks the adapter by way of a Service, which here is a name for this machine."""
        service = {
            "metadata": {"name": _SERVICE},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
        }
        spec = {
            "group": "external.metrics.k8s.io",
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"namespace": _NAMESPACE, "name": _SERVICE, "port": port},
            "insecureSkipTLSVerify": True,  # the name in the request is the Service's, which no certificate here has
        }
        services = f"/api/v1/namespaces/{_NAMESPACE}/services"
        for path in (_API_SERVICE, f"{services}/{_SERVICE}"):
            with contextlib.suppress(ApiError):  # of an earlier run, with another port
                self._api.call("DELETE", path)
        self._api.call("POST", services, service)
        self._api.call("POST", _API_SERVICE.rpartition("/")[0], {"metadata": {"name": _METRICS}, "spec": spec})

    def _wait(self) -> None:
        deadline = time.monotonic() + _READY_S
        said = ""
        while time.monotonic() < deadline:
            for name, process in self._running.items():
                if process.poll() is not None:
                    raise RuntimeError(f"{name} ended with {process.returncode}:\n{processes.tail(self._log(name))}")
            with contextlib.suppress(ApiError):
                status = self._api.call("GET", _API_SERVICE).get("status") or {}
                for condition in status.get("conditions") or []:
                    said = str(condition.get("message", ""))
                    if (condition["type"], condition["status"]) == ("Available", "True"):
                        return
            time.sleep(0.2)
        raise RuntimeError(
            f"KEDA's metrics were not served in {_READY_S} s: {said}\n{processes.tail(self._log('keda-adapter'))}"
        )

    def _kubectl(self, *args: str) -> None:
        config = str(self._plane.directory / "kubeconfig")
        command = [str(toolchain.path("kubectl")), "--kubeconfig", config, *args]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {args[0]} of KEDA's CRDs: {done.stderr.strip()}")


def _files() -> list[str]:
    return [part for file in toolchain.carried("keda-operator") for part in ("-f", str(file))]
