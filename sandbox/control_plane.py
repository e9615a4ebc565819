"""One real Kubernetes control plane on loopback: etcd, API server, controller manager, scheduler, and KWOK for nodes.

Sized for three on a two-core laptop. What is on disk (etcd's data, certificates, ports) outlives the processes, so a
stopped control plane starts again as it was. Makes no nodes: `sandbox.cluster` does.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from fleet.catalog.neuron import SCHEDULER
from sandbox import kwok, processes, toolchain
from sandbox.certificates import Authority

_READY_S = 120
# A sandbox's data is worth nothing after a power cut, so etcd need not wait for the disk.
_ETCD_FLAGS = ("--unsafe-no-fsync", "--log-level=error", "--quota-backend-bytes=1073741824", "--auto-compaction-retention=5m")
# Controllers no simulated workload needs; each costs watches and memory.
_CONTROLLERS = (
    "*",
    "-nodeipam",
    "-persistentvolume-attach-detach-controller",
    "-bootstrap-signer-controller",
    "-token-cleaner-controller",
    "-certificatesigningrequest-signing-controller",
    "-root-ca-certificate-publisher-controller",
)


class ControlPlane:
    """A control plane in `directory`.

    Attributes:
        endpoint: https URL of the API server.
        ca_pem: the certificate authority clients verify it with.
        token: bearer token of a cluster admin.
    """

    def __init__(self, name: str, directory: Path, token: str | None = None) -> None:
        self.name = name
        self.directory = directory
        self._logs = directory / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._authority = Authority(directory / "pki")
        self.ca_pem = self._authority.certificate.read_text()
        self._settings = directory / "settings.json"
        settings = json.loads(self._settings.read_text()) if self._settings.exists() else {}
        self._ports: dict[str, int] = settings.get("ports") or {}
        self.token: str = settings.get("token") or token or secrets.token_hex(16)
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def endpoint(self) -> str:
        return f"https://127.0.0.1:{self._ports['api']}"

    @property
    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self._running.items()}

    def issue(self, name: str, common: str) -> tuple[Path, Path]:
        """A certificate of this cluster's authority for a program beside it: (certificate, key) files."""
        return self._authority.issue(name, common)

    def start(self) -> None:
        """Start it and wait until it schedules.

        Raises:
            RuntimeError: a part did not come up; the message ends with its log.
        """
        self._choose_ports()
        self._start_etcd()
        self._start_api_server()
        self._wait_ready()
        kubeconfig = self.directory / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(self.kubeconfig())
        self._free_leases()
        self._start_controllers(kubeconfig)
        self._wait_serving()

    def stop(self) -> None:
        """Stop everything; the API server before its etcd, or it hangs for minutes and keeps its port."""
        for name in ("kwok", "scheduler", "controllers", "api", "etcd"):
            if process := self._running.pop(name, None):
                processes.end(process)

    def _choose_ports(self) -> None:
        """Keep the last run's ports while they are free, since kubeconfigs name them; else take new ones."""
        if not self._ports or any(_taken(port) for port in self._ports.values()):
            names = ("api", "etcd", "peer", "controllers", "scheduler", "kwok")
            self._ports = dict(zip(names, processes.free_ports(len(names)), strict=True))
        self._settings.touch(mode=0o600)
        self._settings.write_text(json.dumps({"ports": self._ports, "token": self.token}))

    def _start_etcd(self) -> None:
        client, peer = (f"http://127.0.0.1:{self._ports[p]}" for p in ("etcd", "peer"))
        self._run(
            "etcd",
            "etcd",
            "--data-dir",
            str(self.directory / "etcd"),
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            *_ETCD_FLAGS,
        )

    def _start_api_server(self) -> None:
        serving, serving_key = self._authority.issue("api", "kube-apiserver")
        proxy, proxy_key = self._authority.issue("proxy", "front-proxy-client")
        accounts = self._authority.service_account_key()
        ca = self._authority.certificate
        tokens = self.directory / "tokens.csv"
        tokens.touch(mode=0o600)
        tokens.write_text(f'{self.token},sandbox-admin,sandbox-admin,"system:masters"\n')
        self._run(
            "api",
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._ports['etcd']}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self._ports['api']}",
            f"--tls-cert-file={serving}",
            f"--tls-private-key-file={serving_key}",
            f"--client-ca-file={ca}",
            f"--token-auth-file={tokens}",
            f"--service-account-key-file={accounts}",
            f"--service-account-signing-key-file={accounts}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            "--allow-privileged=true",
            f"--requestheader-client-ca-file={ca}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-username-headers=X-Remote-User",
            f"--proxy-client-cert-file={proxy}",
            f"--proxy-client-key-file={proxy_key}",
            # Loopback needs no endpoint of its own in the cluster, and one more reconciler would fight over it.
            "--endpoint-reconciler-type=none",
            "--profiling=false",
            "--v=0",
        )

    def _free_leases(self) -> None:
        """Drop the leases of the last run's KWOK: this one would wait until they end, and its nodes be given up meanwhile."""
        path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        with contextlib.suppress(urllib.error.HTTPError):  # a new cluster has no such namespace yet
            self._request("DELETE", path)

    def _start_controllers(self, kubeconfig: Path) -> None:
        common = (
            "--leader-elect=false",
            "--profiling=false",
            "--v=0",
            f"--kubeconfig={kubeconfig}",
            "--bind-address=127.0.0.1",
        )
        self._run(
            "controllers",
            "kube-controller-manager",
            *common,
            f"--secure-port={self._ports['controllers']}",
            f"--service-account-private-key-file={self._authority.service_account_key()}",
            f"--root-ca-file={self._authority.certificate}",
            f"--controllers={','.join(_CONTROLLERS)}",
            "--use-service-account-credentials=false",
            "--horizontal-pod-autoscaler-sync-period=5s",
            # Kubernetes waits five minutes before it takes a replica away; a demo cannot.
            "--horizontal-pod-autoscaler-downscale-stabilization=20s",
            "--kube-api-qps=200",
            "--kube-api-burst=400",
        )
        settings = self.directory / "scheduler.json"
        settings.write_text(json.dumps(_scheduling(kubeconfig)))
        self._run(
            "scheduler",
            "kube-scheduler",
            f"--config={settings}",
            "--v=0",
            "--bind-address=127.0.0.1",
            f"--secure-port={self._ports['scheduler']}",
        )
        stages = [flag for stage in kwok.stages(self.directory / "stages") for flag in ("--config", str(stage))]
        self._run(
            "kwok",
            "kwok",
            f"--kubeconfig={kubeconfig}",
            "--manage-all-nodes=false",
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            "--node-lease-duration-seconds=120",
            f"--server-address=127.0.0.1:{self._ports['kwok']}",
            "--cidr=10.244.0.0/16",
            "--node-ip=10.0.0.1",
            *stages,
        )

    def _run(self, name: str, program: str, *flags: str) -> None:
        # The heap of a mostly idle server is small; collecting it more often costs little and saves much.
        env = {"GOMAXPROCS": "2", "GOGC": "60"}
        self._running[name] = processes.start([str(toolchain.path(program)), *flags], self._logs / f"{name}.log", env)

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            self._check_alive()
            try:
                if self.get("/readyz") == "ok":
                    return
            except (OSError, urllib.error.URLError):
                pass
            time.sleep(0.1)
        self.stop()
        log = self._logs / "api.log"
        raise RuntimeError(
            f"{self.name}: the API server was not ready in {_READY_S} s; the end of {log}:\n{processes.tail(log)}"
        )

    def _wait_serving(self) -> None:
        """A wrong flag or a taken port ends a program moments after it began: say so now, not when a pod waits for ever."""
        deadline = time.monotonic() + _READY_S
        while missing := [name for name, part in self._running.items() if not processes.listens(part.pid, self._ports[name])]:
            self._check_alive()
            if time.monotonic() > deadline:
                self.stop()
                log = self._logs / f"{missing[0]}.log"
                raise RuntimeError(f"{self.name}: {missing[0]} did not serve; the end of {log}:\n{processes.tail(log)}")
            time.sleep(0.05)

    def _check_alive(self) -> None:
        for name, process in self._running.items():
            if process.poll() is not None:
                self.stop()
                log = self._logs / f"{name}.log"
                raise RuntimeError(
                    f"{self.name}: {name} ended with {process.returncode}; the end of {log}:\n{processes.tail(log)}"
                )

    def get(self, path: str) -> str:
        """GET from the API server, as admin."""
        return self._request("GET", path)

    def _request(self, method: str, path: str) -> str:
        headers = {"authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(self.endpoint + path, headers=headers, method=method)  # noqa: S310
        context = ssl.create_default_context(cadata=self.ca_pem)
        with urllib.request.urlopen(request, timeout=5, context=context) as reply:  # noqa: S310
            return str(reply.read().decode())

    def kubeconfig(self) -> str:
        """An admin kubeconfig, JSON (which is YAML)."""
        ca = base64.b64encode(self.ca_pem.encode()).decode()
        config: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": self.name,
            "clusters": [{"name": self.name, "cluster": {"server": self.endpoint, "certificate-authority-data": ca}}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": self.name, "context": {"cluster": self.name, "user": "admin"}}],
        }
        return json.dumps(config)


def _scheduling(kubeconfig: Path) -> dict[str, object]:
    """KubeSchedulerConfiguration: Kubernetes' own scheduler, and under its own name the one that Neuron's pods ask for.

    That one counts devices, and has nobody to ask which are neighbours: the extender's image is not run here.
    """
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(kubeconfig), "qps": 200, "burst": 400},
        "leaderElection": {"leaderElect": False},
        "enableProfiling": False,
        "profiles": [{"schedulerName": name} for name in ("default-scheduler", SCHEDULER)],
    }


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
