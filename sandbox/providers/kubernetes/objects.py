"""What is known of Kubernetes objects in general: names, what cannot change in place, a live object against its inputs.

The immutable fields are those of the official provider
(https://github.com/pulumi/pulumi-kubernetes/blob/master/provider/pkg/provider/diff.go).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from sandbox.providers.base import UNKNOWN, Secret

AUTONAMED = "pulumi.com/autonamed"
_SERVER_SET = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink")
_CLUSTER_SCOPED = frozenset({
    "APIService", "ClusterRole", "ClusterRoleBinding", "CSIDriver", "CustomResourceDefinition", "DeviceClass",
    "FlowSchema", "IngressClass", "MutatingWebhookConfiguration", "Namespace", "Node", "PersistentVolume",
    "PriorityClass", "PriorityLevelConfiguration", "ResourceSlice", "RuntimeClass", "StorageClass",
    "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "ValidatingWebhookConfiguration",
})  # fmt: skip

_DATA = (r"data\b", r"binaryData\b", r"stringData\b")
_POD_MUTABLE = r"(?!(initC|c)ontainers\[\d+\]\.image$|activeDeadlineSeconds$|tolerations\b)"
_IMMUTABLE: Mapping[str, tuple[str, ...]] = {
    "ConfigMap": _DATA,
    "Secret": (*_DATA, r"type$"),
    "DaemonSet": (r"spec\.selector\b",),
    "Deployment": (r"spec\.selector\b",),
    "ReplicaSet": (r"spec\.selector\b",),
    "StatefulSet": (r"spec\.(selector|serviceName|podManagementPolicy|volumeClaimTemplates)\b",),
    "Job": (r"spec\.(selector|template|completionMode|podFailurePolicy|managedBy)\b",),
    "Pod": (rf"spec\.{_POD_MUTABLE}",),
    "PersistentVolumeClaim": (r"spec\.(accessModes|selector|storageClassName|volumeName|volumeMode)\b",),
    "Service": (r"spec\.(clusterIP|type)$",),
    "RoleBinding": (r"roleRef\b",),
    "ClusterRoleBinding": (r"roleRef\b",),
    "StorageClass": (r"(parameters|provisioner|reclaimPolicy|volumeBindingMode)\b",),
    "PriorityClass": (r"(value|preemptionPolicy)$",),
    "RuntimeClass": (r"handler$",),
    "IngressClass": (r"spec\.controller$",),
    "ResourceQuota": (r"spec\.scopes\b",),
}


def identify(type_: str, inputs: Mapping[str, Any]) -> tuple[str, str]:
    """apiVersion and kind: as the object says, else as its type token does (`kubernetes:apps/v1:Deployment`).

    A patch (`kubernetes:core/v1:NodePatch`) is of the kind that it patches.
    """
    _, group, kind = type_.split(":")
    version = group.removeprefix("core/") if group.startswith("core/") else group
    return str(inputs.get("apiVersion") or version), str(inputs.get("kind") or kind.removesuffix("Patch"))


def is_patch(type_: str) -> bool:
    """Whether the resource is some fields of an object that somebody else owns."""
    return type_.endswith("Patch")


def probably_namespaced(kind: str) -> bool:
    """A guess for when no API server can be asked."""
    return kind not in _CLUSTER_SCOPED


def is_custom(api_version: str) -> bool:
    """Whether a CRD brings the kind: Kubernetes' own groups have no dot, or end in k8s.io."""
    group = api_version.rpartition("/")[0]
    return "." in group and not group.endswith(".k8s.io")


def immutable(kind: str, path: str) -> bool:
    """Whether the field at a property path cannot change in place."""
    return path in ("kind", "metadata.name", "metadata.namespace") or any(
        re.match(pattern, path) for pattern in _IMMUTABLE.get(kind, ())
    )


def mutable_by_config(kind: str, path: str) -> bool:
    """Data of a ConfigMap or Secret: replaced so that pods follow, unless the provider's configuration says otherwise."""
    return kind in ("ConfigMap", "Secret") and any(re.match(pattern, path) for pattern in _DATA)


def with_name(inputs: dict[str, Any], olds: Mapping[str, Any], logical: str, seed: bytes) -> dict[str, Any]:
    """Name what has no name as the official provider does: the old one, else the logical name and eight random digits."""
    metadata = inputs.get("metadata") or {}
    if metadata is UNKNOWN or metadata.get("name") is not None or metadata.get("generateName") is not None:
        return inputs
    annotations = metadata.get("annotations") or {}
    before = olds.get("metadata") or {}
    kept = before.get("name") if (before.get("annotations") or {}).get(AUTONAMED) == "true" else None
    name = kept or f"{logical.lower()}-{seed.hex()[:8]}"
    if annotations is not UNKNOWN:
        annotations = {**annotations, AUTONAMED: "true"}
    return {**inputs, "metadata": {**metadata, "name": name, "annotations": annotations}}


def annotation(inputs: Mapping[str, Any], name: str) -> str | None:
    """An annotation of the object, if it is there and known."""
    annotations = (inputs.get("metadata") or {}).get("annotations")
    value = annotations.get(name) if isinstance(annotations, Mapping) else None
    return value if isinstance(value, str) else None


def without_unknowns(value: Any) -> Any:
    """The value with what is not known left out."""
    if isinstance(value, Mapping):
        return {k: without_unknowns(v) for k, v in value.items() if v is not UNKNOWN}
    if isinstance(value, list):
        return [without_unknowns(item) for item in value if item is not UNKNOWN]
    return value


def outputs_of(live: Mapping[str, Any]) -> dict[str, Any]:
    """What goes into the state: all but the managers' bookkeeping, which is as large as the rest; secrets as secrets."""
    metadata = {k: v for k, v in live["metadata"].items() if k != "managedFields"}
    outputs = {**live, "metadata": metadata}
    if live["kind"] == "Secret":
        for field in ("data", "stringData"):
            if field in outputs:
                outputs[field] = Secret(outputs[field])
    return outputs


def live_inputs(live: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The live object, as far as the program has a say in it; all that is not the server's own when it has none yet."""
    if inputs:
        projected: dict[str, Any] = _project(live, {k: v for k, v in inputs.items() if k != "stringData"})
        if "stringData" in inputs:
            data = live.get("data") or {}
            texts = {k: base64.b64decode(data[k]).decode() for k in inputs["stringData"] if k in data}
            projected["stringData"] = texts
        return projected
    metadata = {k: v for k, v in live["metadata"].items() if k not in _SERVER_SET}
    return {**{k: v for k, v in live.items() if k != "status"}, "metadata": metadata}


def _project(live: Any, asked: Any) -> Any:
    if isinstance(asked, Mapping) and isinstance(live, Mapping):
        shaped = {key: _project(live.get(key), value) for key, value in asked.items()}
        return {key: value for key, value in shaped.items() if value is not None or asked[key] is None}
    if isinstance(asked, list) and isinstance(live, list) and len(asked) == len(live):
        return [_project(there, wanted) for there, wanted in zip(live, asked, strict=True)]
    # The server drops empty values, and writes quantities its own way ("1000m" as "1").
    if live is None and not asked:
        return asked
    return asked if live == asked or _quantity(live) == _quantity(asked) is not None else live


_SUFFIX = {"n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1)} | {
    letter: Decimal(10) ** power for letter, power in (("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18))
} | {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", start=1)}  # fmt: skip


def _quantity(value: Any) -> Decimal | None:
    """https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/"""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    found = re.fullmatch(r"([+-]?[\d.]+(?:[eE][+-]?\d+)?)([numkMGTPE]?|[KMGTPE]i)", str(value))
    try:
        return Decimal(found[1]) * _SUFFIX[found[2]] if found else None
    except InvalidOperation:
        return None
