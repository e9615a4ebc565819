"""AKS's node auto-provisioning: the definitions that it brings to a cluster, and a pool for each NodePool, empty at first.

Simulates what is decided, not the product: machines of the type, zones and purchase that a NodePool says, the heaviest first,
up to its limit of nodes. Of the definitions those fields that our programs write, typed; unknown ones the API server refuses.
Startup taints are not played, and nodes of a NodePool that is deleted go when they are empty; in life they are drained.
https://learn.microsoft.com/azure/aks/node-auto-provisioning-node-pools
"""

from __future__ import annotations

import contextlib
from typing import Any

from fleet.catalog import aks_auto
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machine
from fleet.catalog.nodes import Taint
from sandbox.cluster.api import Api, ApiError
from sandbox.cluster.compute_class import DEFINITIONS, structure
from sandbox.cluster.pool import NodePool

# What a cluster's pools are ordered by where this is on, in place of an expander.
WEIGHTS = "weights"
_OBJECTS = "/apis/karpenter.sh/v1/nodepools"
_STRING, _NUMBER = {"type": "string"}, {"type": "integer"}
_STRINGS = {"type": "array", "items": _STRING}
_WORDS = {"type": "object", "additionalProperties": _STRING}
_DISK_GIB = 128  # AKS's, where a class says none
_SUBNET = "(?i)^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft[.]Network/virtualNetworks/[^/]+/subnets/[^/]+$"


def install(api: Api) -> None:
    """Define both kinds; those that are there stay as they are."""
    for group, version, kind, spec in (
        ("karpenter.sh", "v1", "NodePool", _node_pool()),
        ("karpenter.azure.com", "v1beta1", "AKSNodeClass", _node_class()),
    ):
        plural = f"{kind.lower()}es" if kind.endswith("s") else f"{kind.lower()}s"
        schema = structure(spec={**spec, "required": ["template"]} if kind == "NodePool" else spec)
        body = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {
                "group": group,
                "scope": "Cluster",
                "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                "versions": [{"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
            },
        }
        with contextlib.suppress(ApiError):  # a cluster that was resumed has it
            api.call("POST", DEFINITIONS, body)


def _node_pool() -> dict[str, Any]:
    taints = {"type": "array", "items": structure(key=_STRING, value=_STRING, effect=_STRING)}
    budget = structure(nodes=_STRING, reasons=_STRINGS, schedule=_STRING, duration=_STRING)
    policies = {"type": "string", "enum": ["WhenEmpty", "WhenEmptyOrUnderutilized"]}
    requirement = structure(key=_STRING, operator=_STRING, values=_STRINGS)
    return structure(
        weight={**_NUMBER, "minimum": 1, "maximum": 100},
        limits=_WORDS,
        disruption=structure(
            consolidationPolicy=policies, consolidateAfter=_STRING, budgets={"type": "array", "items": budget}
        ),
        template=structure(
            metadata=structure(labels=_WORDS, annotations=_WORDS),
            spec=structure(
                nodeClassRef=structure(group=_STRING, kind=_STRING, name=_STRING),
                taints=taints,
                startupTaints=taints,
                requirements={"type": "array", "items": requirement},
                expireAfter=_STRING,
                terminationGracePeriod=_STRING,
            ),
        ),
    )


def _node_class() -> dict[str, Any]:
    policies = ["none", "restricted", "best-effort", "single-numa-node"]
    return structure(
        imageFamily={"type": "string", "enum": ["Ubuntu", "Ubuntu2204", "Ubuntu2404", "AzureLinux"]},
        osDiskSizeGB={**_NUMBER, "minimum": 30, "maximum": 2048},
        vnetSubnetID={**_STRING, "pattern": _SUBNET},
        tags=_WORDS,
        maxPods={**_NUMBER, "minimum": 10, "maximum": 250},
        kubelet=structure(
            cpuManagerPolicy={"type": "string", "enum": ["none", "static"]},
            topologyManagerPolicy={"type": "string", "enum": policies},
        ),
    )


def _all(api: Api) -> list[dict[str, Any]]:
    try:
        return api.items(_OBJECTS)
    except ApiError:  # not served yet
        return []


def weights(api: Api) -> dict[str, int]:
    """Of each NodePool by its name; one that says none has none."""
    return {str(one["metadata"]["name"]): int(one["spec"].get("weight") or 0) for one in _all(api)}


def consolidating(api: Api) -> set[str]:
    """NodePools whose nodes may be emptied for cheaper ones."""
    policies = {one["metadata"]["name"]: (one["spec"].get("disruption") or {}).get("consolidationPolicy") for one in _all(api)}
    return {str(name) for name, policy in policies.items() if policy == "WhenEmptyOrUnderutilized"}


def pools(api: Api) -> list[NodePool]:
    """A pool at zero for every NodePool of which there is something to make."""
    found = _all(api)
    if not found:
        return []
    classes = {one["metadata"]["name"]: one["spec"] for one in api.items("/apis/karpenter.azure.com/v1beta1/aksnodeclasses")}
    return [pool for one in found if (pool := _pool(one, classes)) is not None]


def _pool(one: dict[str, Any], classes: dict[str, dict[str, Any]]) -> NodePool | None:
    spec, template = one["spec"], one["spec"]["template"]
    wanted = {r["key"]: list(r.get("values") or []) for r in template["spec"].get("requirements") or []}
    (named, *_) = wanted.get("node.kubernetes.io/instance-type") or [""]
    (bought, *_) = wanted.get("karpenter.sh/capacity-type") or ["on-demand"]
    places = [place.rpartition("-") for place in wanted.get("topology.kubernetes.io/zone") or []]
    how = classes.get((template["spec"].get("nodeClassRef") or {}).get("name") or "")
    hardware = machine(Cloud.AZURE, named)
    # What Azure does not know, or has no driver for, it makes none of; nor anything of a class that is not there.
    if how is None or hardware is None or not places or (hardware.accelerator and not aks_auto.makes(named)):
        return None
    return NodePool(
        name=str(one["metadata"]["name"]),
        cloud=Cloud.AZURE,
        region=places[0][0],
        zones=tuple(zone for _, _, zone in places),
        machine_name=named,
        hardware=hardware,
        spot=bought == "spot",
        labels=dict((template.get("metadata") or {}).get("labels") or {}),
        taints=tuple(Taint(t["key"], t.get("value", ""), t["effect"]) for t in template["spec"].get("taints") or []),
        min_nodes=0,
        max_nodes=int((spec.get("limits") or {}).get("nodes") or 1000),
        size=0,
        topology=None,
        autoscaled=True,
        has_cpu_pool=True,
        plugin_builtin=False,
        driver_ok=True,
        disk_gib=int(how.get("osDiskSizeGB") or _DISK_GIB),
        provisioned=bought,
    )
