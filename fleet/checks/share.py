"""Facts about what a replica asks of its node beside accelerators: no more than would leave some of them to nobody."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.checks.finding import Finding, Path
from fleet.contract import AcceleratorPool
from fleet.plan import accelerators_of
from fleet.share import share_of_node
from fleet.spec import ModelSpec


def check(path: Path, model: ModelSpec, pool: AcceleratorPool, needs: tuple[Path, ...]) -> Iterator[Finding]:
    """CPUs or memory above the share of the accelerators that a replica takes.

    Args:
        needs: what the pool's machine and the replica's accelerators follow from.
    """
    count = accelerators_of(model, pool.machine, pool.tpu)
    for key, unit, wanted in (("cpus", "CPUs", model.cpus), ("memory_gib", "GiB", model.memory_gib)):
        if wanted is None or wanted <= (most := _share(pool, count, key)):
            continue
        where, of_node = (*path, key), _share(pool, pool.slots, key)
        stranded = pool.slots - of_node // wanted * count
        message = (
            f"{of_node // wanted} replicas of {wanted} {unit} fill the {of_node} that pods have of a {pool.machine.name}, "
            f"and strand {stranded} of its {pool.slots} accelerators"
        )
        larger = () if pool.sharing else pool.counts
        enough = next((n for n in larger if n > count and _share(pool, n, key) >= wanted), None)
        more = f"set accelerators: {enough}" if enough else "choose a machine with more"
        read = (where, *needs, (*path[:2], "pools", pool.name, "sharing"))
        allowed, remedy = f"up to {most}, the share of {count}", f"lower it to {most}, leave it out, or {more}"
        yield Finding(where, message, str(wanted), allowed, remedy, needs=read)


def _share(pool: AcceleratorPool, count: int, key: str) -> int:
    """Whole CPUs, or GiB of memory."""
    share = share_of_node(pool, count)
    return share.cpu_m // 1000 if key == "cpus" else share.memory_gib
