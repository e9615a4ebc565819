"""Facts about what a service's machines are: does the cloud have the accelerator, here, and does the service take it."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.accelerators import ACCELERATORS
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, machine, machines, machines_with
from fleet.catalog.tpu import TOPOLOGIES
from fleet.checks.finding import Finding, Path, listed, nearest
from fleet.spec import ClusterSpec
from fleet.spec_services import Kind, MachineSpec, OnMachines


def check(where: Path, kind: Kind, spec: OnMachines, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of one machine, training or endpoint; the first of accelerator, size and machine."""
    yield from _accelerator(where, kind, spec, cluster) or _size(where, spec, cluster)
    if isinstance(spec, MachineSpec) and cluster.cloud is Cloud.AZURE and spec.ssh_key is None:
        message, needs = "Azure makes no Linux machine without a key", (where, (*where[:2], "cloud"))
        yield Finding(
            where, message, allowed="ssh_key:", remedy="add the public key of whoever uses it", at_key=True, needs=needs
        )


def _accelerator(where: Path, kind: Kind, spec: OnMachines, cluster: ClusterSpec) -> list[Finding]:
    at, name = (*where, "accelerator"), spec.accelerator
    if name is None:
        return []
    here = [key for key in ACCELERATORS if machines_with(cluster.cloud, key, cluster.region) and key not in TOPOLOGIES]
    needs = (at, (*where[:2], "cloud"), (*where[:2], "region"))
    if name not in ACCELERATORS:
        remedy = nearest(name, ACCELERATORS, "use a name of the catalogue")
        return [Finding(at, "no such accelerator", repr(name), listed(ACCELERATORS), remedy)]
    if ACCELERATORS[name].withdrawn or name not in here:
        message, remedy = f"{cluster.region} has no machine with {name} that is no pool", "choose another, or make it a pool"
        if name in TOPOLOGIES:
            message, remedy = "a TPU is a slice, not a machine's accelerator", "make a pool of it, or a Cloud TPU VM"
        return [Finding(at, message, repr(name), listed(here), remedy, needs=needs)]
    if kind is Kind.TRAININGS and name.startswith("inferentia"):
        fit = [key for key in here if not key.startswith("inferentia")]
        return [Finding(at, "Inferentia runs models, and trains none", repr(name), listed(fit), "choose another one")]
    return []


def _size(where: Path, spec: OnMachines, cluster: ClusterSpec) -> Iterator[Finding]:
    about = ((*where, "accelerator"), (*where[:2], "cloud"), (*where[:2], "region"))
    if spec.machine is not None:
        at = (*where, "machine")
        found = machine(cluster.cloud, spec.machine, spec.accelerator)
        if found is None:
            known = [row.name for row in _known(spec, cluster)]
            what = f"with {spec.accelerator}" if spec.accelerator else "of the catalogue without accelerators"
            remedy = nearest(spec.machine, known, "leave machine out")
            yield Finding(at, f"no such machine {what}", repr(spec.machine), listed(known), remedy, needs=(at, *about))
        elif spec.per_node not in (None, found.accelerators):
            at = (*where, "per_node")
            message, needs = f"{found.name} has {found.accelerators}", (at, (*where, "machine"), *about)
            yield Finding(at, message, str(spec.per_node), str(found.accelerators), "leave one of the two out", needs=needs)
    elif spec.per_node is not None:
        at, counts = (*where, "per_node"), sorted({row.accelerators for row in _known(spec, cluster) if row.part == 1})
        if spec.accelerator is None or spec.per_node not in counts:
            message = f"no machine has {spec.per_node} of it" if spec.accelerator else "of no accelerator"
            yield Finding(at, message, str(spec.per_node), listed(counts), "choose one of these", needs=(at, *about))


def _known(spec: OnMachines, cluster: ClusterSpec) -> list[Machine]:
    if spec.accelerator:
        return list(machines_with(cluster.cloud, spec.accelerator, cluster.region))
    return [row for row in machines() if row.cloud is cluster.cloud and row.accelerator is None]
