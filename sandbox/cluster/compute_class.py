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
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_STRING, _NUMBER = {"type": "string"}, {"type": "integer"}
_STRINGS = {"type": "array", "items": _STRING}
_NAMES = {"kind": "ComputeClass", "plural": "computeclasses", "singular": "computeclass", "shortNames": ["cc", "ccs"]}


def install(api: Api) -> None:
    """Define the kind; one that is there stays as it is."""
    schema = structure(
        spec={
            **structure(
                priorities={
                    "type": "array",
                    "items": structure(
                        nodepools={**_STRINGS, "minItems": 1},
                        machineType={"type": "string"},
                        gpu=structure(type=_STRING, count=_NUMBER, driverVersion=_STRING),
                        tpu=structure(type=_STRING, count=_NUMBER, topology=_STRING),
                        spot={"type": "boolean"},
                        flexStart=structure(enabled={"type": "boolean"}),
                        maxRunDurationSeconds=_NUMBER,
                        capacityCheckWaitTimeSeconds=_NUMBER,
                        location=structure(zones=_STRINGS),
                        reservations=structure(
                            affinity={"type": "string", "enum": ["Specific", "AnyBestEffort", "None"]},
                            specific={"type": "array", "items": structure(name=_STRING, project=_STRING, zones=_STRINGS)},
                        ),
                        storage=structure(bootDiskSize=_NUMBER, bootDiskType=_STRING),
                        nodeLabels={"type": "object", "additionalProperties": _STRING},
                    ),
                },
                nodePoolConfig=structure(serviceAccount=_STRING),
                nodePoolAutoCreation=structure(enabled={"type": "boolean"}),
                activeMigration=structure(optimizeRulePriority={"type": "boolean"}),
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
        api.call("POST", DEFINITIONS, body)


def structure(**properties: dict[str, Any]) -> dict[str, Any]:
    """The schema of an object with these properties."""
    return {"type": "object", "properties": properties}


def classes(api: Api) -> list[dict[str, Any]]:
    """All that there are; none before the definition is served."""
    try:
        return api.items(_OBJECTS)
    except ApiError:
        return []


def made_for(name: str, place: int) -> str:
    """What a pool is called that GKE makes for a rule of a class."""
    return f"nap-{name}-{place}"


def order(api: Api) -> dict[str, int]:
    """Place of each pool that some class names, or lets GKE make."""
    return {
        pool: place
        for one in classes(api)
        for place, rule in enumerate(one["spec"].get("priorities") or [])
        for pool in rule.get("nodepools") or [made_for(one["metadata"]["name"], place)]
    }


def migrating(api: Api) -> set[str]:
    """Pools whose class lets GKE move what runs there to an earlier rule's."""
    return {
        pool
        for one in classes(api)
        if (one["spec"].get("activeMigration") or {}).get("optimizeRulePriority")
        for place, rule in enumerate(one["spec"].get("priorities") or [])
        for pool in rule.get("nodepools") or [made_for(one["metadata"]["name"], place)]
    }
