"""Kueue, for clusters with `queueing: kueue`: what a team's share has no room for waits, and idle shares are lent.

Owns its installation and its queues; Kueue admits a pod, the scheduler places it. It counts accelerators alone: CPU and
memory come with the nodes. https://kueue.sigs.k8s.io/docs/concepts/cluster_queue/
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from fleet import tenancy
from fleet.catalog.accelerators import ACCELERATORS
from fleet.catalog.fabric import EFA_RESOURCE, GKE_NETWORK_RESOURCES, INFINIBAND_RESOURCE
from fleet.contract import ACCELERATOR_LABEL, AcceleratorPool
from fleet.spec import ClusterSpec
from infra import versions
from infra.kubernetes import traffic
from infra.kubernetes.namespaces import LABELS, namespace

_NAMESPACE = "kueue-system"
_API = "kueue.x-k8s.io/v1beta2"
_COHORT = "teams"
# Kueue's own name for the queue of whatever names none, so that nothing in a team's namespace goes by the queue.
# https://kueue.sigs.k8s.io/docs/tasks/manage/enforce_job_management/setup_default_local_queue/
_QUEUE = "default"
QUEUE_LABELS = {"kueue.x-k8s.io/queue-name": _QUEUE}
_INSTALL_S = 600
_WEBHOOK_PORT = 9443

# https://kueue.sigs.k8s.io/docs/reference/kueue-config.v1beta2/; the chart takes it whole, or not at all.
_CONFIG: dict[str, Any] = {
    "apiVersion": "config.kueue.x-k8s.io/v1beta2",
    "kind": "Configuration",
    "health": {"healthProbeBindAddress": ":8081"},
    "metrics": {"bindAddress": ":8443"},
    "webhook": {"port": _WEBHOOK_PORT},
    "leaderElection": {"leaderElect": True, "resourceName": "c1f6bfd2.kueue.x-k8s.io"},
    # Teams' namespaces and no other: what runs elsewhere never waits for Kueue, or for its webhook.
    "manageJobsWithoutQueueName": True,
    "managedJobsNamespaceSelector": {"matchExpressions": [{"key": tenancy.TEAM_LABEL, "operator": "Exists"}]},
    "integrations": {"frameworks": ["batch/job", "pod", "deployment", "statefulset"]},
    # A pod that asks for something no queue covers would wait forever.
    "resources": {
        "excludeResourcePrefixes": [
            *("cpu", "memory", "ephemeral-storage"),
            *(EFA_RESOURCE, GKE_NETWORK_RESOURCES, INFINIBAND_RESOURCE),
        ]
    },
}


class Queues(pulumi.ComponentResource):
    """Kueue itself, a flavor for each accelerator, and for each team a ClusterQueue with its LocalQueue."""

    def __init__(
        self, name: str, cluster: ClusterSpec, pools: Sequence[AcceleratorPool], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:kubernetes:Queues", name, {}, opts)
        kueue = self._kueue(name)
        flavors = [
            self._object(f"{name}-{accelerator}", "ResourceFlavor", accelerator, flavor(of_it), [kueue])
            for accelerator, of_it in _by_accelerator(pools).items()
        ]
        for team in cluster.teams:
            spec = cluster_queue(team, cluster, pools)
            queue = self._object(f"{name}-{team}", "ClusterQueue", team, spec, flavors)
            local = {"clusterQueue": team}
            self._object(f"{name}-{team}", "LocalQueue", _QUEUE, local, [queue], namespace=tenancy.namespace(team))
        self.register_outputs({})

    def _kueue(self, name: str) -> kubernetes.helm.v3.Release:
        place = namespace(f"{name}-kueue", _NAMESPACE, "restricted", self)
        after = pulumi.ResourceOptions(parent=self, depends_on=[place])
        closed = traffic.close(f"{name}-kueue", _NAMESPACE, after, ingress=[traffic.webhook(_WEBHOOK_PORT)])
        return kubernetes.helm.v3.Release(
            f"{name}-kueue",
            name="kueue",
            namespace=_NAMESPACE,
            chart=versions.KUEUE_CHART,
            version=versions.KUEUE_CHART_VERSION,
            values={"managerConfig": {"controllerManagerConfigYaml": json.dumps(_CONFIG, indent=2)}},
            atomic=True,
            # Queues need its webhook, which answers once the controller is ready (pain 10).
            skip_await=False,
            timeout=_INSTALL_S,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[place, *closed]),
        )

    def _object(
        self, name: str, kind: str, physical: str, spec: dict[str, Any], after: Sequence[pulumi.Resource], **where: str
    ) -> kubernetes.apiextensions.CustomResource:
        return kubernetes.apiextensions.CustomResource(
            name,
            api_version=_API,
            kind=kind,
            metadata={"name": physical, "labels": LABELS, **where},
            spec=spec,
            opts=pulumi.ResourceOptions(parent=self, depends_on=list(after)),
        )


def flavor(pools: Sequence[AcceleratorPool]) -> dict[str, Any]:
    """A ResourceFlavor's spec: the nodes of every pool with one accelerator, whatever each was bought as."""
    placed = [pool.placement(1 if pool.sharing else pool.per_node) for pool in pools]
    tolerations = {json.dumps(t, sort_keys=True): t for placement in placed for t in placement.tolerations}
    return {
        "nodeLabels": {ACCELERATOR_LABEL: pools[0].node_labels[ACCELERATOR_LABEL]},
        "tolerations": [tolerations[key] for key in sorted(tolerations)],
    }


def cluster_queue(team: str, cluster: ClusterSpec, pools: Sequence[AcceleratorPool]) -> dict[str, Any]:
    """A ClusterQueue's spec: the team's share of each accelerator, in the cohort of all teams.

    A resource is in one group and a flavor too, so a family is a group with its accelerators as flavors. What another team
    borrowed is taken back whatever its priority; inside the team the higher goes first.
    """
    spec = cluster.teams[team]
    groups: dict[str, list[dict[str, Any]]] = {}
    for accelerator in _by_accelerator(pools):
        resource = ACCELERATORS[accelerator].family.resource
        quota: dict[str, Any] = {"name": resource, "nominalQuota": spec.accelerators.get(accelerator, 0)}
        # Without a limit it borrows whatever is idle.
        quota |= {} if spec.borrow else {"borrowingLimit": 0}
        groups.setdefault(resource, []).append({"name": accelerator, "resources": [quota]})
    return {
        "cohortName": _COHORT,
        "namespaceSelector": {"matchLabels": {tenancy.TEAM_LABEL: team}},
        "queueingStrategy": "BestEffortFIFO",
        "resourceGroups": [{"coveredResources": [resource], "flavors": flavors} for resource, flavors in groups.items()],
        "preemption": {"reclaimWithinCohort": "Any", "withinClusterQueue": "LowerPriority"},
    }


def _by_accelerator(pools: Sequence[AcceleratorPool]) -> dict[str, list[AcceleratorPool]]:
    found: dict[str, list[AcceleratorPool]] = {}
    for pool in pools:
        found.setdefault(pool.accelerator.name, []).append(pool)
    return dict(sorted(found.items()))
