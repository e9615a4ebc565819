"""One resource of each plugin aws-dev talks to, with no SDK loaded: what is measured is the plugins' start and answers."""

import json

import pulumi

NOWHERE = {"apiVersion": "v1", "kind": "Config", "clusters": [], "users": [], "contexts": []}

pulumi.CustomResource("aws:sqs/queue:Queue", "queue", {"name": "bench"})
api = pulumi.ProviderResource("kubernetes", "api", {"kubeconfig": json.dumps(NOWHERE)})
pulumi.CustomResource(
    "kubernetes:core/v1:ConfigMap",
    "map",
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bench", "namespace": "default"}},
    pulumi.ResourceOptions(provider=api),
)
