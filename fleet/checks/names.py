"""Names that are well formed and yet impossible: taken already, taken twice, or with a word a cloud keeps for itself."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.clouds import Cloud
from fleet.checks.finding import Finding, Path
from fleet.plan import fallback_name
from fleet.spec import ClusterSpec, PoolSpec, StackSpec

# https://cloud.google.com/storage/docs/buckets#naming; a bucket is named after stack, cluster and store.
_NOT_IN_BUCKETS = ("google", "g00gle")
# https://learn.microsoft.com/azure/azure-resource-manager/troubleshooting/error-reserved-resource-name: of what has an
# endpoint, as an AKS cluster has; it is named after stack and cluster.
_NOT_IN_CLUSTERS = ("microsoft", "windows")
_NOT_FIRST = "login"


def in_cluster(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """AKS drops hyphens from a pool's name, so two names may become one; `system` is the cluster's own pool everywhere."""
    seen: dict[str, str] = {"system": "the system pool"}
    for name in cluster.pools:
        short = name.replace("-", "")
        if short in seen:
            where = (*path, "pools", name)
            message = f"'{name}' is the same as {seen[short]} once hyphens are gone"
            yield Finding(where, message, allowed="names that differ in letters and digits", remedy="rename it", at_key=True)
        seen.setdefault(short, f"'{name}'")
    for name, pool in cluster.pools.items():
        second = fallback_name(name)
        if pool.fallback and second not in cluster.pools and second.replace("-", "") in seen:
            where = (*path, "pools", name, "fallback")
            message = f"makes a pool '{second}' in the cloud, the same as {seen[second.replace('-', '')]} once hyphens are gone"
            yield Finding(where, message, allowed="a free name", remedy="rename one of the two", at_key=True)
    if "default" in cluster.models:
        # A model's pods run as a service account of its name, and Helm takes over nothing that it did not make.
        message = "Kubernetes itself makes a service account 'default'"
        where = (*path, "models", "default")
        yield Finding(where, message, allowed="any other name", remedy="name it for what it serves", at_key=True)


def in_stack(stack: str, spec: StackSpec) -> Iterator[Finding]:
    """Of names that are made of several.

    Args:
        stack: the stack's own name, which is its file's.
    """
    yield from _joined(spec)
    yield from _words(stack, spec)


def _joined(spec: StackSpec) -> Iterator[Finding]:
    """A resource of the state is named `<cluster>-<entry>`, once for each type; a type is of one cloud, but a model's
    and a team's.
    """
    seen: dict[tuple[str, str, str], Path] = {}
    for name, cluster in spec.clusters.items():
        # A pool that falls back is two in the cloud.
        pools = {made: key for key, pool in cluster.pools.items() for made in _pools_of(key, pool)}
        stores, models, teams = ({key: key for key in entries} for entries in (cluster.stores, cluster.models, cluster.teams))
        for kind, entries in (("pools", pools), ("stores", stores), ("models", models), ("teams", teams)):
            scope = "" if kind in ("models", "teams") else str(cluster.cloud)
            for made, entry in entries.items():
                where: Path = ("clusters", name, kind, entry)
                other = seen.setdefault((kind, scope, f"{name}-{made}"), where)
                if other[1] != name:
                    message = f"is '{name}-{made}' with its cluster's name, and so is '{other[3]}' of cluster {other[1]}"
                    needs = (where, other, *((*p[:2], "cloud") for p in (where, other)))
                    allowed = "names that differ once joined to their cluster's"
                    yield Finding(where, message, allowed=allowed, remedy="rename one", at_key=True, needs=needs)


def _pools_of(name: str, pool: PoolSpec) -> tuple[str, ...]:
    return (name, fallback_name(name)) if pool.fallback else (name,)


def _words(stack: str, spec: StackSpec) -> Iterator[Finding]:
    said: set[Path] = set()
    for name, cluster in spec.clusters.items():
        where: Path = ("clusters", name)
        parts: dict[Path, str] = {(): stack, where: name}
        found: list[Finding] = []
        if cluster.cloud is Cloud.GCP and cluster.stores:
            parts |= {(*where, "stores", store): store for store in cluster.stores}
            found = list(_reserved(where, parts, _NOT_IN_BUCKETS, "a GCS bucket's name has"))
        elif cluster.cloud is Cloud.AZURE:
            found = list(_reserved(where, parts, _NOT_IN_CLUSTERS, "an AKS cluster's name has"))
            if stack.startswith(_NOT_FIRST):
                found += _reserved(where, {(): stack}, (_NOT_FIRST,), "an AKS cluster's name begins with")
        for finding in found:
            if finding.path not in said:
                said.add(finding.path)
                yield finding


def _reserved(cluster: Path, parts: dict[Path, str], words: tuple[str, ...], whose: str) -> Iterator[Finding]:
    for where, part in parts.items():
        word = next((word for word in words if word in part), None)
        if word:
            remedy = "rename it" if where else "rename the file"
            needs = ((*cluster, "cloud"), *((where,) if where else ()))
            message = f"{whose} '{part}', and '{word}' is not allowed there"
            yield Finding(where, message, allowed=f"names without '{word}'", remedy=remedy, at_key=True, needs=needs)
