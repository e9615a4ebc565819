"""A machine behind a firewall, a bucket that one account reads, a topic: plain pulumi-gcp."""

import pulumi
import pulumi_gcp as gcp

network = gcp.compute.Network("network", auto_create_subnetworks=True)
gcp.compute.Firewall(
    "web", network=network.self_link, allows=[{"protocol": "tcp", "ports": ["80"]}], source_ranges=["0.0.0.0/0"]
)
machine = gcp.compute.Instance(
    "server",
    machine_type="e2-small",
    zone="us-central1-a",
    boot_disk={"initialize_params": {"image": "debian-cloud/debian-12"}},
    network_interfaces=[{"network": network.id, "access_configs": [{}]}],
)
account = gcp.serviceaccount.Account("reader", account_id="reader-of-site")
bucket = gcp.storage.Bucket("site", location="US")
gcp.storage.BucketIAMMember("reader", bucket=bucket.name, role="roles/storage.objectViewer", member=account.member)
topic = gcp.pubsub.Topic("jobs")
gcp.pubsub.Subscription("jobs", topic=topic.name)

pulumi.export("bucket", bucket.url)
pulumi.export("reader", account.email)
