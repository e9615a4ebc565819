"""Node pools of the three clouds as one thing: machines, size, how they are bought, and what they carry.

What the catalogue does not know (a machine, a price) is None: no rule speaks of it. Everything is read when it is asked
for, so that one unknown field leaves the others readable.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from fleet.catalog.accelerators import ACCELERATORS, Family
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, machine, offers
from policies.accel_policies import aws, azure, gcp
from policies.accel_policies.rule import Resource, Stack
from policies.accel_policies.values import View

POOLS = (aws.NODE_GROUP, gcp.NODE_POOL, azure.AGENT_POOL)
_CLOUD = dict(zip(POOLS, (Cloud.AWS, Cloud.GCP, Cloud.AZURE), strict=True))


@dataclass(frozen=True)
class Pool:
    """A resource of one of those types, of which at least one machine has accelerators."""

    resource: Resource

    @property
    def cloud(self) -> Cloud:
        return _CLOUD[self.resource.type]

    @property
    def view(self) -> View:
        return self.resource.view

    @property
    def machine_path(self) -> str:
        return {Cloud.AWS: "instanceTypes", Cloud.GCP: "nodeConfig.machineType"}.get(self.cloud, "vmSize")

    @property
    def names(self) -> list[str]:
        found = self.view(self.machine_path)
        return [str(name) for name in ([found] if isinstance(found, str) else found or ())]

    @property
    def machines(self) -> list[Machine]:
        """The catalogue's rows of its machine types; on GCP with the guest accelerators that it asks for."""
        guests = [str(one("type")) for one in self.view.maps("nodeConfig.guestAccelerators")]
        named = {row.gke_name: name for name, row in ACCELERATORS.items()}
        guest = named.get(guests[0]) if guests else None
        found = (machine(self.cloud, name, guest) or machine(self.cloud, name) for name in self.names)
        return [row for row in found if row is not None]

    @property
    def hardware(self) -> Machine | None:
        """The first of its machines that has accelerators."""
        return next((row for row in self.machines if row.accelerator), None)

    @property
    def size_path(self) -> str:
        """Where its least and most nodes stand; `{}` for min or max."""
        if self.cloud is Cloud.AWS:
            return "scalingConfig.{}Size"
        if self.cloud is Cloud.AZURE:
            return "{}Count"
        total = self.view("autoscaling.totalMaxNodeCount") is not None
        return "autoscaling.total{}NodeCount" if total else "autoscaling.{}NodeCount"

    def _size(self, which: str) -> int | None:
        path = self.size_path.format(which.capitalize() if "total" in self.size_path else which)
        found = self.view(path)
        return None if found is None else int(found)

    @property
    def stands_path(self) -> str:
        """Where it says how many nodes stand: the least, or the number of a pool that nothing resizes."""
        if self._size("min") is None and self._size("max") is None:
            return {Cloud.GCP: "nodeCount", Cloud.AZURE: "count"}.get(self.cloud, "scalingConfig.minSize")
        return self.size_path.format("Min" if "total" in self.size_path else "min")

    @property
    def most_path(self) -> str:
        return self.size_path.format("Max" if "total" in self.size_path else "max")

    @property
    def fixed(self) -> int | None:
        """Nodes of a pool that nothing resizes."""
        found = self.view({Cloud.GCP: "nodeCount", Cloud.AZURE: "count"}.get(self.cloud, "scalingConfig.desiredSize"))
        return None if found is None else int(found)

    @property
    def most(self) -> int | None:
        """Nodes at most; GKE counts them by zone unless it says total."""
        bound = self._size("max")
        if self.cloud is Cloud.GCP and bound is not None and "total" not in self.size_path:
            bound *= max(1, len(self.zones))
        if bound is None and self.cloud is Cloud.GCP and self.view("autoscaling") is None:
            return self.fixed
        if bound is None and self.cloud is Cloud.AZURE and not self.view("enableAutoScaling", False):
            return self.fixed
        return bound

    @property
    def least(self) -> int:
        """Nodes that stand with nothing to do."""
        bound = self._size("min")
        if bound is None and self._size("max") is None:
            return self.fixed or 0
        return bound or 0

    @property
    def spot(self) -> bool:
        if self.cloud is Cloud.AWS:
            return bool(self.view("capacityType", "ON_DEMAND") == "SPOT")
        if self.cloud is Cloud.AZURE:
            return bool(self.view("scaleSetPriority", "Regular") == "Spot")
        return bool(self.view("nodeConfig.spot", False) or self.view("nodeConfig.preemptible", False))

    @property
    def zones(self) -> list[str]:
        """Zones, or on AWS the subnets, which are one to a zone."""
        path = {Cloud.AWS: "subnetIds", Cloud.GCP: "nodeLocations"}.get(self.cloud, "availabilityZones")
        found = self.view(path, ())
        # On AWS they are known only after the apply, but how many there are is known.
        return [f"{path}[{i}]" for i in range(len(found))] if self.cloud is Cloud.AWS else [str(zone) for zone in found]

    @property
    def taints(self) -> list[tuple[str, str]]:
        """(key, effect) of each taint, effects in Kubernetes' spelling."""
        if self.cloud is Cloud.AZURE:
            words = [str(text).rpartition(":") for text in self.view("nodeTaints", ())]
            return [(marked.partition("=")[0], effect) for marked, _, effect in words]
        path = "taints" if self.cloud is Cloud.AWS else "nodeConfig.taints"
        return [(str(one("key")), _spelt(str(one("effect")))) for one in self.view.maps(path)]

    @property
    def labels_path(self) -> str:
        return {Cloud.AWS: "tags", Cloud.GCP: "nodeConfig.resourceLabels"}.get(self.cloud, "tags")

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the pool, and Kubernetes labels, which say as much: AWS's provider adds its own to all."""
        labels = {Cloud.AWS: "labels", Cloud.GCP: "nodeConfig.labels"}.get(self.cloud, "nodeLabels")
        found = {**dict(self.view(labels, View({})).items()), **dict(self.view(self.labels_path, View({})).items())}
        return {key: str(value) for key, value in found.items()}

    @property
    def usd_hour(self) -> Decimal | None:
        """List price of one node, the lowest of the regions where it is sold; None where nobody knows."""
        row = self.hardware
        known = [o.spot if self.spot else o.on_demand for o in offers() if o.machine == row]
        return min((price for price in known if price is not None), default=None)

    @property
    def accelerators(self) -> int:
        """Accelerators of one node."""
        return self.hardware.accelerators if self.hardware else 0

    @property
    def name(self) -> str:
        """The catalogue's name of its accelerator."""
        return self.hardware.accelerator.name if self.hardware and self.hardware.accelerator else ""

    @property
    def family(self) -> Family | None:
        return self.hardware.accelerator.family if self.hardware and self.hardware.accelerator else None


def _spelt(effect: str) -> str:
    """`NO_SCHEDULE` -> `NoSchedule`, as the others write it."""
    return "".join(word.capitalize() for word in effect.split("_")) if "_" in effect else effect


def accelerator_pools(one: Resource) -> list[Pool]:
    """The resource as a pool, if it is one with accelerators."""
    pool = Pool(one)
    return [pool] if pool.hardware else []


def of_stack(stack: Stack) -> list[Pool]:
    return [pool for one in stack.of(*POOLS) for pool in accelerator_pools(one)]
