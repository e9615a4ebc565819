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
        stdin = json.dumps({"apiVersion": "v1", "kind": "List", "items": given}) if given is not None else None
        said = self._said(*words, "-o", "json", stdin=stdin)
        read = json.loads(said) if said.strip() else {"items": []}
        return list(read["items"] if read.get("kind", "List") == "List" else [read])

    def at(self, path: str) -> Object:
        """What the API answers at a path.

        Raises:
            RuntimeError: it does not, in kubectl's words.
        """
        return dict(json.loads(self._said("get", "--raw", path)))

    def changes(self, path: str, version: str) -> subprocess.Popen[str]:
        """A process that prints each change after a version of the list at a path, one a line, until it is ended.

        `kubectl get --watch` shows no version to go on from, so that changes between a list and it would be lost.
        """
        command = [*self._command, "get", "--raw", f"{path}?watch=1&resourceVersion={version}"]
        return subprocess.Popen(
            command,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # Ctrl-C is its caller's to hear.
            start_new_session=True,
        )

    @property
    def _command(self) -> list[str]:
        return [self.workspace.kubectl, "--kubeconfig", str(self.kubeconfig)]

    @property
    def _env(self) -> dict[str, str]:
        return self.workspace.env or dict(os.environ)

    def _said(self, *words: str, stdin: str | None = None) -> str:
        command = [*self._command, "--request-timeout=20s", *words]
        done = subprocess.run(command, env=self._env, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip() or f"kubectl {words[0]} ended with {done.returncode}")
        return done.stdout


@contextmanager
def kubectl(workspace: Workspace, kubeconfig: str) -> Iterator[Kubectl]:
    """kubectl on the cluster of a kubeconfig's text."""
    # It reads a file; that lives as long as the calls and only its owner may read it.
    with tempfile.TemporaryDirectory(prefix="fleet-") as scratch:
        file = Path(scratch) / "kubeconfig"
        file.touch(mode=0o600)
        file.write_text(kubeconfig, encoding="utf-8")
        yield Kubectl(workspace, file)
