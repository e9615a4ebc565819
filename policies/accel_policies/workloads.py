"""Pods, wherever a resource hides them: their templates, containers, images, and what our chart's values say of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from policies.accel_policies.rule import Resource
from policies.accel_policies.values import View

POD = "kubernetes:core/v1:Pod"
DEPLOYMENT = "kubernetes:apps/v1:Deployment"
STATEFUL_SET = "kubernetes:apps/v1:StatefulSet"
DAEMON_SET = "kubernetes:apps/v1:DaemonSet"
JOB = "kubernetes:batch/v1:Job"
CRON_JOB = "kubernetes:batch/v1:CronJob"
RELEASE = "kubernetes:helm.sh/v3:Release"

_POD_IN = {
    POD: "spec",
    DEPLOYMENT: "spec.template.spec",
    STATEFUL_SET: "spec.template.spec",
    DAEMON_SET: "spec.template.spec",
    "kubernetes:apps/v1:ReplicaSet": "spec.template.spec",
    JOB: "spec.template.spec",
    CRON_JOB: "spec.jobTemplate.spec.template.spec",
}
WORKLOADS = tuple(_POD_IN)
# What pods ask accelerators by: https://kubernetes.io/docs/tasks/manage-gpus/scheduling-gpus/, and the vendors' plugins.
ACCELERATOR_RESOURCES = (
    "nvidia.com/gpu",
    "amd.com/gpu",
    "google.com/tpu",
    "aws.amazon.com/neuron",
    "aws.amazon.com/neuroncore",
    "habana.ai/gaudi",
)
_NO_NAMESPACE = "default"


@dataclass(frozen=True)
class Container:
    """One container, and the pod it is in, which it takes settings from."""

    view: View
    pod: View

    def security(self, key: str) -> object:
        """The container's word, else its pod's."""
        own = self.view(f"securityContext.{key}")
        return self.pod(f"securityContext.{key}") if own is None else own

    @property
    def accelerators(self) -> Iterator[tuple[str, int | None, int | None]]:
        """(resource, asked, limit) of each accelerator resource it names."""
        asked, limits = self.view("resources.requests", View({})), self.view("resources.limits", View({}))
        for name in ACCELERATOR_RESOURCES:
            if name in asked or name in limits:
                yield name, _count(asked.get(name)), _count(limits.get(name))


def _count(value: object) -> int | None:
    return int(str(value)) if value is not None else None


@dataclass(frozen=True)
class Image:
    """An image's name as it stands, and where."""

    name: str
    path: str


def namespace(one: Resource) -> str:
    """Where it lands; a Release says it at its top."""
    return str(one.view("namespace", _NO_NAMESPACE) if one.type == RELEASE else one.view("metadata.namespace", _NO_NAMESPACE))


def pods(one: Resource) -> list[View]:
    """The pod that a workload makes."""
    found = one.view(_POD_IN[one.type])
    return [found] if isinstance(found, View) else []


def pod_path(type_: str) -> list[str]:
    """Where a workload's pod stands in its properties."""
    return _POD_IN[type_].split(".")


def containers(one: Resource) -> list[Container]:
    """Those that stay and those that come before."""
    return [Container(view, pod) for pod in pods(one) for kind in ("containers", "initContainers") for view in pod.maps(kind)]


def images(one: Resource) -> list[Image]:
    """Images of a workload, or of a release of our chart."""
    if one.type == RELEASE:
        name = one.view("values.image.name")
        return [Image(name, "values.image.name")] if isinstance(name, str) else []
    return [Image(str(c.view("image")), c.view.at("image")) for c in containers(one) if "image" in c.view]
