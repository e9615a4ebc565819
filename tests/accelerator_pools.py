"""Accelerator pools for tests: one of any machine of the catalogue, and the scheduler's own idea of a toleration."""

from __future__ import annotations

from dataclasses import replace

from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud, zones
from fleet.catalog.machines import machine, machines, regions_with
from fleet.catalog.tpu import TOPOLOGIES, tpu_slice
from fleet.contract import AcceleratorPool

ON_OFFER = [m for m in machines() if m.accelerator and not m.accelerator.withdrawn and regions_with(m)]


def pool_of(hardware, name="gpu", spot=False, **changes):
    region = regions_with(hardware)[0] if regions_with(hardware) else "us-east-1"
    tpu = None
    if hardware.accelerator.family is Family.TPU:
        shapes = (tpu_slice(hardware.accelerator.name, t) for t in TOPOLOGIES[hardware.accelerator.name])
        tpu = next(shape for shape in shapes if shape.machine == hardware)
    pool = AcceleratorPool(
        name=name,
        physical_name=name,
        cloud=hardware.cloud,
        region=region,
        machine=hardware,
        spot=spot,
        min_nodes=0,
        max_nodes=2,
        start_nodes=1,
        zones=zones(hardware.cloud, region)[:1],
        disk_gib=120,
        tpu=tpu,
    )
    return replace(pool, **changes)


L4 = machine(Cloud.AWS, "g6.xlarge")
L4_ON_GKE = machine(Cloud.GCP, "g2-standard-4")
INF2 = machine(Cloud.AWS, "inf2.xlarge")
T4_ON_AKS = machine(Cloud.AZURE, "Standard_NC4as_T4_v3")


def tolerates(toleration, taint):
    """As the scheduler compares them (k8s.io/component-helpers/scheduling/corev1)."""
    return (
        toleration.get("effect") in (None, "", taint.effect)
        and toleration.get("key") in (None, taint.key)
        and (toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.value)
    )
