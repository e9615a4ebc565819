"""Service accounts of services: one each, without a key, with roles on what the service names.

Owns the few roles of a whole project that Google offers no smaller scope for. Refuses Owner, Editor and Viewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_gcp as gcp

from infra.clouds.services import ServiceArgs

READER, WRITER = "roles/storage.objectViewer", "roles/storage.objectUser"


@dataclass(frozen=True)
class Metric:
    """A metric of one thing in Cloud Monitoring: a filter, and how a minute of it becomes one number."""

    filter: pulumi.Output[str]
    aligner: str


def project(parent: pulumi.Resource) -> pulumi.Output[Any]:
    """The project that everything here is in: `project_id` and `number`."""
    found: pulumi.Output[Any] = gcp.organizations.get_project_output(opts=pulumi.InvokeOutputOptions(parent=parent))
    return found


def service_account(
    parent: pulumi.Resource, name: str, args: ServiceArgs[Any, Any], *parts: str
) -> tuple[gcp.serviceaccount.Account, list[pulumi.Resource]]:
    """An account with roles on the service's stores; comes with what to wait for until it has them.

    Args:
        parts: of its name, for a second account of one service.
    """
    child = pulumi.ResourceOptions(parent=parent)
    account = gcp.serviceaccount.Account(
        f"{name}-account", account_id=args.named(*parts, limit=30), display_name=args.named(*parts, limit=100), opts=child
    )
    if parts:
        return account, [account]
    grants = [
        gcp.storage.BucketIAMMember(
            f"{name}-{role.rpartition('.')[2]}-{i}", bucket=store.bucket_name, role=role, member=account.member, opts=child
        )
        for role, stores in ((READER, args.reads), (WRITER, args.writes))
        for i, store in enumerate(stores)
    ]
    return account, [account, *grants]


def in_project(parent: pulumi.Resource, name: str, account: gcp.serviceaccount.Account, *roles: str) -> list[pulumi.Resource]:
    """Roles that Google grants on a project and on nothing smaller."""
    return [
        gcp.projects.IAMMember(
            f"{name}-{role.rpartition('/')[2]}",
            project=project(parent).project_id,
            role=role,
            member=account.member,
            opts=pulumi.ResourceOptions(parent=parent),
        )
        for role in roles
    ]


def may_act_as(
    parent: pulumi.Resource, name: str, who: gcp.serviceaccount.Account, whom: gcp.serviceaccount.Account
) -> pulumi.Resource:
    """To hand one account to a job."""
    right: pulumi.Resource = gcp.serviceaccount.IAMMember(
        f"{name}-acts",
        service_account_id=whom.name,
        role="roles/iam.serviceAccountUser",
        member=who.member,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return right
