"""GKE's ComputeClass: how its autoscaler comes to nodes for one accelerator pool, rung by rung.

With node pools of ours it names them in their order, which the priority expander's table does elsewhere
(`infra.kubernetes.cluster_autoscaler`). With `provisioning: auto` it says what machines GKE makes pools of by itself. Either
way it moves a running pod only where the stack file says `climb` (docs/adr/0009).
https://cloud.google.com/kubernetes-engine/docs/reference/crds/computeclass
"""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet.catalog.accelerators import Family
from fleet.catalog.drivers import driver
from fleet.catalog.machines import gke_boot_disk, gke_name
from fleet.contract import COMPUTE_CLASS, AcceleratorPool
from infra.kubernetes.namespaces import LABELS


def order(pool: AcceleratorPool) -> dict[str, Any]:
    """The `spec` of the pool's class."""
    return {
        "priorities": [_rule(rung) if rung.auto else {"nodepools": [rung.physical_name]} for rung in pool.rungs],
        "nodePoolAutoCreation": {"enabled": pool.auto},
        # A pod that no rung has room for waits: another machine than its accelerator's is of no use to it.
        "whenUnsatisfiable": "DoNotScaleUp",
        **({"activeMigration": {"optimizeRulePriority": True}} if pool.climb else {}),
    }


def _rule(rung: AcceleratorPool) -> dict[str, Any]:
    """A rung as GKE makes a pool for it. Taints are not said: GKE puts the class's and the accelerators' on by itself."""
    return {
        "machineType": rung.machine.name,
        **_accelerators(rung),
        "storage": {"bootDiskSize": rung.disk_gib, "bootDiskType": gke_boot_disk(rung.machine.name)},
        # The class's own label is GKE's to put on.
        "nodeLabels": {key: value for key, value in rung.node_labels.items() if key != COMPUTE_CLASS},
        **_bought(rung),
    }


def _accelerators(rung: AcceleratorPool) -> dict[str, Any]:
    """Named even where the machine type implies them: without, GKE adds none to the node that it would make."""
    named = {"type": gke_name(rung.machine), "count": rung.per_node}
    if rung.tpu:
        return {"tpu": named | {"topology": rung.tpu.topology}}
    found = driver(rung.cloud, rung.accelerator)
    assert rung.family is Family.NVIDIA and found is not None, f"{rung.accelerator.name} is on no machine of GKE's"
    return {"gpu": named | {"driverVersion": found.setting.lower()}}


def _bought(rung: AcceleratorPool) -> dict[str, Any]:
    """A reservation brings its zones itself: GKE refuses a rule that has both."""
    zones = list(rung.zones)
    if rung.terms and rung.terms.reservation:
        *project, name = rung.terms.reservation.removeprefix("projects/").split("/reservations/")
        shared = {"project": project[0]} if project else {}
        return {"reservations": {"affinity": "Specific", "specific": [{"name": name, "zones": zones, **shared}]}}
    where = {"location": {"zones": zones}}
    if rung.terms and rung.terms.longest_s:
        wait = {"capacityCheckWaitTimeSeconds": rung.terms.wait_s} if rung.terms.wait_s else {}
        return {**where, "flexStart": {"enabled": True}, "maxRunDurationSeconds": rung.terms.longest_s, **wait}
    return {**where, "spot": rung.spot}


class ComputeClass(pulumi.ComponentResource):
    """How nodes for one pool are come by, under the name that they and their pods carry (`AcceleratorPool.compute_class`).

    Args:
        account: whom nodes run as that GKE makes pools for; None where the pools are ours.
    """

    def __init__(
        self,
        name: str,
        pool: AcceleratorPool,
        account: pulumi.Input[str] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("accelfleet:kubernetes:ComputeClass", name, {}, opts)
        kubernetes.apiextensions.CustomResource(
            name,
            api_version="cloud.google.com/v1",
            kind="ComputeClass",
            metadata={"name": pool.compute_class, "labels": LABELS},
            spec=order(pool) | ({"nodePoolConfig": {"serviceAccount": account}} if account is not None else {}),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})
