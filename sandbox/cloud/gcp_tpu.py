"""Cloud TPU VMs: which types a zone has, and the machines of one, behind which nothing runs.

Follows the Cloud TPU API v2, projects.locations.nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleet.catalog.tpu_vms import TpuVmType, of_type, tpu_vm_types
from sandbox.cloud.behaviour import Behaviour, serial
from sandbox.cloud.errors import CloudError
from sandbox.cloud.gcp import Gcp, project
from sandbox.cloud.records import Record

if TYPE_CHECKING:
    from sandbox.cloud.world import World


@dataclass(frozen=True)
class TpuNode(Gcp):
    """A node of the Cloud TPU API: one machine for each four chips."""

    def identify(self, world: World, record: Record) -> str:
        return f"projects/{project(record)}/locations/{_zone(record)}/nodes/{record.inputs.get('name')}"

    def refuse(self, world: World, record: Record) -> None:
        # Of versions that the catalogue has no zones of, nothing is known that could be refused.
        kind = _kind(record)
        versions = {row.type.partition("-")[0] for row in tpu_vm_types()}
        if kind.partition("-")[0] in versions and _row(record) is None:
            raise CloudError("NOT_FOUND", f"accelerator type {kind} not found in zone {_zone(record)}", 404)

    def computed(self, world: World, record: Record) -> dict[str, Any]:
        row, number = _row(record), int(serial(record.id, length=4), 16)
        hosts = range(row.hosts if row else 1)
        endpoints = [{"ipAddress": f"10.{130 + host // 250}.{number % 250}.{host % 250 + 2}", "port": 8470} for host in hosts]
        return {"networkEndpoints": endpoints, "state": "READY", "health": "HEALTHY", "multisliceNode": False}


def _kind(record: Record) -> str:
    return str(record.inputs.get("acceleratorType") or "v2-8")  # the API's default


def _zone(record: Record) -> str:
    return str(record.inputs.get("zone") or record.config.get("zone") or "us-central1-a")


def _row(record: Record) -> TpuVmType | None:
    return next((row for row in of_type(_kind(record)) if row.zone == _zone(record)), None)


# The provider makes another one for a change of these.
_KEPT = ("name", "zone", "acceleratorType", "runtimeVersion", "networkConfig", "schedulingConfig", "serviceAccount")
TYPES: dict[str, Behaviour] = {"gcp:tpu/v2Vm:V2Vm": TpuNode(immutable=(*_KEPT, "shieldedInstanceConfig"))}
