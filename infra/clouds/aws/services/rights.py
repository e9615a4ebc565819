"""Roles of services: one each, taken by one AWS service of this account, with rights on what the service names.

Owns the words of IAM statements that several services need. Refuses wildcards of actions, and managed policies.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_aws as aws

from infra.clouds.aws.object_store import S3Store

Statement = Mapping[str, Any]
VERSION = "2012-10-17"


@dataclass(frozen=True)
class Metric:
    """A CloudWatch metric of one thing."""

    namespace: str
    name: str
    statistic: str
    dimensions: Mapping[str, pulumi.Input[str]]


def allow(actions: str | Sequence[str], *resources: pulumi.Input[str], **more: Any) -> Statement:
    """One statement; an action that knows no resource is given `*` by its caller."""
    return {"Effect": "Allow", "Action": actions, "Resource": list(resources), **more}


def on_stores(reads: Iterable[S3Store], writes: Iterable[S3Store], *, delete: bool = False) -> list[Statement]:
    """Rights on buckets.

    Args:
        delete: also to delete in those that are written; for what writes by renaming.
    """
    reads, writes = list(reads), list(writes)
    if not reads and not writes:
        return []
    put = ["s3:PutObject", "s3:AbortMultipartUpload", *(["s3:DeleteObject"] if delete else [])]
    both = [*reads, *writes]
    found = [
        allow(["s3:ListBucket", "s3:GetBucketLocation"], *(store.bucket_arn for store in both)),
        allow("s3:GetObject", *(_objects(store) for store in both)),
    ]
    return found + ([allow(put, *(_objects(store) for store in writes))] if writes else [])


def _objects(store: S3Store) -> pulumi.Output[str]:
    return pulumi.Output.concat(store.bucket_arn, "/*")


def pass_role(role: pulumi.Input[str], service: str) -> Statement:
    """To hand one role to one service."""
    return allow("iam:PassRole", role, Condition={"StringEquals": {"iam:PassedToService": service}})


def account(parent: pulumi.Resource) -> pulumi.Output[str]:
    """The account that everything here is in."""
    found: pulumi.Output[str] = aws.get_caller_identity_output(opts=pulumi.InvokeOutputOptions(parent=parent)).account_id
    return found


def service_role(
    parent: pulumi.Resource,
    name: str,
    *,
    role_name: str,
    service: str,
    statements: Sequence[Statement],
    of_account: bool = True,
) -> tuple[aws.iam.Role, list[pulumi.Resource]]:
    """A role that an AWS service takes; comes with what to wait for until it has its rights.

    Args:
        of_account: that the service takes it on behalf of this account only (the confused deputy); EC2, Lambda and Glue
            do not say on whose behalf they ask.
    """
    child = pulumi.ResourceOptions(parent=parent)
    trust: dict[str, Any] = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    policy: pulumi.Input[str] = json.dumps({"Version": VERSION, "Statement": [trust]})
    if of_account:
        trust["Condition"] = {"StringEquals": {"aws:SourceAccount": account(parent)}}
        policy = pulumi.Output.json_dumps({"Version": VERSION, "Statement": [trust]})
    role = aws.iam.Role(f"{name}-role", name=role_name, assume_role_policy=policy, opts=child)
    if not statements:
        return role, [role]
    rights = pulumi.Output.json_dumps({"Version": VERSION, "Statement": list(statements)})
    return role, [aws.iam.RolePolicy(f"{name}-rights", name="rights", role=role.name, policy=rights, opts=child)]


def log_group(parent: pulumi.Resource, name: str, group: str, days: int = 30) -> aws.cloudwatch.LogGroup:
    """A log group made ahead of who writes it: one that a service makes keeps its lines for ever."""
    return aws.cloudwatch.LogGroup(
        f"{name}-logs", name=group, retention_in_days=days, opts=pulumi.ResourceOptions(parent=parent)
    )


def to_logs(group: aws.cloudwatch.LogGroup) -> Statement:
    """To write lines into one log group."""
    return allow(["logs:CreateLogStream", "logs:PutLogEvents"], pulumi.Output.concat(group.arn, ":*"))
