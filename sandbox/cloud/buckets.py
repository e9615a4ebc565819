"""Object stores behind the buckets: moto for S3, fake-gcs-server for GCS, azurite for Blob, each started when first needed.

A bucket is a bucket that holds bytes: programs, models and tests read and write it through the vendors' own clients.
Refuses to fake: where a server cannot be had, `fleet sandbox status` says the bucket is a record only.
"""

from __future__ import annotations

from pathlib import Path

from sandbox.object_stores import STORES, Moto, StoreServer, azure_key

QUEUES = "queues://"
# moto looks at no signature.
_KEYS = {"AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox"}


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

    def environment(self, url: str) -> dict[str, str]:
        """What leads a program that reads `s3://…`, `gs://…` or `abfss://…` by fsspec to these servers.

        And one that counts a cloud's queues, for `queues://<cloud>`; AWS's alone has any here, in moto.
        """
        scheme, _, place = url.partition("://")
        match scheme:
            case "s3":
                return {"AWS_ENDPOINT_URL_S3": self.server("aws").endpoint, "AWS_DEFAULT_REGION": "us-east-1", **_KEYS}
            case "queues" if place == "aws":
                return {"AWS_ENDPOINT_URL_SQS": self.server("aws").endpoint, **_KEYS}
            case "gs":
                # gcsfs would ask for a bucket's layout over gRPC, which fake-gcs-server does not speak, for a minute.
                flat = {"GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
                return {"STORAGE_EMULATOR_HOST": self.server("gcp").endpoint, "FSSPEC_GS_TOKEN": "anon", **flat}
            case "abfss":
                account = place.partition("@")[2].partition(".")[0]
                return {"AZURE_STORAGE_CONNECTION_STRING": self._connection(account)}
        return {}

    def _connection(self, account: str) -> str:
        """https://learn.microsoft.com/azure/storage/common/storage-configure-connection-string"""
        parts = {
            "DefaultEndpointsProtocol": "http",
            "AccountName": account,
            "AccountKey": azure_key(account),
            "BlobEndpoint": f"{self.server('azure').endpoint}/{account}",
        }
        return ";".join(f"{name}={value}" for name, value in parts.items())

    def close(self) -> None:
        for server in self._running.values():
            server.stop()
        self._running.clear()
