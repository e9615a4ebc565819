"""Karpenter beside a cluster: the real controller of its AWS provider, on the sandbox's AWS.

Its pod's environment, as the release made it, is the program's; a program that ends is started again, as a kubelet would.
https://karpenter.sh/docs/reference/settings/
"""

from __future__ import annotations

import subprocess
import threading
import time
import urllib.error
import urllib.request
from typing import Any

from sandbox import processes, toolchain
from sandbox.cluster.api import Api, ApiError
from sandbox.control_plane import ControlPlane

_DEPLOYMENT = "/apis/apps/v1/namespaces/kube-system/deployments/karpenter"
_READY_S = 120
# A container that ends again and again is started ever more seldom; here it is a program of this machine.
_PAUSE_S = 2.0


class Crds:
    """Karpenter's own kinds, of the chart `karpenter-crd`."""

    needs_daemon = False

    def __init__(self, plane: ControlPlane, proxy: str, env: dict[str, str]) -> None:
        self._plane = plane

    def start(self) -> None:
        self._kubectl("apply", "--server-side", "--force-conflicts", *_files())
        self._kubectl("wait", "--for=condition=Established", f"--timeout={_READY_S}s", *_files())

    def remove(self) -> None:
        """With every object of them."""
        self._kubectl("delete", "--ignore-not-found", "--wait=false", *_files())

    def close(self) -> None:
        """There is no program."""

    def _kubectl(self, *args: str) -> None:
        config = str(self._plane.directory / "kubeconfig")
        command = [str(toolchain.path("kubectl")), "--kubeconfig", config, *args]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"kubectl {args[0]} of Karpenter's CRDs: {done.stderr.strip()}")


class Karpenter:
    """Karpenter's controller in one cluster.

    Args:
        proxy: the daemon's address, with the cluster in it; AWS answers there, too.
    """

    needs_daemon = True

    def __init__(self, plane: ControlPlane, proxy: str, env: dict[str, str]) -> None:
        self._plane = plane
        scheme, _, rest = proxy.partition("://")
        self._aws = f"{scheme}://{rest.rpartition('@')[2]}/aws"
        self._api = Api(plane.endpoint, plane.ca_pem, plane.token)
        self._log = plane.directory / "logs" / "karpenter.log"
        self._ended = threading.Event()
        self._keeper: threading.Thread | None = None
        self._health = 0

    def start(self) -> None:
        """Run it as its Deployment says, from now on; one that changed is started anew.

        Raises:
            RuntimeError: the release made no Deployment, or the program does not become ready.
        """
        self.close()
        env = self._env()
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, args=(env, self._ended), daemon=True)
        self._keeper.start()
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._health}/readyz", timeout=5) as reply:
                    if reply.status == 200:
                        return
            except (OSError, urllib.error.URLError):
                time.sleep(0.2)
        self.close()
        raise RuntimeError(f"Karpenter was not ready in {_READY_S} s:\n{processes.tail(self._log)}")

    def remove(self) -> None:
        self.close()

    def close(self) -> None:
        self._ended.set()
        if self._keeper is not None:
            self._keeper.join(30)
        self._keeper = None

    def _env(self) -> dict[str, str]:
        try:
            deployment = self._api.call("GET", _DEPLOYMENT)
        except ApiError as error:
            raise RuntimeError(f"the release of Karpenter made no Deployment: {error}") from None
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        given: dict[str, Any] = {e["name"]: e["value"] for e in container["env"] if "value" in e}
        metrics, self._health = processes.free_ports(2)
        return {
            **given,
            "METRICS_PORT": str(metrics),
            "HEALTH_PROBE_PORT": str(self._health),
            "SYSTEM_NAMESPACE": "kube-system",
            # One of one: there is nobody to elect.
            "DISABLE_LEADER_ELECTION": "true",
            "KUBECONFIG": str(self._plane.directory / "kubeconfig"),
            "AWS_ENDPOINT_URL": self._aws,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_EC2_METADATA_DISABLED": "true",
            "GOMAXPROCS": "2",
        }

    def _keep(self, env: dict[str, str], ended: threading.Event) -> None:
        while not ended.is_set():
            process = processes.start([str(toolchain.path("karpenter"))], self._log, env)
            while process.poll() is None and not ended.wait(0.2):
                pass
            processes.end(process)
            ended.wait(_PAUSE_S)


def _files() -> list[str]:
    return [part for file in toolchain.carried("karpenter") for part in ("-f", str(file))]
