"""GKE's ComputeClass: the definition that every GKE cluster brings, and the order of pools that its objects give.

The fields that our programs write, typed, and unknown ones refused by the API server as GKE's own definition does.
https://cloud.google.com/kubernetes-engine/docs/reference/crds/computeclass
"""

from __future__ import annotations

import contextlib
from typing import Any

from sandbox.cluster.api import Api, ApiError

LABEL = "cloud.google.com/compute-class"
_OBJECTS = "/apis/cloud.google.com/v1/computeclasses"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_NAMES = {"kind": "ComputeClass", "plural": "computeclasses", "singular": "computeclass", "shortNames": ["cc", "ccs"]}


def install(api: Api) -> None:
    """Define the kind; one that is there stays as it is."""
    schema = _object(
        spec={
            **_object(
                priorities={
                    "type": "array",
                    "items": _object(
                        nodepools={"type": "array", "items": {"type": "string"}, "minItems": 1},
                        machineType={"type": "string"},
                        spot={"type": "boolean"},
                    ),
                },
                nodePoolAutoCreation=_object(enabled={"type": "boolean"}),
                activeMigration=_object(optimizeRulePriority={"type": "boolean"}),
                whenUnsatisfiable={"type": "string", "enum": ["DoNotScaleUp", "ScaleUpAnyway"]},
            ),
            "required": ["priorities"],
        },
    )
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    body = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "computeclasses.cloud.google.com"},
        "spec": {"group": "cloud.google.com", "scope": "Cluster", "names": _NAMES, "versions": [version]},
    }
    with contextlib.suppress(ApiError):  # a cluster that was resumed has it
        api.call("POST", _DEFINITIONS, body)


def _object(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def order(api: Api) -> dict[str, int]:
    """Place of each pool that some class names; empty before the definition is served."""
    try:
        found = api.items(_OBJECTS)
    except ApiError:
        return {}
    return {
        pool: place
        for one in found
        for place, rule in enumerate(one["spec"].get("priorities") or [])
        for pool in rule.get("nodepools") or []
    }
