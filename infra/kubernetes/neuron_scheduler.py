"""Neuron's scheduler extension: a second kube-scheduler, and the extender it asks which devices of a node are neighbours.

EKS lets nobody change its own scheduler, so pods of these pools name another one (`fleet.catalog.neuron.SCHEDULER`). It
places them by the same rules; for nodes with Neuron devices the extender leaves out those without enough neighbours, and
binds the pod with the ones that it is to have. All pods of such a pool go through it, or two would be given one device.
After the scheduler part of aws-neuron/neuron-helm-charts.
https://awsdocs-neuron.readthedocs-hosted.com/en/latest/deploy/infrastructure/scheduler.html
"""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.catalog.accelerators import Family
from fleet.catalog.neuron import CORE_RESOURCE, SCHEDULER
from infra import versions
from infra.kubernetes.namespaces import LABELS, budget

NAMESPACE = "kube-system"
_EXTENDER = "k8s-neuron-scheduler"
_PORT = 12345
_RESOURCES = (Family.NEURON.resource, CORE_RESOURCE)
_READ = ["get", "list", "watch"]
_SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_POD_SECURITY = {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}}

# What the extender does: it reads pods and nodes, writes down whose devices are whose, and binds.
_EXTENDER_RULES: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["nodes"], "verbs": _READ},
    {"apiGroups": [""], "resources": ["nodes/status"], "verbs": [*_READ, "patch", "update"]},
    {"apiGroups": [""], "resources": ["pods"], "verbs": [*_READ, "patch", "update"]},
    {"apiGroups": [""], "resources": ["bindings", "pods/binding"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "patch"]},
]
# Beside what every scheduler may: its own lease, and the cluster's settings that it reads at its start.
_SCHEDULER_RULES: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": _READ},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create", "get", "list", "update"]},
]


def configuration() -> dict[str, Any]:
    """KubeSchedulerConfiguration: https://kubernetes.io/docs/reference/config-api/kube-scheduler-config.v1/."""
    extender = {
        "urlPrefix": f"http://{_EXTENDER}.{NAMESPACE}.svc:{_PORT}",
        "filterVerb": "filter",
        "bindVerb": "bind",
        "enableHTTPS": False,
        "nodeCacheCapable": False,
        "managedResources": [{"name": name, "ignoredByScheduler": False} for name in _RESOURCES],
        # Without the extender nothing is placed: devices that are no neighbours would fail the pod, and hold it there.
        "ignorable": False,
    }
    return {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "profiles": [{"schedulerName": SCHEDULER}],
        "extenders": [extender],
        "leaderElection": {"leaderElect": True, "resourceNamespace": NAMESPACE, "resourceName": SCHEDULER},
    }


class NeuronScheduler(pulumi.ComponentResource):
    """Both parts.

    Args:
        minor: the cluster's Kubernetes, such as 1.35.
        doubled: whether a second scheduler waits to take the lease. The extender is alone in any case: what it handed out
            it knows from its own memory.
    """

    def __init__(self, name: str, minor: str, doubled: bool = False, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("accelfleet:kubernetes:NeuronScheduler", name, {}, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        extender = self._extender(f"{name}-extender")
        scheduler = self._account(f"{name}-second", SCHEDULER, _SCHEDULER_RULES)
        for role in ("system:kube-scheduler", "system:volume-scheduler"):
            scheduler.append(self._bind(f"{name}-second-{role.partition(':')[2]}", SCHEDULER, role))
        config = kubernetes.core.v1.ConfigMap(
            f"{name}-second-config",
            metadata={"name": SCHEDULER, "namespace": NAMESPACE, "labels": LABELS},
            data={"config.yaml": json.dumps(configuration(), indent=2)},
            opts=self._child,
        )
        container = {
            "name": "kube-scheduler",
            "image": versions.KUBE_SCHEDULER_IMAGES[minor],
            "command": ["kube-scheduler", "--config=/etc/neuron-scheduler/config.yaml"],
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": 10259, "scheme": "HTTPS"}, "initialDelaySeconds": 15},
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
            "securityContext": {**_SECURITY, "readOnlyRootFilesystem": True},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/neuron-scheduler", "readOnly": True}],
        }
        volumes = [{"name": "config", "configMap": {"name": SCHEDULER}}]
        before = [*scheduler, config, extender]
        self._deployment(f"{name}-second", SCHEDULER, container, before, volumes, replicas=2 if doubled else 1)
        if doubled:
            budget(f"{name}-second-budget", SCHEDULER, NAMESPACE, self._child)
        self.register_outputs({})

    def _extender(self, name: str) -> pulumi.Resource:
        rights = self._account(name, _EXTENDER, _EXTENDER_RULES)
        kubernetes.core.v1.Service(
            f"{name}-service",
            metadata={"name": _EXTENDER, "namespace": NAMESPACE, "labels": LABELS},
            spec={"selector": {"app.kubernetes.io/name": _EXTENDER}, "ports": [{"port": _PORT, "targetPort": _PORT}]},
            opts=self._child,
        )
        container = {
            "name": "extender",
            "image": versions.NEURON_SCHEDULER_IMAGE,
            "env": [{"name": "PORT", "value": str(_PORT)}],
            "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
            "securityContext": _SECURITY,
        }
        return self._deployment(name, _EXTENDER, container, rights, [])

    def _deployment(
        self,
        name: str,
        called: str,
        container: dict[str, Any],
        after: list[pulumi.Resource],
        volumes: list[dict[str, Any]],
        *,
        replicas: int = 1,
    ) -> pulumi.Resource:
        selector = {"app.kubernetes.io/name": called}
        labels = {**LABELS, **selector}
        made: pulumi.Resource = kubernetes.apps.v1.Deployment(
            name,
            metadata={"name": called, "namespace": NAMESPACE, "labels": labels},
            spec={
                "replicas": replicas,
                # Two extenders would each hold their own list of free devices.
                "strategy": {"type": "Recreate"},
                "selector": {"matchLabels": selector},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "serviceAccountName": called,
                        "priorityClassName": "system-cluster-critical",
                        "securityContext": _POD_SECURITY,
                        "containers": [container],
                        "volumes": volumes,
                    },
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=after),
        )
        return made

    def _account(self, name: str, called: str, rules: list[dict[str, Any]]) -> list[pulumi.Resource]:
        account = {"name": called, "namespace": NAMESPACE, "labels": LABELS}
        role = {"name": f"accelfleet-{called}", "labels": LABELS}
        return [
            kubernetes.core.v1.ServiceAccount(f"{name}-account", metadata=account, opts=self._child),
            kubernetes.rbac.v1.ClusterRole(f"{name}-role", metadata=role, rules=rules, opts=self._child),
            self._bind(f"{name}-binding", called, role["name"]),
        ]

    def _bind(self, name: str, called: str, role: Any) -> pulumi.Resource:
        bound: pulumi.Resource = kubernetes.rbac.v1.ClusterRoleBinding(
            name,
            metadata={"name": f"accelfleet-{called}-{role.rpartition(':')[2]}", "labels": LABELS},
            role_ref={"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            subjects=[{"kind": "ServiceAccount", "name": called, "namespace": NAMESPACE}],
            opts=self._child,
        )
        return bound
