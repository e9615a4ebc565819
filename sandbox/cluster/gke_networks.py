"""GKE's multi-networking: the two definitions that such a cluster brings, and which Network objects a node is attached to.

The fields that our programs write, typed. A node offers one of each Network whose parameters name a VPC and subnet that
the node has an interface in; GKE's own part, with nothing of ours running.
https://cloud.google.com/kubernetes-engine/docs/how-to/setup-multinetwork-support-for-pods
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

from sandbox.cluster.api import Api, ApiError
from sandbox.cluster.pool import NodePool

_GROUP = "networking.gke.io"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_TEXT = {"type": "string"}
_SPECS: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "Network": (
        "networks",
        {
            "type": {"type": "string", "enum": ["Device", "L3"]},
            "parametersRef": {"type": "object", "properties": {"group": _TEXT, "kind": _TEXT, "name": _TEXT}},
        },
        ["type"],
    ),
    "GKENetworkParamSet": (
        "gkenetworkparamsets",
        {"vpc": _TEXT, "vpcSubnet": _TEXT, "deviceMode": {"type": "string", "enum": ["NetDevice", "RDMA", "DPDK-VFIO"]}},
        ["vpc", "vpcSubnet"],
    ),
}


def install(api: Api) -> None:
    """Define both kinds; one that is there stays as it is."""
    for kind, (plural, fields, required) in _SPECS.items():
        spec = {"type": "object", "properties": fields, "required": required}
        schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
        names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
        body = {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": f"{plural}.{_GROUP}",
                # The API server keeps Google's group for itself, and lets in what was reviewed.
                "annotations": {"api-approved.kubernetes.io": "https://cloud.google.com/kubernetes-engine"},
            },
            "spec": {
                "group": _GROUP,
                "scope": "Cluster",
                "names": names,
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": schema}],
            },
        }
        with contextlib.suppress(ApiError):  # a cluster that was resumed has it
            api.call("POST", _DEFINITIONS, body)


def attach(api: Api, pool: NodePool) -> NodePool:
    """The pool with the names of the Network objects that its nodes' interfaces are in; as it is without interfaces."""
    if not pool.networks:
        return pool
    try:
        params, objects = (api.items(f"/apis/{_GROUP}/v1/{_SPECS[kind][0]}") for kind in ("GKENetworkParamSet", "Network"))
    except ApiError:
        return pool
    there = {p["metadata"]["name"] for p in params if (p["spec"].get("vpc"), p["spec"].get("vpcSubnet")) in pool.networks}
    named = [o["metadata"]["name"] for o in objects if (o["spec"].get("parametersRef") or {}).get("name") in there]
    return replace(pool, attached=tuple(sorted(named)))
