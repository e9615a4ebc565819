"""Which API server a kubeconfig means and who calls it. Refuses the ambient one: a sandbox never finds ~/.kube/config.

Exec plugins run as kubectl runs them (client-go credential plugins):
https://kubernetes.io/docs/reference/access-authn-authz/authentication/
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from sandbox.providers.base import Refused

_EXEC_TIMEOUT = 60  # seconds
_EARLY = 30  # seconds before its end at which a token is fetched anew


@dataclass(frozen=True)
class Kubeconfig:
    """One context of a kubeconfig.

    Attributes:
        server: the API server's address.
        authority: its certificate authority, PEM; empty for the system's.
        user: the `user` stanza.
        whole: the document, as Helm is given it.
    """

    server: str
    authority: str
    namespace: str
    user: Mapping[str, Any]
    whole: Mapping[str, Any]
    context: str

    @classmethod
    def parse(cls, given: Any, context: str | None = None) -> Kubeconfig:
        """From a document, its YAML or JSON text, or the path of a file with it.

        Raises:
            Refused: it is not a kubeconfig, or lacks the context.
        """
        document = _document(given)
        wanted = context or document.get("current-context") or ""
        picked = _named(document, "contexts", "context", wanted)
        cluster = _named(document, "clusters", "cluster", picked.get("cluster", ""))
        user = _named(document, "users", "user", picked["user"]) if picked.get("user") else {}
        if not cluster.get("server"):
            raise Refused(f"kubeconfig: cluster {picked.get('cluster')!r} names no server")
        return cls(
            server=str(cluster["server"]).rstrip("/"),
            authority=_pem(cluster, "certificate-authority"),
            namespace=str(picked.get("namespace") or "default"),
            user=user,
            whole=document,
            context=wanted,
        )

    @property
    def identity(self) -> str:
        """What tells one cluster from another: its authority, as an address may move and come back to another cluster."""
        return self.authority or self.server

    def ssl_context(self) -> ssl.SSLContext:
        """Verifies the server by its authority; presents the user's certificate, if there is one."""
        context = ssl.create_default_context(cadata=self.authority or None)
        certificate, key = _pem(self.user, "client-certificate"), _pem(self.user, "client-key")
        if certificate and key:
            # The ssl module loads a key from a file only: one that nobody else can read and that is gone at once.
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:
                pair.write(certificate + "\n" + key)
                pair.flush()
                context.load_cert_chain(pair.name)
        return context


@dataclass
class Credentials:
    """The bearer token of a user; asks an exec plugin again before its token ends."""

    kubeconfig: Kubeconfig
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _token: str = ""
    _until: float = 0.0

    def token(self) -> str:
        """The token to send, empty where a certificate is all there is.

        Raises:
            Refused: the exec plugin failed.
        """
        user = self.kubeconfig.user
        if "exec" not in user:
            return str(user.get("token") or "") or _text(user.get("tokenFile"))
        with self._lock:
            if time.time() >= self._until:
                self._token, self._until = self._execute(user["exec"])
            return self._token

    def forget(self) -> None:
        """The server refused the token: ask for another one."""
        with self._lock:
            self._until = 0.0

    def _execute(self, spec: Mapping[str, Any]) -> tuple[str, float]:
        command = [str(spec["command"]), *map(str, spec.get("args") or [])]
        env = {**os.environ, **{str(v["name"]): str(v["value"]) for v in spec.get("env") or []}}
        cluster = {"cluster": {"server": self.kubeconfig.server}} if spec.get("provideClusterInfo") else {}
        info = {"apiVersion": spec.get("apiVersion"), "kind": "ExecCredential", "spec": {"interactive": False, **cluster}}
        env["KUBERNETES_EXEC_INFO"] = json.dumps(info)
        try:
            done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_EXEC_TIMEOUT, check=True)
            status = json.loads(done.stdout)["status"]
            ends = status.get("expirationTimestamp")
            until = datetime.fromisoformat(ends).timestamp() - _EARLY if ends else float("inf")
            return str(status["token"]), until
        except FileNotFoundError:
            hint = spec.get("installHint") or "is it installed and on PATH?"
            raise Refused(f"kubeconfig: cannot run the exec plugin {command[0]}: {hint}") from None
        except subprocess.CalledProcessError as failed:
            raise Refused(f"kubeconfig: `{' '.join(command)}` failed: {failed.stderr.strip()}") from None
        except subprocess.TimeoutExpired:
            raise Refused(f"kubeconfig: `{' '.join(command)}` took more than {_EXEC_TIMEOUT} s") from None
        except (ValueError, KeyError, TypeError):
            raise Refused(f"kubeconfig: `{' '.join(command)}` printed no ExecCredential with a token") from None


def _document(given: Any) -> Mapping[str, Any]:
    if not given:
        raise Refused("the provider has no kubeconfig: set `kubeconfig` (the sandbox reads no ambient one)")
    text = given
    if isinstance(given, str) and "\n" not in given and not given.lstrip().startswith("{"):
        text = _text(given)
        if not text:
            raise Refused(f"kubeconfig: there is no file {given}")
    try:
        document = yaml.safe_load(text) if isinstance(text, str) else text
    except yaml.YAMLError as wrong:
        raise Refused(f"kubeconfig: not YAML: {wrong}") from None
    if not isinstance(document, Mapping):
        raise Refused("kubeconfig: not a mapping")
    return document


def _named(document: Mapping[str, Any], group: str, key: str, name: str) -> Mapping[str, Any]:
    for item in document.get(group) or []:
        if item.get("name") == name:
            found: Mapping[str, Any] = item.get(key) or {}
            return found
    have = ", ".join(repr(item.get("name")) for item in document.get(group) or []) or "none"
    raise Refused(f"kubeconfig: {group} has no {name!r} (it has {have})")


def _pem(stanza: Mapping[str, Any], name: str) -> str:
    data = stanza.get(f"{name}-data")
    return base64.b64decode(data).decode() if data else _text(stanza.get(name))


def _text(path: Any) -> str:
    return Path(path).expanduser().read_text().strip() if path and Path(path).expanduser().is_file() else ""
