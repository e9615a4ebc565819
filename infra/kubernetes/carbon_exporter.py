"""The exporter of the grid's carbon intensity, in a namespace of its own: `fleet.carbon.exporter` in a ConfigMap.

Owns its installation and the triggers by which KEDA asks it. No image is built for it: the program needs nothing but
Python. Two replicas, as a node that goes must hold nobody back nor let everybody loose.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.carbon import EXPORTER as NAME
from fleet.carbon import exporter, source
from fleet.carbon.deferrals import Rule
from infra import versions
from infra.kubernetes import traffic
from infra.kubernetes.namespaces import CARBON, KEDA, LABELS, MONITORING, namespace

PORT = 8080
_LABELS = {**LABELS, "app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": NAME}
_SELECTOR = {"app.kubernetes.io/name": NAME}
_USER = 10001
_PROGRAM, _TOKEN = "/srv/exporter", "/run/token"
_MODULES = (*exporter.PARTS, exporter)


def _trigger(path: str, value: str, of_replicas: str) -> dict[str, Any]:
    """https://keda.sh/docs/2.21/scalers/metrics-api/"""
    metadata = {
        "url": f"http://{NAME}.{CARBON}.svc:{PORT}{path}",
        "format": "json",
        "valueLocation": value,
        "targetValue": "1",
        "aggregateFromKubeServiceEndpoints": "true",
        "aggregationType": of_replicas,
    }
    return {"type": "metrics-api", "metadata": metadata}


# The same from every replica, so that one of two that has not asked yet counts as the other.
TRIGGER = _trigger("/v1/intensity", "capping", "max")


def deferral_trigger(rule: Rule) -> dict[str, Any]:
    """1 while work is put off. Each replica keeps the deadline by itself, so work goes on as soon as one lets it go."""
    return _trigger("/v1/deferral", f"rules.{rule.key}.deferred", "min")


def jobs_trigger(rule: Rule) -> dict[str, Any]:
    """Active and 0 while work is put off, and else not active, when another trigger alone counts."""
    made = _trigger("/v1/deferral", f"rules.{rule.key}.jobs", "min")
    return {**made, "metadata": {**made["metadata"], "activationTargetValue": "-0.5"}}


class CarbonExporter(pulumi.ComponentResource):
    """It is ready before any model that goes by it.

    Args:
        zone: Electricity Maps' name of the grid. token: theirs. rules: the deadlines that models of the cluster have.
    """

    def __init__(
        self,
        name: str,
        zone: str,
        token: pulumi.Input[str],
        rules: Iterable[Rule] = (),
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("accelfleet:kubernetes:CarbonExporter", name, {}, opts)
        place = namespace(name, CARBON, "restricted", self)
        after = pulumi.ResourceOptions(parent=self, depends_on=[place])
        meta = {"name": NAME, "namespace": CARBON, "labels": _LABELS}
        secret = kubernetes.core.v1.Secret(f"{name}-token", metadata=meta, string_data={"token": token}, opts=after)
        files = {module.__name__: inspect.getsource(module) for module in _MODULES}
        program = kubernetes.core.v1.ConfigMap(f"{name}-program", metadata=meta, data=files, opts=after)
        # Another program is another pod; a token is read anew each time.
        digest = hashlib.sha256("".join(files.values()).encode()).hexdigest()[:16]
        marked = {"labels": _LABELS, "annotations": {"accelfleet.io/program": digest}}
        # In: KEDA and Prometheus. Out: names, and Electricity Maps. Both: each other.
        asked = [traffic.scraped(asker, PORT) for asker in (KEDA, MONITORING)]
        traffic.close(name, CARBON, after, ingress=asked)
        kubernetes.core.v1.Service(
            f"{name}-service",
            metadata=meta,
            spec={"selector": _SELECTOR, "ports": [{"name": "http", "port": PORT, "targetPort": "http"}]},
            opts=after,
        )
        kubernetes.policy.v1.PodDisruptionBudget(
            f"{name}-budget",
            metadata=meta,
            spec={"minAvailable": 1, "selector": {"matchLabels": _SELECTOR}},
            opts=after,
        )
        kubernetes.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=meta,
            spec={
                "replicas": 2,
                "selector": {"matchLabels": _SELECTOR},
                "template": {"metadata": marked, "spec": _pod(zone, sorted({*rules}), secret, program)},
            },
            opts=after,
        )
        self.register_outputs({})


def _pod(
    zone: str, rules: list[Rule], secret: kubernetes.core.v1.Secret, program: kubernetes.core.v1.ConfigMap
) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/healthz", "port": "http"}}
    # Each file where Python looks for the module of its name.
    files = [{"key": module.__name__, "path": f"{module.__name__.replace('.', '/')}.py"} for module in _MODULES]
    container = {
        "name": NAME,
        "image": versions.PYTHON_IMAGE,
        "command": ["python", "-m", exporter.__name__],
        "workingDir": _PROGRAM,
        "env": [
            {"name": "ELECTRICITYMAPS_ZONE", "value": zone},
            {"name": "ELECTRICITYMAPS_TOKEN_FILE", "value": f"{_TOKEN}/token"},
            {"name": "ELECTRICITYMAPS_URL", "value": source.URL},
            {"name": "DEFER", "value": " ".join(map(str, rules))},
            {"name": "PEER_URL", "value": f"http://{NAME}.{CARBON}.svc:{PORT}/v1/deferral"},
            {"name": "PORT", "value": str(PORT)},
            {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
        ],
        "ports": [{"name": "http", "containerPort": PORT}],
        "readinessProbe": probe,
        "livenessProbe": probe,
        "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "program", "mountPath": _PROGRAM, "readOnly": True},
            {"name": "token", "mountPath": _TOKEN, "readOnly": True},
        ],
    }
    return {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "program", "configMap": {"name": program.metadata["name"], "items": files}},
            {"name": "token", "secret": {"secretName": secret.metadata["name"]}},
        ],
    }
