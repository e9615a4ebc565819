"""One resource of each plugin aws-dev talks to, with no SDK loaded: what is measured is the plugins' start and answers."""

import json

import pulumi

# The preview of a plain object asks no cluster anything: nothing listens there.
NOWHERE = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "nowhere",
    "clusters": [{"name": "nowhere", "cluster": {"server": "https://127.0.0.1:9"}}],
    "users": [{"name": "nobody", "user": {"token": "none"}}],
    "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
}

pulumi.CustomResource("aws:sqs/queue:Queue", "queue", {"name": "bench"})
api = pulumi.ProviderResource("kubernetes", "api", {"kubeconfig": json.dumps(NOWHERE)})
pulumi.CustomResource(
    "kubernetes:core/v1:ConfigMap",
    "map",
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bench", "namespace": "default"}},
    pulumi.ResourceOptions(provider=api),
)
