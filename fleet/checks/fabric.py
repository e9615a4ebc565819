"""Facts about a pool's fabric: where there is one, and how far it reaches."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.clouds import Cloud
from fleet.catalog.fabric import efa_interfaces
from fleet.catalog.machines import machines_with
from fleet.checks.finding import Finding, Path, fields, listed
from fleet.plan import choose_machine
from fleet.spec import ClusterSpec, PoolSpec

_INSTEAD = {
    Cloud.GCP: "leave it out; GKE places a TPU slice side by side by itself",
    Cloud.AZURE: "leave it out; the ND machines bring InfiniBand",
}


def check(path: Path, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of `fabric`; at most one."""
    if pool.fabric is None:
        return
    where = (*path, "fabric")
    needs = (where, *fields(path, "accelerator", "machine", "per_node"), *fields(path[:2], "cloud", "region"))
    if cluster.cloud is not Cloud.AWS:
        message = f"{cluster.cloud} has no {pool.fabric}"
        yield Finding(where, message, repr(str(pool.fabric)), "", _INSTEAD[cluster.cloud], needs=needs)
        return
    try:
        row = choose_machine(pool, cluster)
    except LookupError:
        return
    if not efa_interfaces(row):
        having = [m.name for m in machines_with(cluster.cloud, pool.accelerator, cluster.region) if efa_interfaces(m)]
        remedy = (
            f"set machine: {having[0]}, or leave fabric out" if having else "leave fabric out, or choose another accelerator"
        )
        allowed = f"with {pool.accelerator} there: {listed(having) if having else 'none'}"
        yield Finding(where, f"{row.name} has no {pool.fabric}", repr(str(pool.fabric)), allowed, remedy, needs=needs)
    elif len(pool.zones) > 1:
        at = (*path, "zones")
        message = f"{pool.fabric} does not reach from one zone to another"
        yield Finding(at, message, listed(pool.zones), "one zone", f"keep {pool.zones[0]}", needs=(at, *needs))
