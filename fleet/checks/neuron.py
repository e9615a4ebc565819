"""Facts about Neuron's scheduler: for which pools there is one."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.accelerators import ACCELERATORS, Family
from fleet.catalog.clouds import Cloud
from fleet.checks.finding import Finding, Path, fields
from fleet.plan import choose_machine
from fleet.spec import ClusterSpec, PoolSpec


def check(path: Path, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of `neuron_scheduler`; at most one."""
    if not pool.neuron_scheduler:
        return
    where = (*path, "neuron_scheduler")
    needs = (where, *fields(path, "accelerator", "machine", "per_node"), *fields(path[:2], "cloud", "region"))
    accelerator = ACCELERATORS.get(pool.accelerator)
    if pool.sharing is not None and pool.sharing.cores:
        message = "a pod takes one core there, which has no neighbours to look for"
        yield Finding(where, message, "true", "whole devices", "remove it", needs=(*needs, (*path, "sharing", "cores")))
        return
    if accelerator is not None and accelerator.family is not Family.NEURON:
        message = f"{pool.accelerator} is no Neuron device: the plain scheduler does"
        yield Finding(where, message, "true", "on inferentia and trainium", "remove it", needs=needs)
        return
    if accelerator is None or cluster.cloud is not Cloud.AWS:
        return
    try:
        row = choose_machine(pool, cluster)
    except LookupError:
        return
    if row.accelerators < 2:
        message = f"a {row.name} has one device, which has no neighbours"
        yield Finding(where, message, "true", "on machines of several devices", "remove it", needs=needs)
