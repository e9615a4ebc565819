"""Namespaces of a cluster, each under a Pod Security Standard: models under *restricted*, plugins where they may touch nodes.

Owns their names and the labels that everything of ours carries; what runs in them belongs to other modules.
"""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

MODELS = "models"
ACCELERATORS = "accelerators"
# Made by whoever installs them; here only because models let them in.
KEDA = "keda"
MONITORING = "monitoring"

LABELS = {"app.kubernetes.io/managed-by": "pulumi", "app.kubernetes.io/part-of": "accelfleet"}


def pod_security(level: str) -> dict[str, str]:
    """Labels that make the API server enforce a Pod Security Standard.

    https://kubernetes.io/docs/concepts/security/pod-security-admission/
    """
    return {f"pod-security.kubernetes.io/{mode}": level for mode in ("enforce", "audit", "warn")}


def namespace(name: str, physical: str, level: str, parent: pulumi.Resource) -> kubernetes.core.v1.Namespace:
    """A namespace at a Pod Security level."""
    return kubernetes.core.v1.Namespace(
        name,
        metadata=kubernetes.meta.v1.ObjectMetaArgs(name=physical, labels={**LABELS, **pod_security(level)}),
        opts=pulumi.ResourceOptions(parent=parent),
    )


class ModelsNamespace(pulumi.ComponentResource):
    """Where models are served: restricted pods, and no traffic that a model's own policy does not allow."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:kubernetes:ModelsNamespace", name, {}, opts)
        made = namespace(name, MODELS, "restricted", self)
        kubernetes.networking.v1.NetworkPolicy(
            f"{name}-deny",
            metadata=kubernetes.meta.v1.ObjectMetaArgs(name="default-deny", namespace=MODELS, labels=LABELS),
            spec=kubernetes.networking.v1.NetworkPolicySpecArgs(
                pod_selector=kubernetes.meta.v1.LabelSelectorArgs(), policy_types=["Ingress", "Egress"]
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[made]),
        )
        self.register_outputs({})
