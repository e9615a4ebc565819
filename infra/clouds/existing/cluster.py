"""The cluster itself: only how it is reached. Its control plane, network and versions are its owner's."""

from __future__ import annotations

from typing import Any

import pulumi
import yaml

from infra.clouds.base import ClusterArgs


class ExistingCluster(pulumi.ComponentResource):
    """A cluster behind a kubeconfig.

    Attributes:
        cluster_name: what we call it; its owner may know it by another name.
        kubeconfig: the secret as it is.

    Raises:
        pulumi.RunError: it is no kubeconfig with a cluster in its context; the message never quotes it.
    """

    cluster_name: pulumi.Output[str]
    endpoint: pulumi.Output[str]
    kubeconfig: pulumi.Output[str]

    def __init__(self, name: str, args: ClusterArgs[Any], opts: pulumi.ResourceOptions | None = None) -> None:
        assert args.kubeconfig is not None, "fleet.checks asks for it"
        super().__init__("accelfleet:existing:ExistingCluster", name, {}, opts)
        self.cluster_name = pulumi.Output.from_input(args.name)
        self.kubeconfig = args.kubeconfig
        self.endpoint = args.kubeconfig.apply(lambda text: _server(name, text))
        self.register_outputs({"clusterName": self.cluster_name, "endpoint": self.endpoint})


def _server(name: str, text: str) -> str:
    """The API server's address in the current context."""
    mend = "set the secret to what `kubectl config view --minify --flatten` prints"
    try:
        document = yaml.safe_load(text)
        contexts = {item["name"]: item["context"] for item in document["contexts"]}
        clusters = {item["name"]: item["cluster"] for item in document["clusters"]}
        return str(clusters[contexts[document["current-context"]]["cluster"]]["server"])
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        # What is wrong in it could be quoted with a token in it.
        raise pulumi.RunError(f"cluster {name}: its secret holds no kubeconfig with a current context: {mend}") from None
