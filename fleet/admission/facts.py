"""What the admission rules know of a cluster: what its pools offer, how they are tainted, and whose pods they leave alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fleet import tenancy
from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud
from fleet.contract import COMPUTE_CLASS, AcceleratorPool
from fleet.spec import ClusterSpec

# Kubernetes' own namespaces, and those that the clouds make for their add-ons: nobody may ever be in their way. GKE's are
# `gke-managed-` and a word, too (`cel.OWN`). https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/,
# https://cloud.google.com/stackdriver/docs/managed-prometheus/setup-managed, https://learn.microsoft.com/azure/aks/faq,
# https://docs.aws.amazon.com/guardduty/latest/ug/runtime-monitoring.html, read 2026-11-30.
SYSTEM = (
    *("kube-system", "kube-public", "kube-node-lease"),
    *("gmp-system", "gke-gmp-system"),
    *("gatekeeper-system", "calico-system", "tigera-operator", "app-routing-system"),
    *("amazon-cloudwatch", "amazon-guardduty"),
)


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Of one cluster.

    Attributes:
        pools: every rung of every pool. spec: the cluster, for its teams.
    """

    pools: tuple[AcceleratorPool, ...]
    spec: ClusterSpec

    @classmethod
    def of(cls, pools: Iterable[AcceleratorPool], spec: ClusterSpec) -> Facts:
        return cls(pools=tuple(rung for pool in pools for rung in pool.rungs), spec=spec)

    @property
    def cloud(self) -> Cloud:
        return self.spec.cloud

    @property
    def offered(self) -> list[str]:
        """Resources that pods ask for. From Kubernetes 1.36 on claimed GPUs can be asked for by theirs, too."""
        return sorted({pool.resource for pool in self.pools})

    @property
    def counts(self) -> dict[str, list[int]]:
        """Pool -> how many of its resource one pod may take; pools whose accelerators are claimed have none to count."""
        return {pool.name: _counts(pool) for pool in self.pools if not pool.dra}

    @property
    def tainted(self) -> dict[str, str]:
        """Resource -> its taint's key, where every node that offers it keeps other pods off."""
        bare = {pool.resource for pool in self.pools if pool.family.resource not in {t.key for t in pool.all_taints}}
        return {pool.resource: pool.family.resource for pool in self.pools if pool.resource not in bare}

    @property
    def taint_keys(self) -> list[str]:
        """Taints by which accelerator nodes keep other pods off."""
        return sorted({t.key for pool in self.pools for t in pool.all_taints if t.key in _FAMILIES})

    @property
    def spot_keys(self) -> list[str]:
        """Taints by which a pod says that it goes to spot nodes."""
        keys = {t.key for pool in self.pools if pool.spot for t in pool.all_taints}
        return sorted(keys - _FAMILIES - {COMPUTE_CLASS})

    @property
    def unlike(self) -> list[str]:
        """Resources that stand for several accelerators, or for whole ones and for parts."""
        kinds = {(pool.resource, pool.accelerator.name, str(pool.sharing)) for pool in self.pools}
        names = [resource for resource, _, _ in kinds]
        return sorted({name for name in names if names.count(name) > 1})

    @property
    def tpus(self) -> bool:
        return any(pool.tpu for pool in self.pools)

    @property
    def shareholders(self) -> list[str]:
        """Namespaces that accelerators may be asked for in; none where there are no teams, and so no shares."""
        return [*map(tenancy.namespace, self.spec.teams), tenancy.NO_TEAM] if self.spec.teams else []


_FAMILIES = {family.resource for family in Family}


def _counts(pool: AcceleratorPool) -> list[int]:
    """As `AcceleratorPool.placement` refuses others."""
    if pool.sharing:
        return [1]
    return [pool.per_node] if pool.tpu else list(pool.counts)
