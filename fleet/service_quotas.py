"""The quotas of what runs beside pools: machines, trainings and managed endpoints of `services:`, and TPU VMs.

Only what has accelerators is counted, as of pools. A training counts for one run of it at a time. What the catalogue has no
quota of is told with its amount and without a name.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine
from fleet.catalog.service_quotas import Unit, service_quota
from fleet.catalog.tpu_vms import tpu_vm_type
from fleet.quota_wanted import GCP_PAGE, Wanted, of_machines
from fleet.service_machines import machine_of
from fleet.spec import ClusterSpec
from fleet.spec_services import EndpointSpec, Kind, MachineSpec, OnMachines, TrainingSpec

_SAGEMAKER = "https://{region}.console.aws.amazon.com/servicequotas/home/services/sagemaker/quotas"
_AZURE_ML = "https://ml.azure.com/quota"
# Where no row says what the service counts by, what the cloud's own machines are counted by.
_UNITS: dict[Cloud, Unit] = {Cloud.AWS: "machines", Cloud.GCP: "accelerators", Cloud.AZURE: "vCPUs"}
# Both cores of each chip of a TPU v2 or v3. https://docs.cloud.google.com/tpu/docs/quota
_CORES_A_CHIP = 2


def beside_pools(cluster: ClusterSpec) -> Iterator[tuple[str, Wanted]]:
    """(name, what it wants) of each service and TPU VM with accelerators."""
    for kind, name, spec in cluster.services.all():
        if isinstance(spec, OnMachines):
            row = machine_of(spec, cluster.cloud, cluster.region)
            for one in _service(kind, spec, row, cluster.region) if row.accelerator else ():
                yield name, one
    for name, vm in cluster.tpu_vms.items():
        found = tpu_vm_type(vm.type, cluster.region, vm.zone)
        quota = service_quota(Cloud.GCP, "tpu_vms", vm.type)
        called = quota.name(vm.type, spot=vm.purchase == "spot") if quota else None
        yield name, Wanted(Cloud.GCP, found.zone, called, found.chips * _CORES_A_CHIP, "cores", GCP_PAGE)


def _service(kind: Kind, spec: OnMachines, row: Machine, region: str) -> Iterator[Wanted]:
    match spec:
        case MachineSpec():
            yield from of_machines(row, region, str(spec.purchase), 1)
        case TrainingSpec():
            yield _managed(kind, row, region, spec.nodes, spot=spec.purchase == "spot")
        case EndpointSpec():
            yield _managed(kind, row, region, spec.machines, spot=False)


def _managed(kind: Kind, row: Machine, region: str, machines: int, *, spot: bool) -> Wanted:
    found = service_quota(row.cloud, str(kind), row.name, row.accelerator.name if row.accelerator else None)
    unit = found.unit if found else _UNITS[row.cloud]
    # Rounded up: of one machine, one more.
    held = -(-machines * (100 + found.extra_percent) // 100) if found else machines
    each = {"machines": 1, "accelerators": row.accelerators, "vCPUs": row.vcpus}[unit]
    page = {Cloud.AWS: _SAGEMAKER.format(region=region), Cloud.GCP: GCP_PAGE, Cloud.AZURE: _AZURE_ML}[row.cloud]
    return Wanted(row.cloud, region, found.name(row.name, spot=spot) if found else None, held * each, unit, page)
