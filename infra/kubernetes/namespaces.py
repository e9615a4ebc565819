"""Namespaces of a cluster, each under a Pod Security Standard: models under *restricted*, plugins where they may touch nodes.

Owns their names and the labels that everything of ours carries; what runs in them belongs to other modules.
"""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.tenancy import NO_TEAM

MODELS = NO_TEAM
ACCELERATORS = "accelerators"
# Made by whoever installs them; here only because models let them in.
KEDA = "keda"
MONITORING = "monitoring"
CARBON = "carbon"

LABELS = {"app.kubernetes.io/managed-by": "pulumi", "app.kubernetes.io/part-of": "accelfleet"}


def pod_security(level: str) -> dict[str, str]:
    """Labels that make the API server enforce a Pod Security Standard.

    https://kubernetes.io/docs/concepts/security/pod-security-admission/
    """
    return {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "audit", "warn")}


def namespace(
    name: str, physical: str, level: str, parent: pulumi.Resource, labels: Mapping[str, str] | None = None
) -> kubernetes.core.v1.Namespace:
    """A namespace at a Pod Security level."""
    return kubernetes.core.v1.Namespace(
        name,
        metadata=kubernetes.meta.v1.ObjectMetaArgs(name=physical, labels={**LABELS, **pod_security(level), **(labels or {})}),
        opts=pulumi.ResourceOptions(parent=parent),
    )


def budget(name: str, app: str, namespace: str, opts: pulumi.ResourceOptions) -> kubernetes.policy.v1.PodDisruptionBudget:
    """Of two replicas of an app one stays while nodes are drained."""
    selector = {"app.kubernetes.io/name": app}
    return kubernetes.policy.v1.PodDisruptionBudget(
        name,
        metadata={"name": app, "namespace": namespace, "labels": {**LABELS, **selector}},
        spec={"maxUnavailable": 1, "selector": {"matchLabels": selector}},
        opts=opts,
    )


def serving_namespace(
    name: str, physical: str, parent: pulumi.Resource, labels: Mapping[str, str] | None = None
) -> kubernetes.core.v1.Namespace:
    """A namespace of restricted pods, with no traffic that a policy of their own does not allow."""
    made = namespace(name, physical, "restricted", parent, labels)
    kubernetes.networking.v1.NetworkPolicy(
        f"{name}-deny",
        metadata=kubernetes.meta.v1.ObjectMetaArgs(name="default-deny", namespace=physical, labels=LABELS),
        spec=kubernetes.networking.v1.NetworkPolicySpecArgs(
            pod_selector=kubernetes.meta.v1.LabelSelectorArgs(), policy_types=["Ingress", "Egress"]
        ),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[made]),
    )
    return made


class ModelsNamespace(pulumi.ComponentResource):
    """Where models without a team are served."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:kubernetes:ModelsNamespace", name, {}, opts)
        serving_namespace(name, MODELS, self)
        self.register_outputs({})
