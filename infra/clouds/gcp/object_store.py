"""A GCS bucket for weights: private, encrypted, old versions dropped in time.

Grants nobody anything: who reads it is `GkeWorkloadIdentity`'s. Nodes reach it by Private Google Access. Sets nothing
for TLS, as the API speaks nothing else, and no key of our own: Google's encrypt every object, and one of ours would put
its quota and price into every start, and one more thing to lose beside the bucket.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

from fleet.weights import WeightsFile
from infra.clouds.base import ObjectStoreArgs, object_key
from infra.clouds.gcp.network import GcpNetwork

_SOFT_DELETE_S = 7 * 24 * 3600


class GcsStore(pulumi.ComponentResource):
    """A bucket that no public grant can open; replaced versions expire. Follows "Best practices for Cloud Storage".

    With `protect` Pulumi refuses to delete it; without, deletion takes the objects along. What was deleted can be
    restored for seven days (soft delete), and is paid for as long.
    """

    url: pulumi.Output[str]
    bucket_name: pulumi.Output[str]

    def __init__(self, name: str, args: ObjectStoreArgs[GcpNetwork], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:gcp:GcsStore", name, {}, opts)
        rules = [
            gcp.storage.BucketLifecycleRuleArgs(
                action=gcp.storage.BucketLifecycleRuleActionArgs(type="Delete"),
                condition=gcp.storage.BucketLifecycleRuleConditionArgs(
                    days_since_noncurrent_time=args.expire_noncurrent_days, with_state="ARCHIVED"
                ),
            ),
            gcp.storage.BucketLifecycleRuleArgs(
                action=gcp.storage.BucketLifecycleRuleActionArgs(type="AbortIncompleteMultipartUpload"),
                condition=gcp.storage.BucketLifecycleRuleConditionArgs(age=7),
            ),
        ]
        bucket = gcp.storage.Bucket(
            f"{name}-bucket",
            name=args.name,
            location=args.region,
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            versioning=gcp.storage.BucketVersioningArgs(enabled=args.versioned),
            lifecycle_rules=rules,
            soft_delete_policy=gcp.storage.BucketSoftDeletePolicyArgs(retention_duration_seconds=_SOFT_DELETE_S),
            force_destroy=not args.protect,
            labels=args.tags,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.bucket_name = bucket.name
        self.url = bucket.url
        self._name = name
        self.register_outputs({"url": self.url})

    def put(self, path: str, files: Sequence[WeightsFile]) -> list[pulumi.Resource]:
        """Objects of the bucket."""
        return [
            gcp.storage.BucketObject(
                f"{self._name}-{object_key(path, file)}",
                bucket=self.bucket_name,
                name=object_key(path, file),
                source=pulumi.FileAsset(file.path),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for file in files
        ]
