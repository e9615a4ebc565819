"""Azure's storage accounts, their containers and blobs; bytes are in azurite.

Follows the ARM REST reference of Microsoft.Storage.
"""

from __future__ import annotations

import contextlib
import json
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sandbox.cloud.azure import PLACE, Azure, delete_below
from sandbox.cloud.behaviour import Behaviour, bytes_of
from sandbox.cloud.records import Record
from sandbox.object_stores import Azurite, azure_key

if TYPE_CHECKING:
    from sandbox.cloud.world import World


class StorageAccount(Azure):
    def computed(self, world: World, record: Record) -> dict[str, Any]:
        name = record.inputs.get("accountName", "")
        kinds = ("blob", "dfs", "file", "queue", "table", "web")
        return {"primaryEndpoints": {kind: f"https://{name}.{kind}.core.windows.net/" for kind in kinds}}

    def deleting(self, world: World, record: Record) -> None:
        """The containers go with their account, those too that no program made."""
        delete_below(world, record)
        account, known = record.inputs["accountName"], world.home / "stores" / "azure" / "accounts.json"
        if known.exists() and account in json.loads(known.read_text()):
            blobs = blob_service(world, account)
            with _steady(world, account):
                for container in blobs.list_containers():
                    blobs.delete_container(container.name)


class Container(Azure):
    """Blob container, with bytes behind it where azurite can be had."""

    def created(self, world: World, record: Record) -> dict[str, Any]:
        world.buckets.server("azure").create(f"{record.inputs['accountName']}/{record.inputs['containerName']}")
        return {}

    def deleting(self, world: World, record: Record) -> None:
        world.buckets.server("azure").delete(f"{record.inputs['accountName']}/{record.inputs['containerName']}", force=True)


class Blob(Azure):
    """A blob, its bytes in the container; without a name it takes the resource's own."""

    def identify(self, world: World, record: Record) -> str:
        return super().identify(world, replace(record, inputs={**record.inputs, "blobName": self._name(record)}))

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        where = f"{record.inputs['containerName']}/{self._name(record)}"
        return {
            "name": self._name(record),
            "url": f"https://{record.inputs['accountName']}.blob.core.windows.net/{where}",
            "accessTier": record.inputs.get("accessTier") or "Hot",
            "contentType": record.inputs.get("contentType") or "application/octet-stream",
        }

    def created(self, world: World, record: Record) -> dict[str, Any]:
        body = bytes_of(record)
        if body is not None:
            with _steady(world, record.inputs["accountName"]):
                self._client(world, record).upload_blob(body, overwrite=True)
        return {}

    def updated(self, world: World, record: Record, old: dict[str, Any]) -> dict[str, Any]:
        return self.created(world, record)

    def deleting(self, world: World, record: Record) -> None:
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - only Azure stacks pay for it

        with _steady(world, record.inputs["accountName"]), contextlib.suppress(ResourceNotFoundError):
            self._client(world, record).delete_blob()

    def _client(self, world: World, record: Record) -> Any:
        blobs = blob_service(world, record.inputs["accountName"])
        return blobs.get_blob_client(record.inputs["containerName"], self._name(record))

    @staticmethod
    def _name(record: Record) -> str:
        return str(record.inputs.get("blobName") or record.urn.rsplit("::", 1)[-1])


def _steady(world: World, account: str) -> AbstractContextManager[None]:
    server = world.buckets.server("azure")
    assert isinstance(server, Azurite)
    return server.steady(account)


def blob_service(world: World, account: str) -> Any:
    """A client of an account's blobs."""
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 - only Azure stacks pay for it

    return BlobServiceClient(f"{world.buckets.server('azure').endpoint}/{account}", credential=azure_key(account))


_STORE = "/providers/Microsoft.Storage/storageAccounts/{accountName}"

TYPES: dict[str, Behaviour] = {
    "azure-native:storage:StorageAccount": StorageAccount(path=_STORE, immutable=(*PLACE, "accountName")),
    "azure-native:storage:BlobServiceProperties": Azure(path=_STORE + "/blobServices/default"),
    "azure-native:storage:ManagementPolicy": Azure(path=_STORE + "/managementPolicies/default"),
    "azure-native:storage:BlobContainer": Container(
        path=_STORE + "/blobServices/default/containers/{containerName}",
        immutable=("resourceGroupName", "accountName", "containerName"),
    ),
    "azure-native:storage:Blob": Blob(
        path=_STORE + "/blobServices/default/containers/{containerName}/blobs/{blobName}",
        immutable=("resourceGroupName", "accountName", "containerName", "blobName", "type"),
    ),
}
