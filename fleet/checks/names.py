"""Names that are well formed and yet impossible: taken already, taken twice, or with a word a cloud keeps for itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fleet import naming
from fleet.catalog.clouds import Cloud
from fleet.checks.finding import Finding, Path
from fleet.plan import rung_names
from fleet.spec import ClusterSpec, StackSpec

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
        for made in rung_names(name, pool):
            if made in cluster.pools or made.replace("-", "") not in seen:
                continue
            where = (*path, "pools", name, "capacity" if pool.capacity else "fallback")
            message = f"makes a pool '{made}' in the cloud, the same as {seen[made.replace('-', '')]} once hyphens are gone"
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


def kin(stack: str, others: Iterable[str]) -> list[str]:
    """The stacks whose names are the beginning of this one's, or it of theirs: no others' clusters can be called alike.

    >>> kin("prod", ["prod-eu", "product", "dev"])
    ['prod-eu']
    """
    return [other for other in others if other.startswith(f"{stack}-") or stack.startswith(f"{other}-")]


def beside(stack: str, spec: StackSpec, others: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Of clusters that have another stack's name in their cloud: whichever comes second would fail, or take the first's.

    Args:
        others: other stacks' files as they are written, checked or not.
    """
    for other, data in others.items():
        clusters = data.get("clusters")
        for theirs, about in clusters.items() if isinstance(clusters, dict) else ():
            cloud = about.get("cloud") if isinstance(about, dict) else None
            for name, cluster in spec.clusters.items():
                physical = naming.cluster(stack, name)
                if cluster.cloud == cloud != Cloud.EXISTING and physical == naming.cluster(other, str(theirs)):
                    where: Path = ("clusters", name)
                    message = f"is '{physical}' on {cloud}, and so is cluster {theirs} of stack {other}"
                    allowed, needs = "names that differ once joined to their stacks'", (where, (*where, "cloud"))
                    yield Finding(where, message, allowed=allowed, remedy="rename one of them", at_key=True, needs=needs)


def _joined(spec: StackSpec) -> Iterator[Finding]:
    """A resource of the state is named `<cluster>-<entry>`, once for each type; a type is of one cloud, but a model's
    and a team's.
    """
    seen: dict[tuple[str, str, str], Path] = {}
    for name, cluster in spec.clusters.items():
        # A pool is one in the cloud for each way in which it is bought.
        pools = {made: key for key, pool in cluster.pools.items() for made in rung_names(key, pool)}
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
