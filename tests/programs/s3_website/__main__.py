"""A static website in S3: a bucket anyone may read, its pages as objects."""

import pulumi
import pulumi_aws as aws

PAGES = {"index.html": "<h1>Hello</h1>"}

bucket = aws.s3.Bucket("site", force_destroy=True)
website = aws.s3.BucketWebsiteConfiguration(
    "site", bucket=bucket.id, index_document={"suffix": "index.html"}, error_document={"key": "404.html"}
)
open_ = aws.s3.BucketPublicAccessBlock("site", bucket=bucket.id, block_public_policy=False, restrict_public_buckets=False)
anyone = aws.iam.get_policy_document_output(
    statements=[
        {
            "effect": "Allow",
            "principals": [{"type": "*", "identifiers": ["*"]}],
            "actions": ["s3:GetObject"],
            "resources": [bucket.arn.apply(lambda arn: f"{arn}/*")],
        }
    ]
)
aws.s3.BucketPolicy("site", bucket=bucket.id, policy=anyone.json, opts=pulumi.ResourceOptions(depends_on=[open_]))
for name, text in PAGES.items():
    aws.s3.BucketObjectv2(name, bucket=bucket.id, key=name, content=text, content_type="text/html")

missing = aws.s3.BucketObjectv2("404.html", bucket=bucket.id, key="404.html", source=pulumi.FileAsset("./404.html"))

pulumi.export("missing", missing.etag)
pulumi.export("bucket", bucket.bucket)
pulumi.export("endpoint", website.website_endpoint)
pulumi.export("policy", anyone.json)
