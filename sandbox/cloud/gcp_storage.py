"""GCS: buckets and objects; bytes are in fake-gcs-server.

Follows the Cloud Storage JSON API reference.
"""

from __future__ import annotations

import base64
import hashlib
import urllib.parse
from typing import TYPE_CHECKING, Any

from sandbox.cloud.behaviour import Behaviour, ask_store, bytes_of
from sandbox.cloud.errors import CloudError
from sandbox.cloud.gcp import IAM, Gcp
from sandbox.cloud.records import Record

if TYPE_CHECKING:
    from sandbox.cloud.world import World


class Bucket(Gcp):
    """GCS bucket, with bytes behind it where fake-gcs-server can be had."""

    def identify(self, world: World, record: Record) -> str:
        return str(record.inputs["name"])

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        return {"url": f"gs://{record.id}", "selfLink": f"https://www.googleapis.com/storage/v1/b/{record.id}"}

    def created(self, world: World, record: Record) -> dict[str, Any]:
        world.buckets.server("gcp").create(record.id)
        return {}

    def deleting(self, world: World, record: Record) -> None:
        world.buckets.server("gcp").delete(record.id, force=bool(record.inputs.get("forceDestroy")))


class Object(Gcp):
    """GCS object, its bytes in the bucket."""

    def identify(self, world: World, record: Record) -> str:
        return f"{record.inputs['bucket']}-{record.inputs['name']}"

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        bucket, name = record.inputs["bucket"], urllib.parse.quote(record.inputs["name"], safe="")
        digest = hashlib.md5(self._body(record) or b"")  # noqa: S324 - GCS's own hash
        return {
            "outputName": record.inputs["name"],
            "selfLink": f"https://www.googleapis.com/storage/v1/b/{bucket}/o/{name}",
            "mediaLink": f"https://storage.googleapis.com/download/storage/v1/b/{bucket}/o/{name}?generation=1&alt=media",
            "generation": 1,
            "md5hash": base64.b64encode(digest.digest()).decode(),
            "md5hexhash": digest.hexdigest(),
            "contentType": record.inputs.get("contentType") or "application/octet-stream",
            "storageClass": record.inputs.get("storageClass") or "STANDARD",
        }

    def created(self, world: World, record: Record) -> dict[str, Any]:
        body = self._body(record)
        if body is not None:
            where = f"{world.buckets.server('gcp').endpoint}/upload/storage/v1/b/{record.inputs['bucket']}/o"
            query = urllib.parse.urlencode({"uploadType": "media", "name": record.inputs["name"]})
            ask_store("POST", f"{where}?{query}", body, content_type=record.outputs["contentType"])
        return {}

    def updated(self, world: World, record: Record, old: dict[str, Any]) -> dict[str, Any]:
        return self.created(world, record)

    def deleting(self, world: World, record: Record) -> None:
        where = f"{world.buckets.server('gcp').endpoint}/storage/v1/b/{record.inputs['bucket']}/o"
        try:
            ask_store("DELETE", f"{where}/{urllib.parse.quote(record.inputs['name'], safe='')}")
        except CloudError as gone:
            if gone.status != 404:
                raise

    @staticmethod
    def _body(record: Record) -> bytes | None:
        content = record.inputs.get("content")
        return content.encode() if isinstance(content, str) else bytes_of(record)


TYPES: dict[str, Behaviour] = {
    "gcp:storage/bucket:Bucket": Bucket(immutable=("name", "location")),
    "gcp:storage/bucketObject:BucketObject": Object(immutable=("name", "bucket")),
    "gcp:storage/bucketIAMMember:BucketIAMMember": Gcp(key=("bucket", *IAM), immutable=("bucket", *IAM)),
}
