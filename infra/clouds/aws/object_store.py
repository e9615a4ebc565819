"""An S3 bucket for weights: private, encrypted, TLS only, old versions dropped in time.

Grants nobody anything: who reads it is `EksPodIdentity`'s. Nodes reach it through the network's gateway endpoint.
"""

from __future__ import annotations

from collections.abc import Sequence

import pulumi
import pulumi_aws as aws

from fleet.weights import WeightsFile
from infra.clouds.aws.network import AwsNetwork
from infra.clouds.base import ObjectStoreArgs, object_key


class S3Store(pulumi.ComponentResource):
    """One bucket, after "Security best practices for Amazon S3".

    Encryption is SSE-S3 (AES-256), not KMS: a fleet that starts reads weights thousands of times at once, and a key of
    our own would put its request quota and price into every start, and one more thing to lose beside the bucket.

    With `protect` Pulumi refuses to delete it; without, deletion takes the objects along.
    """

    url: pulumi.Output[str]
    bucket_arn: pulumi.Output[str]

    def __init__(self, name: str, args: ObjectStoreArgs[AwsNetwork], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:aws:S3Store", name, {}, opts)
        self.physical_name = args.name
        child = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            f"{name}-bucket",
            bucket=args.name,
            force_destroy=not args.protect,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        private = aws.s3.BucketPublicAccessBlock(
            f"{name}-private",
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketOwnershipControls(
            f"{name}-ownership",
            bucket=bucket.id,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=child,
        )
        versioning = aws.s3.BucketVersioning(
            f"{name}-versioning",
            bucket=bucket.id,
            # Suspended, not Disabled: S3 cannot go back to Disabled once it was on.
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(
                status="Enabled" if args.versioned else "Suspended"
            ),
            opts=child,
        )
        aws.s3.BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=bucket.id,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=(
                        aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                            sse_algorithm="AES256"
                        )
                    )
                )
            ],
            opts=child,
        )
        aws.s3.BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=bucket.id,
            rules=[_expiry(args.expire_noncurrent_days)],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        aws.s3.BucketPolicy(
            f"{name}-tls",
            bucket=bucket.id,
            policy=pulumi.Output.json_dumps(_tls_only(bucket.arn)),
            # S3 answers 409 to two changes of a bucket's policy settings at once.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[private]),
        )
        self.url = pulumi.Output.format("s3://{0}", bucket.bucket)
        self.bucket_arn = bucket.arn
        self._name, self._bucket = name, bucket
        self.register_outputs({"url": self.url, "bucketArn": self.bucket_arn})

    def put(self, path: str, files: Sequence[WeightsFile]) -> list[pulumi.Resource]:
        """Objects of the bucket; encrypted as it says."""
        return [
            aws.s3.BucketObjectv2(
                f"{self._name}-{object_key(path, file)}",
                bucket=self._bucket.bucket,
                key=object_key(path, file),
                source=pulumi.FileAsset(file.path),
                opts=pulumi.ResourceOptions(parent=self),
            )
            for file in files
        ]


def _expiry(noncurrent_days: int) -> aws.s3.BucketLifecycleConfigurationRuleArgs:
    """Replaced versions go after so many days; so do the parts of uploads that broke off, after a week."""
    return aws.s3.BucketLifecycleConfigurationRuleArgs(
        id="expire-replaced",
        status="Enabled",
        filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=""),
        noncurrent_version_expiration=aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
            noncurrent_days=noncurrent_days
        ),
        abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
            days_after_initiation=7
        ),
    )


def _tls_only(arn: pulumi.Output[str]) -> dict[str, object]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html#transit"""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "DenyWithoutTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [arn, pulumi.Output.concat(arn, "/*")],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }
