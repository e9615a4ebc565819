"""The helm program, told which cluster and kept from the user's own Helm settings. Knows nothing of Pulumi's resources."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from sandbox.providers.base import Refused
from sandbox.providers.kubernetes.kubeconfig import Kubeconfig

_GRACE = 20  # seconds an interrupted helm has to mark its release failed


class HelmError(Refused):
    """What helm wrote to stderr, without its decoration."""


class Helm:
    """Runs helm against one cluster; safe for many threads."""

    def __init__(self, kubeconfig: Kubeconfig, cancelled: threading.Event) -> None:
        self._cancelled = cancelled
        # Holds a kubeconfig, so it is nobody else's to read. In the sandbox's own directory: the engine kills its plugins,
        # and what they left goes when the sandbox stops.
        self._home = tempfile.TemporaryDirectory(prefix="helm-", dir=scratch())
        config = Path(self._home.name) / "kubeconfig"
        config.touch(mode=0o600)
        config.write_text(yaml.safe_dump(dict(kubeconfig.whole)))
        homes = {f"HELM_{part}_HOME": f"{self._home.name}/{part.lower()}" for part in ("CACHE", "CONFIG", "DATA")}
        self._env = {**{k: v for k, v in os.environ.items() if not k.startswith("HELM_")}, **homes}
        self._env |= {"KUBECONFIG": str(config), "HELM_KUBECONTEXT": kubeconfig.context}

    @cached_property
    def major(self) -> int:
        """3 or 4: what `--atomic` is called depends on it."""
        return int(self.run("version", "--template", "{{.Version}}").lstrip("v").split(".")[0])

    def run(self, *args: str, values: Mapping[str, Any] | None = None, timeout: float = 60) -> str:
        """Run helm to its end; returns stdout.

        Args:
            values: written to a file and given by `--values`.
            timeout: seconds, beyond what helm itself was told to wait.

        Raises:
            HelmError: it failed, took too long or was interrupted.
        """
        command = [_program(), *args]
        with tempfile.NamedTemporaryFile("w", suffix=".json", dir=self._home.name) as file:
            if values is not None:
                json.dump(values, file)
                file.flush()
                command += ["--values", file.name]
            process = subprocess.Popen(
                command, env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            out, err = self._finish(process, time.monotonic() + timeout)
        if process.returncode != 0:
            raise HelmError(_plain(err) or f"helm {args[0]} ended with {process.returncode}")
        return out

    def _finish(self, process: subprocess.Popen[str], until: float) -> tuple[str, str]:
        while True:
            try:
                return process.communicate(timeout=0.5)
            except subprocess.TimeoutExpired:
                if self._cancelled.is_set() or time.monotonic() >= until:
                    break
        process.send_signal(signal.SIGTERM)
        try:
            out, err = process.communicate(timeout=_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        return out, err or "helm was interrupted"


def scratch() -> Path | None:
    """Where the sandbox keeps what only its running plugins need; None outside one."""
    home = os.environ.get("ACCELFLEET_SANDBOX")
    if not home:
        return None
    place = Path(home) / "scratch"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    return place


def _program() -> str:
    given = os.environ.get("ACCELFLEET_HELM") or shutil.which("helm")
    if not given:
        raise Refused("helm is not on PATH, and ACCELFLEET_HELM does not name it: `python -m sandbox.toolchain helm` builds it")
    return given


def _plain(err: str) -> str:
    lines = [line for line in err.splitlines() if line.strip() and not line.startswith(("WARNING", "level=", "time="))]
    return "\n".join(lines).removeprefix("Error: ").strip()
