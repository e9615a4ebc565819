"""Node pools that GKE makes by itself: one for each rule of a ComputeClass that lets it, empty until a pod asks for the class.

Simulates what is decided, not when: in life a pool is made with its first node and goes after its last. Of the cluster's
limits those on accelerators hold here, over all its pools; those on CPUs and memory are not looked at.
https://cloud.google.com/kubernetes-engine/docs/concepts/node-auto-provisioning
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, gke_name, machines
from fleet.catalog.nodes import Taint
from sandbox.cluster import compute_class
from sandbox.cluster.api import Api
from sandbox.cluster.pool import NodePool

_DISK_GIB = 100  # GKE's, where a rule says none


def pools(api: Api) -> list[NodePool]:
    """A pool at zero for every rule that GKE may make one for; a machine that nobody has is no rule to it."""
    return [
        pool
        for one in compute_class.classes(api)
        if (one["spec"].get("nodePoolAutoCreation") or {}).get("enabled")
        for place, rule in enumerate(one["spec"].get("priorities") or [])
        if (pool := _pool(str(one["metadata"]["name"]), place, rule)) is not None
    ]


def within(pool: NodePool, others: Iterable[NodePool], limits: Mapping[str, int]) -> NodePool:
    """The pool with room for what the cluster's limit leaves of its accelerators; without a limit there is none."""
    kind, per_node = _kind(pool), pool.hardware.accelerators if pool.hardware else 1
    used = sum(o.size * o.hardware.accelerators for o in others if o.hardware and _kind(o) == kind)
    return replace(pool, max_nodes=pool.size + max(0, limits.get(kind, 0) - used) // per_node)


def _kind(pool: NodePool) -> str:
    return (gke_name(pool.hardware) if pool.hardware else None) or ""


def _pool(name: str, place: int, rule: dict[str, Any]) -> NodePool | None:
    wanted = rule.get("gpu") or rule.get("tpu") or {}
    hardware = _hardware(str(rule.get("machineType", "")), wanted)
    reserved = (rule.get("reservations") or {}).get("specific") or [{}]
    zones = (rule.get("location") or {}).get("zones") or reserved[0].get("zones") or []
    if hardware is None or not zones:
        return None
    return NodePool(
        name=compute_class.made_for(name, place),
        cloud=Cloud.GCP,
        region=str(zones[0]).rpartition("-")[0],
        zones=tuple(zones),
        machine_name=hardware.name,
        hardware=hardware,
        spot=bool(rule.get("spot")),
        labels={**(rule.get("nodeLabels") or {}), compute_class.LABEL: name},
        taints=(Taint(compute_class.LABEL, name),),
        min_nodes=0,
        max_nodes=0,
        size=0,
        topology=wanted.get("topology"),
        autoscaled=True,
        # The system pool's: GKE's own taint is certain.
        has_cpu_pool=True,
        plugin_builtin=True,
        driver_ok=True,
        disk_gib=int((rule.get("storage") or {}).get("bootDiskSize") or _DISK_GIB),
    )


def _hardware(name: str, wanted: dict[str, Any]) -> Machine | None:
    """The machine with the accelerators that the rule names: without these GKE puts none on it."""
    asked = (wanted.get("type"), wanted.get("count"))
    rows = (row for row in machines() if row.cloud is Cloud.GCP and row.name == name)
    return next((row for row in rows if (gke_name(row), row.accelerators) == asked), None)
