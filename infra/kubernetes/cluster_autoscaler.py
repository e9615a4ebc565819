"""cluster-autoscaler, for clouds that run none: on EKS a pool's bounds move nothing without it (modelplane#166).

Owns what runs in the cluster; its rights in the cloud are the cloud package's (`infra/clouds/aws/autoscaler.py`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.catalog.clouds import Cloud
from fleet.contract import AcceleratorPool
from infra import versions
from infra.kubernetes.namespaces import LABELS, budget

NAMESPACE = "kube-system"
SERVICE_ACCOUNT = "cluster-autoscaler"
_NAME = "cluster-autoscaler"
_SELECTOR = {"app.kubernetes.io/name": _NAME}
_LABELS = {**LABELS, **_SELECTOR}
_READ = ["get", "list", "watch"]

# cluster-autoscaler/cloudprovider/aws/examples/cluster-autoscaler-autodiscover.yaml of kubernetes/autoscaler, and
# dynamic resource allocation's objects, which 1.34 reads (charts/cluster-autoscaler/templates/clusterrole.yaml).
_EVERYWHERE: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["events", "endpoints"], "verbs": ["create", "patch"]},
    {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["pods/status"], "verbs": ["update"]},
    {"apiGroups": [""], "resources": ["nodes"], "verbs": [*_READ, "update"]},
    {
        "apiGroups": [""],
        "resources": [
            "namespaces",
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "replicationcontrollers",
            "services",
        ],
        "verbs": _READ,
    },
    {"apiGroups": ["apps"], "resources": ["daemonsets", "replicasets", "statefulsets"], "verbs": _READ},
    {"apiGroups": ["batch"], "resources": ["cronjobs", "jobs"], "verbs": _READ},
    {"apiGroups": ["policy"], "resources": ["poddisruptionbudgets"], "verbs": _READ},
    {
        "apiGroups": ["storage.k8s.io"],
        "resources": ["csidrivers", "csinodes", "csistoragecapacities", "storageclasses", "volumeattachments"],
        "verbs": _READ,
    },
    {
        "apiGroups": ["resource.k8s.io"],
        "resources": ["deviceclasses", "resourceclaims", "resourceslices"],
        "verbs": _READ,
    },
]
# Its lease and its status: here, and under these names alone.
_AT_HOME: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "list", "watch"]},
    {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": ["cluster-autoscaler-status", "cluster-autoscaler-priority-expander"],
        "verbs": ["delete", "get", "update", "watch"],
    },
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "resourceNames": [_NAME],
        "verbs": ["get", "update"],
    },
]


# The group's name in each cloud that a pool becomes: an ASG of EKS, a scale set of AKS. GKE is told by a ComputeClass.
# To its end: `l4` must not stand for `l4-od`.
_GROUPS = {Cloud.AWS: "^eks-{pool}-[0-9a-f]{{8}}(-[0-9a-f]+){{4}}$", Cloud.AZURE: "^aks-{pool}-[0-9]+-vmss$"}


def priorities(pools: Sequence[AcceleratorPool]) -> str:
    """The priority expander's table for pools with a fallback, the first rung above the second; empty without any.

    https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/expander/priority/readme.md
    """
    pools = [pool for pool in pools if pool.fallback and pool.cloud in _GROUPS]
    if not pools:
        return ""
    deepest = max(len(pool.rungs) for pool in pools)
    table: dict[int, list[str]] = {1: [".*"]}
    for pool in pools:
        for depth, rung in enumerate(pool.rungs):
            pattern = _GROUPS[pool.cloud].format(pool=re.escape(rung.physical_name))
            table.setdefault(10 * (deepest - depth), []).append(pattern)
    return json.dumps(dict(sorted(table.items(), reverse=True)))


class PriorityExpander(pulumi.ComponentResource):
    """The table above, where cluster-autoscaler looks for it, ours on EKS as well as AKS's own."""

    def __init__(self, name: str, table: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:kubernetes:PriorityExpander", name, {}, opts)
        kubernetes.core.v1.ConfigMap(
            name,
            metadata={"name": "cluster-autoscaler-priority-expander", "namespace": NAMESPACE, "labels": LABELS},
            data={"priorities": table},
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})


class ClusterAutoscaler(pulumi.ComponentResource):
    """Moves the cluster's node groups between their bounds.

    Args:
        cluster: the cluster's physical name, as on the groups' tags. minor: its Kubernetes, such as 1.35.
        env: what the cloud package says its container needs.
        by_priority: whether some pool has a fallback, and a PriorityExpander says which comes first.
        by_claims: whether some pool's accelerators are claimed (DRA).
        doubled: whether a second replica waits to take the lease: one that went with its node else stops all growth.
    """

    def __init__(
        self,
        name: str,
        *,
        cluster: str,
        minor: str,
        env: dict[str, str],
        by_priority: bool = False,
        by_claims: bool = False,
        doubled: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("accelfleet:kubernetes:ClusterAutoscaler", name, {}, opts)
        rights = self._rights(name)
        kubernetes.apps.v1.Deployment(
            name,
            metadata={"name": _NAME, "namespace": NAMESPACE, "labels": _LABELS},
            spec={
                "replicas": 2 if doubled else 1,
                "selector": {"matchLabels": _SELECTOR},
                "template": {
                    "metadata": {"labels": _LABELS},
                    "spec": _pod(versions.CLUSTER_AUTOSCALER_IMAGES[minor], cluster, env, by_priority, by_claims),
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=rights),
        )
        if doubled:
            budget(f"{name}-budget", _NAME, NAMESPACE, pulumi.ResourceOptions(parent=self))
        self.register_outputs({})

    def _rights(self, name: str) -> list[pulumi.Resource]:
        rbac, child = kubernetes.rbac.v1, pulumi.ResourceOptions(parent=self)
        whole = {"name": _NAME, "labels": _LABELS}
        home = {**whole, "namespace": NAMESPACE}
        subjects = [{"kind": "ServiceAccount", "name": SERVICE_ACCOUNT, "namespace": NAMESPACE}]
        account = {**home, "name": SERVICE_ACCOUNT}
        return [
            kubernetes.core.v1.ServiceAccount(f"{name}-account", metadata=account, opts=child),
            rbac.ClusterRole(f"{name}-role", metadata=whole, rules=_EVERYWHERE, opts=child),
            rbac.ClusterRoleBinding(
                f"{name}-binding", metadata=whole, role_ref=_role("ClusterRole"), subjects=subjects, opts=child
            ),
            rbac.Role(f"{name}-home-role", metadata=home, rules=_AT_HOME, opts=child),
            rbac.RoleBinding(f"{name}-home-binding", metadata=home, role_ref=_role("Role"), subjects=subjects, opts=child),
        ]


def _role(kind: str) -> dict[str, str]:
    return {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": _NAME}


def _pod(image: str, cluster: str, env: dict[str, str], by_priority: bool, by_claims: bool) -> dict[str, Any]:
    tags = f"k8s.io/cluster-autoscaler/enabled,k8s.io/cluster-autoscaler/{cluster}"
    return {
        "serviceAccountName": SERVICE_ACCOUNT,
        "priorityClassName": "system-cluster-critical",
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": _NAME,
                "image": image,
                # Nodes with local storage stay while a replica of a model runs there (the default): to move one costs
                # minutes of loading. Pools are not evened out either (the default), for scarcity differs by zone.
                "args": [
                    "--cloud-provider=aws",
                    f"--node-group-auto-discovery=asg:tag={tags}",
                    f"--expander={'priority,least-waste' if by_priority else 'least-waste'}",
                    # Otherwise CoreDNS would hold on to every node it was ever scheduled on.
                    "--skip-nodes-with-system-pods=false",
                    # Off in 1.34, and always on after it.
                    *(["--enable-dynamic-resource-allocation=true"] if by_claims else []),
                ],
                "env": [{"name": key, "value": value} for key, value in env.items()],
                "ports": [{"name": "http", "containerPort": 8085}],
                "livenessProbe": {"httpGet": {"path": "/health-check", "port": "http"}, "periodSeconds": 10},
                "resources": {"requests": {"cpu": "100m", "memory": "300Mi"}, "limits": {"memory": "600Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }
