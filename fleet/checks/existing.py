"""Facts about a cluster that somebody else made: what its stack file must say of it, and what is not ours to decide there.

Refuses fields that would ask us to make something; the pool's sharing is here too, as hosts are not ours to cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleet.catalog.accelerators import ACCELERATORS, Family
from fleet.catalog.clouds import PUBLIC, Cloud, regions
from fleet.checks.finding import Finding, Path, fields, listed, nearest
from fleet.spec import Allocation, ClusterSpec, HostDriver, PoolSpec
from fleet.spec_terraform import reference

# Families whose device plugin is known apart from any cloud.
_FAMILIES = (Family.NVIDIA, Family.GAUDI)
_NOT_OURS = ("kubernetes", "network", "api", "admins", "system_pool", "stores", "services")
_NOT_BOUGHT = ("machine", "topology", "nodes", "purchase", "fallback", "capacity", "zones", "fabric", "neuron_scheduler")


def check(path: Path, cluster: ClusterSpec, secrets: Sequence[str]) -> Iterator[Finding]:
    """Faults of an existing cluster and its pools; on any other cloud, of fields that an existing one has."""
    cloud = (*path, "cloud")
    if cluster.cloud is not Cloud.EXISTING:
        given = [(*path, "kubeconfig")] if cluster.kubeconfig else []
        given += [(*path, "pools", name, "hosts") for name, pool in cluster.pools.items() if pool.hosts]
        for where in given:
            message = f"is of clusters that stand already, and {cluster.cloud}'s are made here"
            yield Finding(where, message, allowed="on cloud: existing", remedy="remove it", at_key=True, needs=(where, cloud))
        return
    yield from _cluster(path, cluster, secrets)
    yield from _twice(path, cluster)
    for name, pool in cluster.pools.items():
        yield from _pool((*path, "pools", name), pool)


def _cluster(path: Path, cluster: ClusterSpec, secrets: Sequence[str]) -> Iterator[Finding]:
    cloud = (*path, "cloud")
    if cluster.region not in regions(Cloud.EXISTING):
        where, known = (*path, "region"), regions(Cloud.EXISTING)
        message = "an existing cluster's region is the grid zone that it stands in, by Electricity Maps' name"
        remedy = nearest(cluster.region, known, "use a zone of the catalogue")
        yield Finding(where, message, repr(cluster.region), listed(known), remedy, needs=(where, cloud))
    for key in _NOT_OURS:
        if key in cluster.model_fields_set:
            where = (*path, key)
            message = f"an existing cluster brings its own {key.replace('_', ' ')}"
            yield Finding(where, message, allowed=f"on {listed(PUBLIC)}", remedy="remove it", at_key=True, needs=(where, cloud))
    where = (*path, "kubeconfig")
    if cluster.kubeconfig is None:
        message, remedy = "an existing cluster is reached by its kubeconfig", "add kubeconfig: and that name under secrets:"
        yield Finding(path, message, allowed="the name of a secret", remedy=remedy, at_key=True, needs=(where, cloud))
    elif cluster.kubeconfig not in secrets and not reference(cluster.kubeconfig):
        message = "is no secret of this stack, and a kubeconfig stands nowhere in clear"
        remedy = f"add '{cluster.kubeconfig}' under secrets:"
        needs: tuple[Path, ...] = (where, cloud, ("secrets",))
        yield Finding(where, message, repr(cluster.kubeconfig), listed(secrets), remedy, needs=needs)


def _twice(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """A node's labels say which pool it is of, and it has each label once."""
    seen: dict[str, Path] = {}
    for pool, spec in cluster.pools.items():
        for i, name in enumerate(spec.hosts.names if spec.hosts else ()):
            where = (*path, "pools", pool, "hosts", "names", i)
            if name in seen:
                other = seen[name]
                message = f"host {name} is in pool {other[3]} already"
                yield Finding(where, message, repr(name), "each host once", "remove one of the two", needs=(where, other))
            seen.setdefault(name, where)


def _pool(path: Path, pool: PoolSpec) -> Iterator[Finding]:
    cloud = (*path[:2], "cloud")
    for key in _NOT_BOUGHT:
        if key in pool.model_fields_set:
            where = (*path, key)
            message = "a pool of hosts is what stands there: nothing is bought or made"
            yield Finding(where, message, allowed="hosts, per_node", remedy="remove it", at_key=True, needs=(where, cloud))
    if pool.allocation is Allocation.DRA:
        where = (*path, "allocation")
        message = "claimed GPUs come to a pod by CDI, and whether the hosts' own container runtime takes it nobody here sees to"
        remedy = "leave allocation out, or make the pool on a public cloud"
        yield Finding(where, message, "'dra'", "device-plugin", remedy, needs=(where, cloud))
    for key, what in (("hosts", "which nodes it is"), ("per_node", "how many accelerators each of its hosts has")):
        if getattr(pool, key) is None:
            message, needs = f"a pool of an existing cluster says {what}", ((*path, key), cloud)
            yield Finding(path, message, allowed=f"{key}:", remedy=f"add {key}:", at_key=True, needs=needs)
    yield from _accelerator(path, pool) or _sharing(path, pool)


def _accelerator(path: Path, pool: PoolSpec) -> list[Finding]:
    where, got = (*path, "accelerator"), repr(pool.accelerator)
    known = [name for name, row in ACCELERATORS.items() if row.family in _FAMILIES]
    if pool.accelerator not in ACCELERATORS:
        remedy = nearest(pool.accelerator, known, "use a name of the catalogue")
        return [Finding(where, "no such accelerator", got, listed(known), remedy)]
    if pool.accelerator not in known:
        message = f"only its own cloud has {pool.accelerator}"
        needs = (where, (*path[:2], "cloud"))
        return [Finding(where, message, got, listed(known), "make the pool on that cloud", needs=needs)]
    return []


def _sharing(path: Path, pool: PoolSpec) -> Iterator[Finding]:
    if pool.sharing is None:
        return
    where = (*path, "sharing")
    needs = (where, (*path[:2], "cloud"), *fields(path, "accelerator", "hosts"))
    if ACCELERATORS[pool.accelerator].family is not Family.NVIDIA:
        message = f"{pool.accelerator} cannot be shared: only NVIDIA GPUs can"
        yield Finding(where, message, remedy="remove it", at_key=True, needs=needs)
    elif pool.sharing.cores:
        at = (*where, "cores")
        message = f"{pool.accelerator} has no Neuron cores"
        yield Finding(at, message, "true", "mps_clients, time_slices", "remove it", needs=(at, *needs))
    elif pool.hosts and pool.hosts.driver is HostDriver.OPERATOR:
        message = "the operator's device plugin decides how its GPUs are shared"
        yield Finding(where, message, remedy="tell the operator, or set hosts.driver: host", at_key=True, needs=needs)
    elif pool.sharing.mig is not None:
        message, at = "nobody here cuts the GPUs of hosts that were not made here", (*where, "mig")
        allowed, remedy = "mps_clients, time_slices", "share otherwise, or have an operator cut them"
        yield Finding(at, message, repr(pool.sharing.mig), allowed, remedy, needs=needs)
