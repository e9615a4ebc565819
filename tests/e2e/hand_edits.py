"""What people change by hand in a cluster and an account of aws-dev, each with where `fleet drift` has to find it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fleet.drift import Difference
from infra.kubernetes.namespaces import ACCELERATORS, MODELS
from sandbox import toolchain
from tests.e2e.conftest import Sandbox

_CLUSTER = "aws-dev-main"


@dataclass(frozen=True)
class Edit:
    """One change.

    Attributes:
        do: makes it. kind, type, name, field: of the difference that tells it; type and field begin so, the name has it.
    """

    do: Callable[[Sandbox], None]
    type: str
    name: str
    field: str = ""
    kind: str = "changed"

    def found(self, told: list[dict[str, Any]]) -> bool:
        return any(
            one.kind == self.kind
            and one.type.startswith(self.type)
            and self.name in one.name
            and one.field.startswith(self.field)
            for one in (Difference(**each) for each in told)
        )


def _kubectl(*words: str) -> Callable[[Sandbox], None]:
    def run(sandbox: Sandbox) -> None:
        config = sandbox.home / "clusters" / "aws" / _CLUSTER / "kubeconfig"
        command = [str(toolchain.path("kubectl")), "--kubeconfig", str(config), *words]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, (words, done.stderr)

    return run


def _patch(namespace: str, what: str, change: Any, how: str = "merge") -> Callable[[Sandbox], None]:
    return _kubectl("patch", "-n", namespace, what, f"--type={how}", "-p", json.dumps(change))


def _console(type_: str, match: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Sandbox], None]:
    """In the cloud's own console: the first resource whose URN has the word in it."""

    def run(sandbox: Sandbox) -> None:
        found = [one for one in sandbox.cloud("list", cloud="aws", type=type_) if match in one["urn"]]
        assert found, (type_, match)
        inputs = found[0]["inputs"]
        change(inputs)
        sandbox.cloud("update", cloud="aws", type=type_, id=found[0]["id"], inputs=inputs)

    return run


def _gone(type_: str) -> Callable[[Sandbox], None]:
    def run(sandbox: Sandbox) -> None:
        (found, *_) = sandbox.cloud("list", cloud="aws", type=type_)
        sandbox.cloud("delete", cloud="aws", type=type_, id=found["id"])

    return run


_POLICY, _DAEMONS, _DEPLOYMENT = (
    "kubernetes:networking.k8s.io/v1:NetworkPolicy",
    "kubernetes:apps/v1:DaemonSet",
    "kubernetes:apps/v1:Deployment",
)
_GROUP = "aws:eks/nodeGroup:NodeGroup"

EDITS = {
    # Objects that the program makes itself.
    "nothing is denied any more": Edit(
        _kubectl("delete", "-n", MODELS, "networkpolicy", "default-deny"), _POLICY, "deny", kind="gone"
    ),
    "a namespace takes privileged pods": Edit(
        _kubectl("label", "namespace", MODELS, "pod-security.kubernetes.io/enforce=privileged", "--overwrite"),
        "kubernetes:core/v1:Namespace",
        "models",
        "metadata.labels.pod-security.kubernetes.io/enforce",
    ),
    "another device plugin": Edit(
        _kubectl("set", "image", "-n", ACCELERATORS, "daemonset", "--all", "*=registry.example/plugin:0"),
        _DAEMONS,
        "",
        "spec.template",
    ),
    "no autoscaler": Edit(
        _kubectl("scale", "-n", "kube-system", "deployment/cluster-autoscaler", "--replicas=0"),
        _DEPLOYMENT,
        "autoscaler",
        "spec.replicas",
    ),
    "other priorities": Edit(
        _patch("kube-system", "configmap/cluster-autoscaler-priority-expander", {"data": {"priorities": "1: [.*]"}}),
        "kubernetes:core/v1:ConfigMap",
        "",
        "data.priorities",
    ),
    # Objects of Helm's releases.
    "another server": Edit(
        _kubectl("set", "image", "-n", MODELS, "deployment/chat", "*=registry.example/evil:1"),
        _DEPLOYMENT,
        "models/chat",
        "spec.template",
    ),
    "no budget": Edit(
        _kubectl("delete", "-n", MODELS, "pdb", "chat"), "kubernetes:policy/v1:PodDisruptionBudget", "chat", kind="gone"
    ),
    "another port": Edit(
        _patch(MODELS, "service/chat", [{"op": "replace", "path": "/spec/ports/0/port", "value": 8081}], "json"),
        "kubernetes:v1:Service",
        "models/chat",
        "spec.ports",
    ),
    "a label more": Edit(
        _kubectl("label", "-n", MODELS, "deployment/embed", "team=unknown"), _DEPLOYMENT, "models/embed", "metadata.labels.team"
    ),
    "no time to end": Edit(
        _patch(MODELS, "deployment/rerank", {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}}}),
        _DEPLOYMENT,
        "models/rerank",
        "spec.template.spec.terminationGracePeriodSeconds",
    ),
    "open to all": Edit(
        _patch(MODELS, "networkpolicy/chat", {"spec": {"ingress": [{}]}}), _POLICY, "models/chat", "spec.ingress"
    ),
    # Resources of the account.
    "a larger pool": Edit(
        _console(_GROUP, "l4", lambda inputs: inputs["scalingConfig"].update(maxSize=40)), _GROUP, "l4", "scalingConfig.maxSize"
    ),
    "a pool without taints": Edit(_console(_GROUP, "inf2", lambda inputs: inputs.update(taints=[])), _GROUP, "inf2", "taints"),
    "an API for everybody": Edit(
        _console("aws:eks/cluster:Cluster", "", lambda inputs: inputs["vpcConfig"].update(publicAccessCidrs=["0.0.0.0/0"])),
        "aws:eks/cluster:Cluster",
        "",
        "vpcConfig.publicAccessCidrs",
    ),
    "a public bucket": Edit(
        _gone("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock"), "aws:s3/bucketPublicAccessBlock", "", kind="gone"
    ),
    "a role that more may take": Edit(
        _console("aws:iam/role:Role", "", lambda inputs: inputs.update(assumeRolePolicy="{}")),
        "aws:iam/role:Role",
        "",
        "assumeRolePolicy",
    ),
}
