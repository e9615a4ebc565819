"""Facts about Cloud TPU VMs: where there are any, which types in which zones, and the stores that they name."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.catalog.clouds import Cloud
from fleet.catalog.tpu_vms import nearest, of_type, tpu_vm_types, with_tensorflow
from fleet.checks.finding import Finding, Path, listed
from fleet.checks.finding import nearest as meant
from fleet.spec import ClusterSpec
from fleet.spec_tpu import TpuVmSpec


def check(path: Path, cluster: ClusterSpec) -> Iterator[Finding]:
    """Faults of `tpu_vms`."""
    if not cluster.tpu_vms:
        return
    if cluster.cloud is not Cloud.GCP:
        at, needs = (*path, "tpu_vms"), ((*path, "tpu_vms"), (*path, "cloud"))
        message = f"TPUs are Google's, and this cluster is on {cluster.cloud}"
        yield Finding(at, message, allowed="on cloud: gcp", remedy="remove it", at_key=True, needs=needs)
        return
    for name, vm in cluster.tpu_vms.items():
        yield from _type((*path, "tpu_vms", name), vm, cluster, (*path, "region"))
        yield from _stores((*path, "tpu_vms", name), vm, cluster, (*path, "stores"))


def _type(path: Path, vm: TpuVmSpec, cluster: ClusterSpec, region: Path) -> Iterator[Finding]:
    at = (*path, "type")
    known = of_type(vm.type)
    if not known:
        near, types = nearest(vm.type), list(dict.fromkeys(row.type for row in tpu_vm_types()))
        if near is None:
            message = f"{vm.type} is no Cloud TPU VM here: TPU v4 and later are node pools"
            yield Finding(at, message, f"'{vm.type}'", listed(types), "make it a pool of the cluster, with a topology")
        else:
            yield Finding(at, f"there is no {vm.type}", f"'{vm.type}'", listed(types), f"nearest: {near}")
        return
    here = [row.zone for row in known if row.region == cluster.region]
    everywhere = listed(row.zone for row in known)
    if not here:
        message = f"{vm.type} is in no zone of {cluster.region}"
        yield Finding(at, message, f"'{vm.type}'", everywhere, "move the cluster, or choose another type", needs=(at, region))
    elif vm.zone is not None and vm.zone not in here:
        at = (*path, "zone")
        message = f"{vm.zone} has no {vm.type}"
        needs = (at, region, (*path, "type"))
        yield Finding(at, message, f"'{vm.zone}'", listed(here), f"set zone: {here[0]}, or leave it out", needs=needs)
    if (right := with_tensorflow(vm.runtime, known[0].hosts)) != vm.runtime:
        several = "several machines" if known[0].hosts > 1 else "one machine"
        at = (*path, "runtime")
        message = f"{vm.type} is {several}, and the runtime is not for that"
        yield Finding(at, message, f"'{vm.runtime}'", right, f"set runtime: {right}", needs=(at, (*path, "type")))


def _stores(path: Path, vm: TpuVmSpec, cluster: ClusterSpec, stores: Path) -> Iterator[Finding]:
    for key in ("reads", "writes"):
        for i, name in enumerate(getattr(vm, key)):
            if name not in cluster.stores:
                at = (*path, key, i)
                remedy = meant(name, cluster.stores, "add it under stores:")
                message = f"the cluster has no store '{name}'"
                yield Finding(at, message, f"'{name}'", listed(cluster.stores), remedy, needs=(at, stores))
