"""Boot disks and object stores of a stack file as lines: what it says of their sizes, at list price.

A node of AKS boots from its machine's own disk where that is large enough and from a managed one where not, which no
stack file says: its disks are unknown. A store is paid by what lies in it, of which the file knows the weights alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import gke_boot_disk
from fleet.catalog.storage import disk_price
from fleet.contract import AcceleratorPool
from fleet.plan import SYSTEM_DISK_GIB
from fleet.report.model import Band, Line
from fleet.spec import ClusterSpec

_EPHEMERAL = "no price: AKS boots from the machine's own disk where that is large enough, from a managed one where not"
_STORES = {Cloud.AWS: "S3 bucket", Cloud.GCP: "Cloud Storage bucket", Cloud.AZURE: "storage account"}
Nodes = tuple[int, int, int]


def pool_disks(cluster_name: str, pool: AcceleratorPool, nodes: Nodes) -> Line | None:
    """The boot disks of a pool's nodes; None where the hosts and their disks are the owner's."""
    if pool.hosts:
        return None
    return _disks(f"{cluster_name}/{pool.name} disks", pool.cloud, pool.region, pool.machine.name, pool.disk_gib, nodes)


def system_disks(cluster_name: str, cluster: ClusterSpec, machine: str, nodes: Nodes) -> Line:
    """The boot disks of the system nodes."""
    return _disks(f"{cluster_name} system disks", cluster.cloud, cluster.region, machine, SYSTEM_DISK_GIB, nodes)


def _disks(name: str, cloud: Cloud, region: str, machine: str, gib: int, nodes: Nodes) -> Line:
    # infra/clouds/*/node_pool.py ask for these.
    kind = {Cloud.AWS: "gp3", Cloud.GCP: gke_boot_disk(machine)}.get(cloud)
    price = disk_price(cloud, region, kind, gib) if kind else None
    usd = Band(*((price.of(gib) * many).quantize(Decimal("0.01")) for many in nodes)) if price else Band(None, None, None)
    return Line(
        kind="disk",
        name=name,
        cloud=str(cloud),
        region=region,
        what=f"{gib} GiB {kind} a node" if kind else "boot disks",
        usd=usd,
        nodes=nodes,
        unknown=() if price else (f"no price of {kind} in {region}" if kind else _EPHEMERAL,),
        as_of=price.as_of if price else None,
    )


def stores(cluster_name: str, cluster: ClusterSpec) -> Iterator[Line]:
    """The object stores, which are paid by use."""
    for name in cluster.stores:
        held = sum(model.weights.size_gib for model in cluster.models.values() if model.weights and model.weights.store == name)
        yield Line(
            kind="by-use",
            name=f"{cluster_name}/{name} store",
            cloud=str(cluster.cloud),
            region=cluster.region,
            what=_STORES[cluster.cloud],
            usd=Band(None, None, None),
            unknown=(f"paid by use: GiB stored, at least {held} of weights, requests and traffic",),
        )
