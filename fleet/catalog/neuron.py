"""Neuron devices of one node: which numbers of them are neighbours, who sees to it that a pod's are, and their cores.

Inferentia's devices are a ring: any number can lie side by side. Trainium's are a 4x4 torus, of which Neuron's scheduler
hands out 1, 4, 8 or all 16. The plain scheduler knows nothing of either, and one device, or all, are right in any case.
https://awsdocs-neuron.readthedocs-hosted.com/en/latest/deploy/infrastructure/scheduler.html, read 2026-11-23;
of Trainium2's torus: aws-neuron/aws-neuron-eks-samples. Cores: aws-neuron/aws-neuron-sdk containers/faq.rst and its pages on
Inf1, Inf2 and Trn1, read 2026-11-24. Trainium2 has none here: how many its plugin counts is a setting of its driver.
"""

from __future__ import annotations

from fleet.catalog.machines import Machine
from fleet.catalog.sharing import Sharing, SharingMode

# Name of the second scheduler, which pods of such a pool carry.
SCHEDULER = "neuron-scheduler"
# What the device plugin counts beside devices. A pod that takes cores and one that takes devices know nothing of each other.
CORE_RESOURCE = "aws.amazon.com/neuroncore"
CORES = {"inferentia1": 4, "inferentia2": 2, "trainium1": 2}
_TORUS = ("trn1.", "trn1n.", "trn2.")
_ON_TORUS = (1, 4, 8, 16)


def counts(machine: Machine, *, scheduled: bool) -> tuple[int, ...]:
    """Devices that one pod may take of such a machine.

    Args:
        scheduled: by Neuron's own scheduler.

    >>> from fleet.catalog.clouds import Cloud
    >>> from fleet.catalog.machines import machine
    >>> trn1 = machine(Cloud.AWS, "trn1.32xlarge")
    >>> counts(trn1, scheduled=False), counts(trn1, scheduled=True)
    ((1, 16), (1, 4, 8, 16))
    """
    most = machine.accelerators
    if not scheduled:
        return tuple(sorted({1, most}))
    if machine.name.startswith(_TORUS):
        return tuple(n for n in _ON_TORUS if n <= most)
    return tuple(range(1, most + 1))


def cores(accelerator: str) -> Sharing:
    """Sharing by cores: a pod takes one.

    Raises:
        LookupError: nobody says how many cores the plugin counts; `fleet.checks` reports it first.
    """
    if accelerator not in CORES:
        raise LookupError(f"{accelerator} has no cores that its plugin counts")
    return Sharing(SharingMode.CORES, CORES[accelerator])
