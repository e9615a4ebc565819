"""The expressions of the rules, piece by piece, and the three places where an object keeps its pod.

Each is written against `variables` that a policy has once: a variable is computed when it is first read, and not again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from fleet.contract import ACCELERATOR_LABEL, POOL_LABEL

# Resources that only accelerators are asked for by, whoever makes them. MIG's have names of their own in other clusters.
ACCELERATOR = (
    r"^(nvidia[.]com/(gpu|mig-)|amd[.]com/gpu|google[.]com/tpu|aws[.]amazon[.]com/neuron|habana[.]ai/gaudi|gpu[.]intel[.]com/)"
)
# GKE's own namespaces have no list.
OWN = "gke-managed-"
# By these a pod says whose accelerators it wants; the others are the clouds' words for the same.
PLACES = (
    *(POOL_LABEL, ACCELERATOR_LABEL),
    *("cloud.google.com/gke-accelerator", "cloud.google.com/gke-tpu-accelerator"),
    *("node.kubernetes.io/instance-type", "karpenter.sh/nodepool", "eks.amazonaws.com/nodegroup", "agentpool"),
)
TPU_SLICE = ("cloud.google.com/gke-tpu-accelerator", "cloud.google.com/gke-tpu-topology")
# Kueue gives the nodes' labels itself, when it lets a pod or a job go.
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"


def literal(value: Any) -> str:
    """A list, a map or a string of CEL: JSON is a part of it."""
    return json.dumps(value)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Objects that keep their pod in one place.

    Attributes:
        name: of the policy. groups: API group -> plurals. pod: where the PodSpec is. job: where the JobSpec is, None without.
        daemon: whether the pod is a DaemonSet's.
    """

    name: str
    groups: dict[str, tuple[str, ...]]
    pod: str
    job: str | None = None
    daemon: str = "false"

    @property
    def variables(self) -> list[tuple[str, str]]:
        """In an order in which each needs none of the later ones."""
        job = [("job", self.job)] if self.job else []
        return [("pod", self.pod), ("daemon", self.daemon), *job, *_VARIABLES]

    @property
    def changes(self) -> str:
        """What stands is not judged anew when something else of it is written: controllers do that all the time."""
        return f"request.operation == 'CREATE' || {self.pod} != oldObject{self.pod.removeprefix('object')}"


SHAPES = (
    Shape(
        name="pods",
        groups={"": ("pods",)},
        pod="object.spec",
        daemon="object.metadata.?ownerReferences.orValue([]).exists(o, o.kind == 'DaemonSet')",
    ),
    Shape(
        name="workloads",
        groups={"apps": ("deployments", "statefulsets", "daemonsets")},
        pod="object.spec.template.spec",
        daemon="object.kind == 'DaemonSet'",
    ),
    Shape(name="jobs", groups={"batch": ("jobs",)}, pod="object.spec.template.spec", job="object.spec"),
    Shape(
        name="cronjobs",
        groups={"batch": ("cronjobs",)},
        pod="object.spec.jobTemplate.spec.template.spec",
        job="object.spec.jobTemplate.spec",
    ),
)

_VARIABLES = [
    ("containers", "variables.pod.containers + variables.pod.?initContainers.orValue([])"),
    ("tolerations", "variables.pod.?tolerations.orValue([])"),
    ("selector", "variables.pod.?nodeSelector.orValue({})"),
    # Kubernetes takes no accelerator without a limit.
    (
        "askers",
        f"variables.containers.filter(c, c.?resources.?limits.orValue({{}}).exists(r, r.matches({literal(ACCELERATOR)})))",
    ),
    ("asks", "variables.askers.size() > 0"),
    ("limits", "variables.askers.map(c, c.resources.limits)"),
    ("claims", "variables.pod.?resourceClaims.orValue([]).size() > 0"),
    ("queued", f"{literal(QUEUE_LABEL)} in object.metadata.?labels.orValue({{}})"),
]


def asked(resource: str) -> str:
    """How many of a resource the pod asks for, all its containers together."""
    one = f"quantity(string(c.?resources.?limits[?{literal(resource)}].orValue('0')))"
    return f"variables.pod.containers.map(c, {one}.isInteger() ? {one}.asInteger() : -1).sum()"


def tolerates(keys: list[str]) -> str:
    """Whether the pod names one of these taints."""
    return f"variables.tolerations.exists(t, has(t.key) && t.key in {literal(keys)})"
