"""What the pack sets by itself where a stack file asks for it (`policies.remediate`): fields that nobody set, and no other.

A remedy never changes what somebody wrote: `blockPublicPolicy: false` is a wish, and refused as before. It works on the
properties as the engine sends them, so that secrets and what is not known yet stay what they are. Only remedies are here
after which a resource does the same as before: nothing that makes one anew, costs, or opens a door.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from policies.accel_policies.rule import Resource
from policies.accel_policies.values import NotKnown
from policies.accel_policies.wire import is_marked, plain
from policies.accel_policies.workloads import containers, pod_path

Raw = dict[str, Any]
# Changes raw properties in place. Whether it did shows in them.
Remedy = Callable[[Resource, Raw], None]


def remedied(rule: str, resource: Resource, raw: Mapping[str, Any]) -> Raw | None:
    """The properties with what the rule's remedy sets; None where there is nothing to set."""
    changed = deepcopy(dict(raw))
    try:
        REMEDIES[rule](resource, changed)
    except NotKnown:
        return None
    return None if changed == raw else changed


def _sets(*fields: tuple[str, Any]) -> Remedy:
    """Fields by their paths; `*` is every element of a list."""

    def remedy(_: Resource, raw: Raw) -> None:
        for path, value in fields:
            _put(raw, path.split("."), value)

    return remedy


def _put(at: Any, path: list[str], value: Any) -> None:
    """Set what is not there. What is marked as secret or unknown, or has another shape, is left alone."""
    key, *rest = path
    if key == "*":
        for one in at if isinstance(at, list) else ():
            _put(one, rest, value)
    elif isinstance(at, dict) and not is_marked(at):
        if rest:
            # What is made on the way to a list's elements would be left empty.
            _put(at.get(key) if "*" in rest else at.setdefault(key, {}), rest, value)
        elif at.get(key) is None:
            at[key] = value


def _labels(resource: Resource, raw: Raw) -> None:
    """Of Kubernetes' recommended labels those that can be told; their keys have dots."""
    metadata = raw.setdefault("metadata", {})
    labels = metadata.setdefault("labels", {}) if isinstance(metadata, dict) and not is_marked(metadata) else None
    if not isinstance(labels, dict) or is_marked(labels):
        return
    named = resource.view("metadata.name")
    labels.setdefault("app.kubernetes.io/managed-by", "pulumi")
    if isinstance(named, str):
        labels.setdefault("app.kubernetes.io/name", named)


def _tolerations(resource: Resource, raw: Raw) -> None:
    """By key, of each accelerator resource that the pod asks for."""
    wanted = {name for container in containers(resource) for name, _, _ in container.accelerators}
    pod: Any = raw
    for key in pod_path(resource.type):
        pod = pod.get(key) if isinstance(pod, dict) else None
    if not wanted or not isinstance(pod, dict) or is_marked(pod):
        return
    there = pod.get("tolerations") or []
    if not isinstance(there, list) or any(not isinstance(one, dict) or is_marked(one) for one in there):
        return
    keys = {one.get("key") for one in plain(there)}
    added = [{"key": name, "operator": "Exists", "effect": "NoSchedule"} for name in sorted(wanted - keys)]
    if added and None not in keys:
        pod["tolerations"] = [*there, *added]


REMEDIES: dict[str, Remedy] = {
    "aws-node-imdsv2": _sets(("metadataOptions.httpTokens", "required")),
    "aws-kms-rotation": _sets(("enableKeyRotation", True)),
    "aws-bucket-block-flags": _sets(
        *((flag, True) for flag in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"))
    ),
    "aws-registry-scan": _sets(("imageScanningConfiguration.scanOnPush", True)),
    "gcp-bucket-public": _sets(("publicAccessPrevention", "enforced")),
    "gcp-bucket-uniform": _sets(("uniformBucketLevelAccess", True)),
    "azure-storage-public": _sets(("allowBlobPublicAccess", False)),
    "azure-storage-tls": _sets(("enableHttpsTrafficOnly", True), ("minimumTlsVersion", "TLS1_2")),
    "accel-pool-repair": _sets(("management.autoRepair", True)),
    "accel-gpu-driver": _sets(("nodeConfig.guestAccelerators.*.gpuDriverInstallationConfig.gpuDriverVersion", "DEFAULT")),
    "accel-pod-tolerates": _tolerations,
    "k8s-labels": _labels,
}
