"""kubectl on one cluster of a stack: what it prints, as objects. Refuses to say what to ask; that is its callers'."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.workspace import Workspace

Object = dict[str, Any]


@dataclass(frozen=True)
class Kubectl:
    """kubectl with a kubeconfig, whose own exec plugin gives the credentials."""

    workspace: Workspace
    kubeconfig: Path

    def items(self, *words: str, given: list[Object] | None = None) -> list[Object]:
        """Objects that a command prints.

        Args:
            given: objects on its standard input, for `-f -`.

        Raises:
            RuntimeError: it failed, in kubectl's words.
        """
        command = [self.workspace.kubectl, "--kubeconfig", str(self.kubeconfig), "--request-timeout=20s", *words, "-o", "json"]
        stdin = json.dumps({"apiVersion": "v1", "kind": "List", "items": given}) if given is not None else None
        env = self.workspace.env or dict(os.environ)
        done = subprocess.run(command, env=env, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip() or f"kubectl {words[0]} ended with {done.returncode}")
        read = json.loads(done.stdout) if done.stdout.strip() else {"items": []}
        return list(read["items"] if read.get("kind", "List") == "List" else [read])


@contextmanager
def kubectl(workspace: Workspace, kubeconfig: str) -> Iterator[Kubectl]:
    """kubectl on the cluster of a kubeconfig's text."""
    # It reads a file; that lives as long as the calls and only its owner may read it.
    with tempfile.TemporaryDirectory(prefix="fleet-") as scratch:
        file = Path(scratch) / "kubeconfig"
        file.touch(mode=0o600)
        file.write_text(kubeconfig, encoding="utf-8")
        yield Kubectl(workspace, file)
