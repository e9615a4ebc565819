"""cluster-autoscaler, for clouds that run none: on EKS a pool's bounds move nothing without it (modelplane#166).

Owns what runs in the cluster; its rights in the cloud are the cloud package's.
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra import versions
from infra.kubernetes.namespaces import LABELS

NAMESPACE = "kube-system"
SERVICE_ACCOUNT = "cluster-autoscaler"
_NAME = {"app.kubernetes.io/name": "cluster-autoscaler"}

# https://github.com/kubernetes/autoscaler/tree/master/cluster-autoscaler/cloudprovider/aws/examples
_RULES: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["events", "endpoints"], "verbs": ["create", "patch"]},
    {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["update"]},
    {"apiGroups": [""], "resources": ["nodes"], "verbs": ["watch", "list", "get", "update", "patch"]},
    {
        "apiGroups": [""],
        "resources": [
            "namespaces",
            "pods",
            "services",
            "replicationcontrollers",
            "persistentvolumeclaims",
            "persistentvolumes",
            "configmaps",
        ],
        "verbs": ["watch", "list", "get"],
    },
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "update", "delete"]},
    {
        "apiGroups": ["apps", "batch", "policy", "storage.k8s.io", "resource.k8s.io"],
        "resources": ["*"],
        "verbs": ["watch", "list", "get"],
    },
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["create", "get", "update", "patch", "list", "watch"],
    },
]


class ClusterAutoscaler(pulumi.ComponentResource):
    """One replica that moves the cluster's node groups between their bounds.

    Args:
        cluster: the cluster's physical name, as on the groups' tags.
        env: what the cloud package says its container needs.
    """

    def __init__(self, name: str, *, cluster: str, env: dict[str, str], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:kubernetes:ClusterAutoscaler", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        labels = {**LABELS, **_NAME}
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-account",
            metadata={"name": SERVICE_ACCOUNT, "namespace": NAMESPACE, "labels": labels},
            opts=child,
        )
        role = kubernetes.rbac.v1.ClusterRole(
            f"{name}-role", metadata={"name": SERVICE_ACCOUNT, "labels": labels}, rules=_RULES, opts=child
        )
        binding = kubernetes.rbac.v1.ClusterRoleBinding(
            f"{name}-binding",
            metadata={"name": SERVICE_ACCOUNT, "labels": labels},
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": SERVICE_ACCOUNT},
            subjects=[{"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": NAMESPACE}],
            opts=child,
        )
        kubernetes.apps.v1.Deployment(
            name,
            metadata={"name": "cluster-autoscaler", "namespace": NAMESPACE, "labels": labels},
            spec={
                "replicas": 1,
                "selector": {"matchLabels": _NAME},
                "template": {"metadata": {"labels": labels}, "spec": _pod(cluster, env)},
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account, role, binding]),
        )
        self.register_outputs({})


def _pod(cluster: str, env: dict[str, str]) -> dict[str, Any]:
    tags = f"k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/{cluster}"
    return {
        "serviceAccountName": SERVICE_ACCOUNT,
        "priorityClassName": "system-cluster-critical",
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "cluster-autoscaler",
                "image": versions.CLUSTER_AUTOSCALER_IMAGE,
                "args": [
                    "--cloud-provider=aws",
                    f"--node-group-auto-discovery=asg:tag={tags}",
                    # Scarce zones differ: groups stay as they are instead of being evened out.
                    "--balance-similar-node-groups=false",
                    "--expander=least-waste",
                    "--skip-nodes-with-system-pods=false",
                ],
                "env": [{"name": key, "value": value} for key, value in env.items()],
                "resources": {"requests": {"cpu": "100m", "memory": "300Mi"}, "limits": {"memory": "600Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }
