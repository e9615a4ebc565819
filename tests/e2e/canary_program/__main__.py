"""Thirteen secrets, each through another channel, as programs that people write pass them on."""

import base64
import os
from pathlib import Path

import pulumi
import pulumi_aws as aws
import pulumi_kubernetes as k8s

config = pulumi.Config("crash")


def canary(name: str) -> pulumi.Output[str]:
    return config.require_secret(name)


chart = str(Path(__file__).parent / "chart")
cluster = k8s.Provider("cluster", kubeconfig=config.require_secret("kubeconfig"))
inside = pulumi.ResourceOptions(provider=cluster)
waits = {"pulumi.com/skipAwait": "true"}
generation = config.get("generation") or "1"

coded = canary("data").apply(lambda v: base64.b64encode(v.encode()).decode())
k8s.core.v1.Secret("coded", metadata={"name": "coded"}, data={"a": coded}, opts=inside)
k8s.helm.v3.Release(
    "release",
    name="release",
    chart=chart,
    namespace="default",
    values={"told": canary("release")},
    skip_await=True,
    opts=inside,
)
k8s.core.v1.Secret("secret", metadata={"name": "hush"}, string_data={"a": canary("secret")}, opts=inside)
k8s.core.v1.ConfigMap("config", metadata={"name": "config"}, data={"a": canary("configmap"), "g": generation}, opts=inside)
k8s.apps.v1.Deployment(
    "server",
    metadata={"name": "server", "annotations": {**waits, "note": canary("annotation")}},
    spec={
        "replicas": 0,
        "selector": {"match_labels": {"app": "server"}},
        "template": {
            "metadata": {"labels": {"app": "server"}},
            "spec": {
                "containers": [
                    {
                        "name": "server",
                        # Without a version: a rule minds it, and quotes what it minds.
                        "image": pulumi.Output.format("example/{0}", canary("policy")),
                        "args": [pulumi.Output.format("--weights=https://store.test/w?sig={0}", canary("weights"))],
                        "env": [{"name": "TOKEN", "value": canary("env")}],
                    }
                ]
            },
        },
    },
    opts=inside,
)
account = aws.Provider("account", region="us-east-1", access_key="AKIATEST", secret_key=canary("provider"))
aws.ssm.Parameter(
    "connection",
    name="connection",
    type="SecureString",
    value=pulumi.Output.format("postgres://user:{0}@db.test/models?g={1}", canary("connection"), generation),
    opts=pulumi.ResourceOptions(provider=account),
)
# The provider copies tags into tagsAll, and the engine knows only of what is called as an input: without this it is in clear.
hidden = pulumi.ResourceOptions(provider=account, additional_secret_outputs=["tagsAll"])
aws.sqs.Queue("queue", name="canary", tags={"note": canary("tag")}, opts=hidden)
pulumi.export("output", canary("output"))
if os.environ.get("BOOM"):
    header = canary("exception").apply(lambda v: base64.b64encode(f"user:{v}".encode()).decode())
    pulumi.Output.all(canary("exception"), header).apply(lambda both: 1 / 0 if not both else int(f"{both[0]} Basic {both[1]}"))
