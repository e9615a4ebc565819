"""Facts about shared accelerators: which can be cut, into what, and by which cloud."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog import neuron
from fleet.catalog.accelerators import ACCELERATORS, Family
from fleet.catalog.machines import machines_with
from fleet.catalog.sharing import mig_profiles, mig_profiles_on, nearest_profile
from fleet.checks.finding import Finding, Path, fields, listed
from fleet.spec import ClusterSpec, PoolSpec

_WAYS = ("mig", "mps_clients", "time_slices", "cores")


def check(path: Path, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of how a pool's accelerators are shared; an accelerator that the cloud lacks is said elsewhere."""
    if pool.sharing is None:
        return
    where = (*path, "sharing")
    named = [way for way in _WAYS if getattr(pool.sharing, way)]
    if len(named) != 1:
        message = f"names {listed(named)}" if named else "names no way to share"
        yield Finding(where, message, allowed=f"exactly one of {listed(_WAYS)}", remedy="keep one", at_key=True)
        return
    accelerator = ACCELERATORS.get(pool.accelerator)
    if accelerator is None or not machines_with(cluster.cloud, pool.accelerator):
        return
    needs = (where, *fields(path, "accelerator"))
    if pool.sharing.cores:
        yield from _cores(where, pool.accelerator, cluster, needs)
    elif accelerator.family is not Family.NVIDIA:
        by_cores = pool.accelerator in neuron.CORES
        message = f"{pool.accelerator} cannot be shared so: only NVIDIA GPUs can"
        remedy = "write cores: true instead" if by_cores else "remove it"
        yield Finding(where, message, remedy=remedy, at_key=True, needs=needs)
    elif pool.sharing.mig is not None:
        yield from _mig((*where, "mig"), pool.sharing.mig, pool.accelerator, cluster, needs)


def _cores(where: Path, accelerator: str, cluster: ClusterSpec, needs: tuple[Path, ...]) -> Iterator[Finding]:
    at = (*where, "cores")
    if accelerator not in neuron.CORES:
        message = f"nobody says how many cores the device plugin counts of {accelerator}"
        yield Finding(at, message, "true", f"on {listed(neuron.CORES)}", "remove it", needs=(at, *needs))
    elif cluster.teams:
        teams = (*where[:2], "teams")
        message = "teams' shares count Neuron devices, and would hold nobody who takes their cores"
        yield Finding(at, message, "true", "whole devices, beside teams", "remove it", needs=(at, teams, *needs))


def _mig(path: Path, profile: str, accelerator: str, cluster: ClusterSpec, needs: tuple[Path, ...]) -> Iterator[Finding]:
    offered = mig_profiles_on(cluster.cloud, accelerator)
    if profile in offered:
        return
    got = repr(profile)
    if not mig_profiles(accelerator):
        remedy = "use time_slices or mps_clients"
        yield Finding(path, f"{accelerator} has no MIG", got, "a GPU such as nvidia-a100-80gb", remedy, needs=needs)
        return
    near = nearest_profile(profile, offered)
    if profile in mig_profiles(accelerator):
        message, read = f"{cluster.cloud} cannot cut {accelerator} so", (*needs, (*path[:2], "cloud"))
    else:
        message, read = f"{accelerator} has no such MIG profile", needs
    yield Finding(path, message, got, listed(offered), f"nearest: {near} ({offered[near]} a GPU)", needs=read)
