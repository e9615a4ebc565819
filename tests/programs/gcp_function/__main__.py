"""A function behind HTTPS, built from an archive in a bucket, that anyone may call: plain pulumi-gcp."""

import pulumi
import pulumi_gcp as gcp

location = "us-central1"
bucket = gcp.storage.Bucket("source", location="US", uniform_bucket_level_access=True)
archive = gcp.storage.BucketObject("archive", bucket=bucket.name, source=pulumi.FileArchive("./source"))
account = gcp.serviceaccount.Account("runner", account_id="function-runner", display_name="Runs the function")
function = gcp.cloudfunctionsv2.Function(
    "hello",
    location=location,
    description="Says hello",
    build_config={
        "runtime": "python312",
        "entry_point": "hello",
        "source": {"storage_source": {"bucket": bucket.name, "object": archive.name}},
    },
    service_config={
        "max_instance_count": 1,
        "available_memory": "256M",
        "timeout_seconds": 60,
        "environment_variables": {"GREETING": "hello"},
        "service_account_email": account.email,
    },
)
gcp.cloudrun.IamMember("anyone", location=location, service=function.name, role="roles/run.invoker", member="allUsers")

pulumi.export("url", function.url)
pulumi.export("uri", function.service_config.uri)
pulumi.export("state", function.state)
pulumi.export("archive", archive.output_name)
