"""Identities of services: a managed identity each, with built-in roles on what the service names. No key, no secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi_azure_native import managedidentity

from infra.clouds.azure.object_store import BlobStore
from infra.clouds.azure.roles import Role, grant
from infra.clouds.services import ServiceArgs


@dataclass(frozen=True)
class Metric:
    """A metric of Azure Monitor: whose it is, and which of its series."""

    scope: pulumi.Output[str]
    namespace: str
    name: str
    aggregation: str
    dimensions: tuple[tuple[str, pulumi.Input[str]], ...] = ()


def account_id(store: BlobStore) -> pulumi.Output[str]:
    """The storage account that a store's container is in."""
    return store.container_id.apply(lambda container: str(container).partition("/blobServices/")[0])


def identity(
    parent: pulumi.Resource, name: str, args: ServiceArgs[Any, Any]
) -> tuple[managedidentity.UserAssignedIdentity, list[pulumi.Resource]]:
    """An identity with roles on the service's stores; comes with what to wait for until it has them."""
    made = managedidentity.UserAssignedIdentity(
        f"{name}-identity",
        resource_name_=args.named(limit=128),
        resource_group_name=args.network.resource_group_name,
        location=args.region,
        tags=args.tags,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return made, on_stores(parent, name, args, made.principal_id)


def on_stores(
    parent: pulumi.Resource, name: str, args: ServiceArgs[Any, Any], principal: pulumi.Output[str]
) -> list[pulumi.Resource]:
    """Roles on the containers of the service's stores."""
    return [
        grant(
            f"{name}-{word}-{i}",
            scope=store.container_id,
            principal_id=principal,
            role=role,
            opts=pulumi.ResourceOptions(parent=parent),
        )
        for word, role, stores in (
            ("reads", Role.BLOB_READER, args.reads),
            ("writes", Role.BLOB_CONTRIBUTOR, args.writes),
        )
        for i, store in enumerate(stores)
    ]
