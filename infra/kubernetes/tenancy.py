"""Teams of a cluster: a namespace each, how many accelerators its pods may ask for, and whose pods go first.

Owns what Kubernetes itself enforces, and the classes of priority. Queues are `queueing`'s, and whether shares and pools
agree was checked before (`fleet.checks.tenancy`). https://kubernetes.io/docs/concepts/policy/resource-quotas/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as kubernetes

from fleet import tenancy
from fleet.catalog import dra
from fleet.catalog.accelerators import ACCELERATORS
from fleet.contract import AcceleratorPool
from fleet.spec import ClusterSpec, Priority, Queueing
from infra.kubernetes.namespaces import LABELS, MODELS, serving_namespace
from infra.kubernetes.queueing import QUEUE_LABELS, Queues

# A pod that names no class has 0: nobody climbs by leaving it out, and models without a team rank with the low.
# Above -10, below which cluster-autoscaler adds no node for a pod (--expendable-pods-priority-cutoff).
_VALUE = {Priority.LOW: 0, Priority.NORMAL: 1000, Priority.HIGH: 2000}
# What a container is taken to need that says nothing. No default limit: it would refuse whoever requests more than it.
_REQUESTS = {"cpu": "250m", "memory": "512Mi"}


def priority_class(priority: Priority) -> str:
    return f"accelfleet-{priority}"


@dataclass(frozen=True, kw_only=True)
class Tenant:
    """Where a team's pods run, and what each of them carries.

    Attributes:
        priority_class: empty for Kubernetes' own default.
        queue_labels: by which a queue takes it; empty where nothing waits.
    """

    namespace: str
    priority_class: str = ""
    queue_labels: dict[str, str] = field(default_factory=dict)


NO_TEAM = Tenant(namespace=MODELS)


class Tenancy(pulumi.ComponentResource):
    """Every team of a cluster, and with `queueing: kueue` their queues.

    Attributes:
        tenants: by the team's name; what runs for one must wait for this component.
    """

    tenants: dict[str, Tenant]

    def __init__(
        self, name: str, cluster: ClusterSpec, pools: Sequence[AcceleratorPool], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("accelfleet:kubernetes:Tenancy", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)
        for priority, value in _VALUE.items():
            kubernetes.scheduling.v1.PriorityClass(
                f"{name}-{priority}",
                metadata=kubernetes.meta.v1.ObjectMetaArgs(name=priority_class(priority), labels=LABELS),
                value=value,
                preemption_policy="PreemptLowerPriority",
                description=f"Pods of teams with priority: {priority}",
                opts=child,
            )
        teams = {team: Team(f"{name}-{team}", team, cluster, pools, child) for team in cluster.teams}
        queued = cluster.queueing is Queueing.KUEUE
        if queued:
            after = pulumi.ResourceOptions(parent=self, depends_on=list(teams.values()))
            Queues(name, cluster, pools, after)
        self.tenants = {
            team: Tenant(
                namespace=tenancy.namespace(team),
                priority_class=priority_class(spec.priority),
                queue_labels=QUEUE_LABELS if queued else {},
            )
            for team, spec in cluster.teams.items()
        }
        self.register_outputs({})


class Team(pulumi.ComponentResource):
    """One team's namespace and its bounds."""

    def __init__(
        self,
        name: str,
        team: str,
        cluster: ClusterSpec,
        pools: Sequence[AcceleratorPool],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("accelfleet:kubernetes:Team", name, {}, opts)
        where = tenancy.namespace(team)
        made = serving_namespace(name, where, self, {tenancy.TEAM_LABEL: team})
        inside = pulumi.ResourceOptions(parent=self, depends_on=[made])
        kubernetes.core.v1.ResourceQuota(
            f"{name}-accelerators",
            metadata=_meta("accelerators", where),
            spec=kubernetes.core.v1.ResourceQuotaSpecArgs(hard=accelerator_quota(team, cluster, pools)),
            opts=inside,
        )
        kubernetes.core.v1.ResourceQuota(
            f"{name}-priority",
            metadata=_meta("priority", where),
            spec=kubernetes.core.v1.ResourceQuotaSpecArgs(hard={"pods": "0"}, scope_selector=_other_classes(team, cluster)),
            opts=inside,
        )
        kubernetes.core.v1.LimitRange(
            f"{name}-defaults",
            metadata=_meta("defaults", where),
            spec=kubernetes.core.v1.LimitRangeSpecArgs(
                limits=[kubernetes.core.v1.LimitRangeItemArgs(type="Container", default_request=_REQUESTS)]
            ),
            opts=inside,
        )
        self.register_outputs({})


def accelerator_quota(team: str, cluster: ClusterSpec, pools: Sequence[AcceleratorPool]) -> dict[str, str]:
    """Quota's name -> how many a team's pods may ask for together, for every resource and DeviceClass of the pools.

    One resource stands for all accelerators of a family, so the shares of a family are one number here. With a queue only
    what the team may never have is refused: a pod that waits in it is a pod already, and its share is counted there.
    """
    held = {name: 0 for pool in pools for name in _counted(pool)}
    for accelerator, count in tenancy.most(cluster, team).items():
        family = ACCELERATORS[accelerator].family
        for name in {name for pool in pools if pool.family is family for name in _counted(pool)}:
            held[name] += count
    queued = cluster.queueing is Queueing.KUEUE
    return {name: str(count) for name, count in sorted(held.items()) if count == 0 or not queued}


def _counted(pool: AcceleratorPool) -> list[str]:
    """What a quota calls the pool's accelerators: from Kubernetes 1.36 on a claim counts under the resource's name as well."""
    claimed = [dra.quota(pool.device_class)] if pool.device_class else []
    return [*claimed, f"requests.{pool.resource}"]


def _other_classes(team: str, cluster: ClusterSpec) -> kubernetes.core.v1.ScopeSelectorArgs:
    """Every class of priority but the team's own and those below."""
    highest = _VALUE[cluster.teams[team].priority]
    own = [priority_class(priority) for priority, value in _VALUE.items() if value <= highest]
    requirement = kubernetes.core.v1.ScopedResourceSelectorRequirementArgs
    return kubernetes.core.v1.ScopeSelectorArgs(
        match_expressions=[
            requirement(scope_name="PriorityClass", operator="Exists"),
            requirement(scope_name="PriorityClass", operator="NotIn", values=own),
        ]
    )


def _meta(name: str, namespace: str) -> kubernetes.meta.v1.ObjectMetaArgs:
    return kubernetes.meta.v1.ObjectMetaArgs(name=name, namespace=namespace, labels=LABELS)
