"""What GKE may make by itself in a cluster with `provisioning: auto`: how much in all, and as what its nodes run.

Owns the cluster's limits, which are the only bound that GKE has here: a ComputeClass counts no nodes, so that a pool's
`nodes.max` becomes accelerators of its kind in the whole cluster. CPUs and memory are counted over all nodes, the system
pool's too. https://cloud.google.com/kubernetes-engine/docs/how-to/node-auto-provisioning
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pulumi
import pulumi_gcp as gcp

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import gke_name, machine
from fleet.contract import AcceleratorPool


def auto_creation(
    pools: Sequence[AcceleratorPool],
    *,
    system: tuple[str, int],
    zones: Sequence[str],
    account: pulumi.Input[str],
    scopes: Sequence[str],
) -> gcp.container.ClusterClusterAutoscalingArgs:
    """The cluster's `clusterAutoscaling`.

    Args:
        system: the system pool's machine, and how many of it there may be. zones: where nodes may be.
        account: whom they run as, and scopes: the widest that its roles may be.
    """
    limit = gcp.container.ClusterClusterAutoscalingResourceLimitArgs
    most = limits(pools, *system)
    return gcp.container.ClusterClusterAutoscalingArgs(
        enabled=True,
        resource_limits=[limit(resource_type=kind, minimum=0, maximum=amount) for kind, amount in most.items()],
        auto_provisioning_locations=list(zones),
        auto_provisioning_defaults=gcp.container.ClusterClusterAutoscalingAutoProvisioningDefaultsArgs(
            service_account=account,
            oauth_scopes=list(scopes),
            management=gcp.container.ClusterClusterAutoscalingAutoProvisioningDefaultsManagementArgs(
                auto_repair=True, auto_upgrade=True
            ),
            # Accelerators are scarce: an upgrade takes one node away before it asks for its successor (pain 20).
            upgrade_settings=gcp.container.ClusterClusterAutoscalingAutoProvisioningDefaultsUpgradeSettingsArgs(
                strategy="SURGE", max_surge=0, max_unavailable=1
            ),
            shielded_instance_config=gcp.container.ClusterClusterAutoscalingAutoProvisioningDefaultsShieldedInstanceConfigArgs(
                enable_integrity_monitoring=True, enable_secure_boot=True
            ),
        ),
    )


def limits(pools: Sequence[AcceleratorPool], system_machine: str, system_nodes: int) -> dict[str, int]:
    """CPUs, GiB of memory and accelerators by GKE's name: what all pools at their largest have together."""
    system = machine(Cloud.GCP, system_machine)
    assert system is not None, "fleet.checks refuses machines that the catalogue lacks"
    found = Counter({"cpu": system.vcpus * system_nodes, "memory": system.memory_gib * system_nodes})
    for pool in pools:
        hardware = pool.machine
        found["cpu"] += hardware.vcpus * pool.most_nodes
        found["memory"] += hardware.memory_gib * pool.most_nodes
        found[gke_name(hardware) or ""] += hardware.accelerators * pool.most_nodes
    return dict(found)
