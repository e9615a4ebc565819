"""Rules about accelerator pools: taints, bounds, money, carbon, quota, spot, TPU slices. Their figures are the catalogue's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import regions_with
from fleet.cost import pool_cost
from policies.accel_policies import aws, azure, gcp
from policies.accel_policies.pools import POOLS, Pool, accelerator_pools, of_stack
from policies.accel_policies.rule import Found, FoundAt, Rules, Severity, Stack, Told
from policies.accel_policies.settings import Settings
from policies.accel_policies.workloads import DAEMON_SET, RELEASE

rules = Rules("accelerators")
CRITICAL, HIGH, MEDIUM = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM

_KEEPS_OFF = ("NoSchedule", "NoExecute")
_PLUGIN_WORDS = ("device-plugin", "gpu-operator", "dra-driver", "network-operator", "neuron-helm")
_OWNER_WORDS = ("owner", "team", "cost-center", "cost_center")
_END_WORDS = ("expires", "expiry", "ttl")
_MACHINES_OF_SPOT = 3


@rules.on(
    "accel-pool-taint",
    CRITICAL,
    POOLS,
    mend="add a NoSchedule taint with the accelerator's resource name as its key",
    parts=accelerator_pools,
)
def _taint(pool: Pool, _: Settings) -> Iterator[Found]:
    """A pool of accelerators keeps other pods off.

    Any small pod else lands there, keeps a costly node alive, and takes the place of one that needs it.
    """
    # GKE taints its GPU and TPU nodes itself.
    # https://cloud.google.com/kubernetes-engine/docs/how-to/gpus#create, read 2026-11-29
    if pool.cloud is Cloud.GCP:
        return
    if not any(effect in _KEEPS_OFF for _, effect in pool.taints):
        yield "nodeTaints" if pool.cloud is Cloud.AZURE else "taints", None


@rules.on("accel-pool-max", CRITICAL, POOLS, mend="set the autoscaler's bound", parts=accelerator_pools)
def _max(pool: Pool, _: Settings) -> Iterator[Found]:
    """A pool of accelerators has a bound.

    One wrong replica count is else a bill that nobody agreed to.
    """
    if pool.most is None:
        yield pool.most_path, None


@rules.on(
    "accel-pool-idle",
    MEDIUM,
    POOLS,
    mend="set the least nodes to 0, or waive it with the reason why they must stand",
    parts=accelerator_pools,
)
def _idle(pool: Pool, _: Settings) -> Iterator[Found]:
    """A pool of accelerators goes to zero when nobody needs it.

    Nodes that stand for nobody are most of what such platforms pay.
    """
    if pool.least > 0:
        usd = pool.usd_hour
        cost = f"{usd * pool.least:.2f} USD an hour by list price" if usd is not None else "at a price that nobody knows"
        yield pool.stands_path, Told(f"{pool.least}: {cost}, used or not")


@rules.on("accel-budget", CRITICAL, POOLS, mend="lower the bounds, or raise policies.limits.usd_hour", whole=True)
def _budget(stack: Stack, settings: Settings) -> Iterator[FoundAt]:
    """All pools at their bounds cost no more than the stack file allows.

    A bound that nobody multiplied is none.
    """
    pools, most = of_stack(stack), settings.limits.usd_hour
    if most is None or not pools:
        return
    costs = [None if p.usd_hour is None or p.most is None else p.usd_hour * p.most for p in pools]
    known = sum((cost for cost in costs if cost is not None), Decimal(0))
    if known > Decimal(str(most)):
        dearest = max(zip(costs, pools, strict=True), key=lambda pair: pair[0] or Decimal(0))[1]
        unknown = sum(cost is None for cost in costs)
        rest = f", {unknown} of {len(pools)} pools of no known price not counted" if unknown else ""
        yield dearest.resource, dearest.most_path, Told(f"part of {known:.2f} USD an hour, of {most} allowed{rest}")


@rules.on(
    "accel-quota", CRITICAL, POOLS, mend="ask the cloud for more (fleet quota says where), or lower the bounds", whole=True
)
def _quota(stack: Stack, settings: Settings) -> Iterator[FoundAt]:
    """No more accelerators are asked for than the cloud granted, where the stack file records it.

    What the quota refuses shows as pods that wait, on the day of the launch.
    """
    pools = of_stack(stack)
    for name, granted in settings.limits.accelerators.items():
        of_name = [pool for pool in pools if pool.name == name]
        asked = sum(pool.accelerators * (pool.most or 0) for pool in of_name)
        if asked > granted:
            yield of_name[0].resource, of_name[0].most_path, Told(f"part of {asked} {name}, of {granted} granted")


@rules.on(
    "accel-spot-fallback", HIGH, POOLS, mend="add an on-demand pool of the same accelerator that starts at zero", whole=True
)
def _fallback(stack: Stack, _: Settings) -> Iterator[FoundAt]:
    """A spot pool has an on-demand pool of the same accelerator to fall back on.

    While the market is empty nothing else brings the pods back.
    """
    pools = of_stack(stack)
    steady = {pool.name for pool in pools if not pool.spot}
    for pool in pools:
        if pool.spot and pool.name not in steady:
            yield pool.resource, pool.machine_path, Told(f"spot only, with no on-demand pool of {pool.name}")


@rules.on(
    "accel-spot-spread",
    HIGH,
    POOLS,
    mend=f"give the pool two zones or more, or {_MACHINES_OF_SPOT} machine types",
    parts=accelerator_pools,
)
def _spread(pool: Pool, _: Settings) -> Iterator[Found]:
    """A spot pool draws from two zones or several machine types.

    One market that runs dry else takes all of it at once.
    """
    if pool.spot and len(pool.names) < _MACHINES_OF_SPOT and len(pool.zones) < 2:
        zones = {Cloud.AWS: "subnetIds", Cloud.GCP: "nodeLocations"}.get(pool.cloud, "availabilityZones")
        yield zones, Told(f"{len(pool.zones)} of {len(pool.names)} machine type")


@rules.on(
    "accel-region-lacks",
    CRITICAL,
    gcp.NODE_POOL,
    mend="move to a region that has it, or take another machine",
    parts=accelerator_pools,
)
def _lacks(pool: Pool, _: Settings) -> Iterator[Found]:
    """The machine is sold in that region.

    The apply else fails at its last step, after everything else was made.
    """
    row, where = pool.hardware, str(pool.view("location", ""))
    if row is None or not where:
        return
    region = where if where.count("-") < 2 else where.rpartition("-")[0]
    sold = regions_with(row)
    if sold and region not in sold:
        yield "location", Told(f"{where}, which has no {row.name}; there are {', '.join(sold[:3])}")


@rules.on(
    "accel-dear-needs-owner", HIGH, POOLS, mend="tag the pool with owner and expires (YYYY-MM-DD)", parts=accelerator_pools
)
def _dear(pool: Pool, settings: Settings) -> Iterator[Found]:
    """A dear on-demand pool says whose it is and when it ends.

    A month of one forgotten eight-GPU node costs as much as a car.
    """
    price = pool.usd_hour
    if pool.spot or price is None or price <= Decimal(str(settings.limits.on_demand_usd_hour)):
        return
    owner = [v for k, v in pool.tags.items() if any(word in k.lower() for word in _OWNER_WORDS)]
    ends = [v for k, v in pool.tags.items() if any(word in k.lower() for word in _END_WORDS)]
    if not owner:
        yield pool.labels_path, Told(f"without owner, at {price:.2f} USD an hour a node")
    if not ends:
        yield pool.labels_path, Told(f"without expires, at {price:.2f} USD an hour a node")
    elif date.fromisoformat(ends[0]) < settings.today:
        yield pool.labels_path, Told(f"expired on {ends[0]}")


@rules.on(
    "accel-tpu-topology",
    CRITICAL,
    gcp.NODE_POOL,
    mend="set as many nodes as the topology has chips for one machine",
    parts=accelerator_pools,
)
def _topology(pool: Pool, _: Settings) -> Iterator[Found]:
    """A TPU slice has just the nodes that its topology needs.

    GKE refuses any other number, or makes a slice that never becomes whole.
    """
    shape = pool.view("placementPolicy.tpuTopology")
    if pool.family is not Family.TPU or shape is None:
        return
    needed = math.prod(int(side) for side in str(shape).split("x")) // pool.accelerators
    if pool.fixed != needed:
        yield "nodeCount", Told(f"{pool.fixed}, and {shape} of {pool.accelerators} chips a node needs {needed}")


@rules.on(
    "accel-gpu-driver",
    CRITICAL,
    gcp.NODE_POOL,
    mend="set gpuDriverInstallationConfig.gpuDriverVersion: DEFAULT",
    parts=accelerator_pools,
)
def _driver(pool: Pool, _: Settings) -> Iterator[Found]:
    """A GKE pool of GPUs says who installs the driver.

    Nodes without one offer no GPU, and can stop the autoscaler for the whole cluster.
    """
    for guest in pool.view.maps("nodeConfig.guestAccelerators"):
        if guest("gpuDriverInstallationConfig.gpuDriverVersion") is None:
            yield guest.at("gpuDriverInstallationConfig.gpuDriverVersion"), None


@rules.on(
    "accel-device-plugin",
    CRITICAL,
    (aws.NODE_GROUP, azure.AGENT_POOL),
    mend="install the vendor's device plugin, or its operator",
    whole=True,
)
def _plugin(stack: Stack, _: Settings) -> Iterator[FoundAt]:
    """A cluster with accelerators has a plugin that counts them.

    Without, nodes have none to offer, pods wait for ever, and cluster-autoscaler can stop for all pools.
    """
    # Where nothing of Kubernetes is made here, the plugin is somebody else's.
    if not any(one.type.startswith("kubernetes:") for one in stack.resources):
        return
    named = [str(one.view("metadata.name", one.name)) for one in stack.of(DAEMON_SET)]
    named += [str(one.view("chart", "")) for one in stack.of(RELEASE)]
    if not any(word in name for name in named for word in _PLUGIN_WORDS):
        for pool in of_stack(stack):
            if pool.cloud is not Cloud.GCP:
                yield pool.resource, pool.machine_path, Told(f"{pool.names[0]}, with no device plugin in the stack")


@rules.on(
    "accel-pool-repair",
    MEDIUM,
    gcp.NODE_POOL,
    mend="set management.autoRepair: true",
    refs=("CIS GKE 5.5.2", "CKV_GCP_9"),
    parts=accelerator_pools,
)
def _repair(pool: Pool, _: Settings) -> Iterator[Found]:
    """A broken accelerator node is replaced.

    One with a dead GPU else takes pods and fails every one of them.
    """
    if not pool.view("management.autoRepair", False):
        yield "management.autoRepair", pool.view("management.autoRepair")


@rules.on(
    "accel-upgrade-surge",
    HIGH,
    (gcp.NODE_POOL, azure.AGENT_POOL),
    mend="set maxSurge to 0 and maxUnavailable to 1",
    parts=accelerator_pools,
)
def _surge(pool: Pool, _: Settings) -> Iterator[Found]:
    """An upgrade replaces accelerator nodes in place.

    A surge asks for one more of what there is none of, and the upgrade hangs on the quota.
    """
    # Both clouds take one more node where nothing is said; spot pools of AKS know no such setting.
    surge = pool.view("upgradeSettings.maxSurge", 1)
    if str(surge) not in ("0", "0%") and not (pool.cloud is Cloud.AZURE and pool.spot):
        yield "upgradeSettings.maxSurge", pool.view("upgradeSettings.maxSurge")


@rules.on("accel-carbon-budget", MEDIUM, POOLS, mend="lower the bounds, or move to a cleaner region (fleet place)", whole=True)
def _carbon(stack: Stack, settings: Settings) -> Iterator[FoundAt]:
    """All pools at their bounds emit no more than the stack file allows.

    The budget of a year else goes in a quarter, and shows in the report of the next.
    """
    most, pools = settings.limits.carbon_kg_month, of_stack(stack)
    if most is None or not pools:
        return
    emitted = [(_kg_month(pool, stack), pool) for pool in pools]
    known = sum((kg for kg, _ in emitted if kg is not None), Decimal(0))
    if known > Decimal(str(most)):
        pool = max(emitted, key=lambda pair: pair[0] or Decimal(0))[1]
        yield pool.resource, pool.most_path, Told(f"part of {known:.0f} kgCO2e a month, of {most} allowed")


def _kg_month(pool: Pool, stack: Stack) -> Decimal | None:
    """At its bound; None where the grid, the watts or the bound are unknown."""
    nodes = pool.most
    if nodes is None:
        return None
    return pool_cost(pool.cloud, _region(pool, stack), pool.hardware, None, purchase="", nodes=nodes).kg_month


def _region(pool: Pool, stack: Stack) -> str:
    """GKE's pools say where they are; of the others the cluster or the provider does."""
    where = str(pool.view("location", pool.view("region", "")))
    if pool.cloud is Cloud.GCP:
        return where if where.count("-") < 2 else where.rpartition("-")[0]
    elsewhere = [str(one.view("region", one.view("location", ""))) for one in stack.of(aws.PROVIDER, azure.CLUSTER)]
    return where or next(iter(elsewhere), "")
