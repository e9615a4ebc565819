"""Facts about `numa`: where a pod can have a socket of its own, and which replicas one socket holds."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import machines_with
from fleet.catalog.numa import Numa, most_on_one
from fleet.checks.finding import Finding, Path, fields, listed
from fleet.contract import AcceleratorPool
from fleet.plan import accelerators_of, choose_machine
from fleet.spec import ClusterSpec, ModelSpec, PoolSpec


def check(path: Path, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of a pool's `numa`; at most one."""
    if pool.numa is None:
        return
    where, got = (*path, "numa"), repr(str(pool.numa))
    needs = (where, *fields(path, "accelerator", "machine", "per_node", "topology"), *fields(path[:2], "cloud", "region"))
    if cluster.cloud is Cloud.EXISTING:
        message = "the kubelets of an existing cluster are not ours to set"
        yield Finding(where, message, got, "on aws, gcp, azure", "leave it out, and set it on the hosts", needs=needs)
        return
    if pool.sharing is not None:
        message = "a part of a shared GPU has no place of its own"
        yield Finding(where, message, got, "", "leave numa or sharing out", needs=(*needs, (*path, "sharing")))
        return
    try:
        row = choose_machine(pool, cluster)
    except LookupError:
        return
    assert row.accelerator is not None
    if row.accelerator.family is Family.TPU:
        message = "a TPU pod takes its host whole, with all of its sockets"
        yield Finding(where, message, got, "GPUs and Neuron devices", "leave it out", needs=needs)
    elif row.accelerators < 2:
        larger = [m.name for m in machines_with(cluster.cloud, pool.accelerator, cluster.region) if m.accelerators > 1]
        message = f"a {row.name} has one accelerator, which is no farther from one CPU than from another"
        remedy = f"set machine: {larger[0]}, or leave numa out" if larger else "leave numa out"
        yield Finding(where, message, got, listed(larger), remedy, needs=needs)
    elif pool.numa is Numa.SINGLE_NODE and most_on_one(row) is None:
        known = [m.name for m in machines_with(cluster.cloud, pool.accelerator, cluster.region) if most_on_one(m)]
        message = f"how many NUMA nodes {row.name} has is said nowhere, and a strict policy could refuse every pod"
        yield Finding(where, message, got, f"best-effort; single-node on {listed(known)}", "set numa: best-effort", needs=needs)


def of_model(path: Path, model: ModelSpec, pool: AcceleratorPool, needs: tuple[Path, ...]) -> Iterator[Finding]:
    """A replica larger than one NUMA node, which a strict kubelet would refuse for ever (TopologyAffinityError)."""
    most = most_on_one(pool.machine) if pool.numa is Numa.SINGLE_NODE else None
    count = accelerators_of(model, pool.machine, pool.tpu)
    if most is not None and count > most:
        where = (*path, "accelerators")
        message = (
            f"{count} {pool.accelerator.name} are on {-(-count // most)} NUMA nodes of a {pool.machine.name}, {most} on each"
        )
        remedy = f"set accelerators: {most}, or numa: best-effort on the pool"
        read = (*needs, (*path[:2], "pools", pool.name, "numa"))
        yield Finding(where, message, str(count), f"1 to {most}", remedy, needs=read)
