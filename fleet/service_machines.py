"""Which machine a service of a stack file runs on: the one named, else the smallest on offer with its accelerators."""

from __future__ import annotations

from fleet.catalog.clouds import SYSTEM_MACHINE, Cloud
from fleet.catalog.machines import Machine, machine, machines_with
from fleet.spec_services import OnMachines


def machine_of(spec: OnMachines, cloud: Cloud, region: str) -> Machine:
    """The machine type that a machine, training or endpoint has there.

    Raises:
        LookupError: there is none; `fleet.checks.services` reports it first, with the field.
    """
    if spec.machine is not None or spec.accelerator is None:
        name = spec.machine or SYSTEM_MACHINE[cloud]
        found = machine(cloud, name, spec.accelerator)
        if found is None:
            raise LookupError(f"no {name} with {spec.accelerator or 'CPUs alone'} on {cloud}")
        return found
    for row in machines_with(cloud, spec.accelerator, region):
        # As in a pool: who names an accelerator means a whole one.
        if row.part == 1 and spec.per_node in (None, row.accelerators):
            return row
    raise LookupError(f"no machine with {spec.per_node or 'any'} {spec.accelerator} in {region}")
