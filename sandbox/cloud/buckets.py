"""Object stores behind the buckets: moto for S3, fake-gcs-server for GCS, azurite for Blob, each started when first needed.

A bucket is a bucket that holds bytes: programs, models and tests read and write it through the vendors' own clients.
Refuses to fake: where a server cannot be had, `fleet sandbox status` says the bucket is a record only.
"""

from __future__ import annotations

from pathlib import Path

from sandbox.object_stores import STORES, Moto, StoreServer


class ObjectStores:
    """The three servers, started on demand."""

    def __init__(self, home: Path) -> None:
        self._home = home / "stores"
        self._running: dict[str, StoreServer] = {}

    def server(self, cloud: str) -> StoreServer:
        if cloud not in self._running:
            self._running[cloud] = STORES[cloud](self._home / cloud)
        return self._running[cloud]

    @property
    def s3(self) -> Moto:
        server = self.server("aws")
        assert isinstance(server, Moto)
        return server

    def endpoints(self) -> dict[str, str]:
        """Cloud -> endpoint of the servers that run."""
        return {cloud: server.endpoint for cloud, server in self._running.items()}

    def close(self) -> None:
        for server in self._running.values():
            server.stop()
        self._running.clear()
