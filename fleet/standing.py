"""What stands: pools with their nodes, models with their pods and why a pod waits, as the clusters themselves say.

Reads the stack's outputs and asks each cluster's API through kubectl, with the kubeconfig's own exec plugin. Never
trusts the spec for what is there; the spec only tells what should be.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from fleet.catalog.accelerators import ACCELERATORS
from fleet.catalog.clouds import Cloud
from fleet.catalog.machines import Machine, Offer, host, machine, offer
from fleet.commitments import Billed, CommitmentSpec, CommitmentUse, apply
from fleet.contract import POOL_LABEL, PURCHASE_LABEL
from fleet.cost import BILLED_AS_ON_DEMAND, PoolCost, pool_cost, sum_of
from fleet.engine import Engine
from fleet.kubectl import kubectl
from fleet.workspace import Workspace


@dataclass(frozen=True)
class PoolStanding:
    """One pool: what it is, its ready nodes, the accelerators they offer, and the pods that serve there.

    `sharing` says how each accelerator serves several pods, `slots` how many pods a node takes then.
    `otherwise` counts its nodes that were bought in another way than its first, by that way.
    `missing` counts nodes whose accelerators the device plugin, or the DRA driver, has not brought up.
    `billed_usd_month` is the list price of its nodes that are billed as on-demand, `saved_usd_month` what the stack's
    commitments take from it; `cost` knows nothing of either.
    """

    stack: str
    cluster: str
    cloud: str
    region: str
    pool: str
    accelerator: str
    machine: str
    per_node: int
    slots: int
    sharing: str | None
    purchase: str
    min_nodes: int
    max_nodes: int
    nodes: int
    otherwise: dict[str, int]
    ready: int
    accelerators: int
    missing: int
    pods_ready: int
    pods: int
    cost: PoolCost
    billed_usd_month: Decimal | None = None
    saved_usd_month: Decimal = Decimal(0)

    @property
    def after_usd_month(self) -> Decimal | None:
        """Its price less what commitments take from it; what they cost unused is in none of the pools."""
        return None if self.cost.usd_month is None else self.cost.usd_month - self.saved_usd_month


@dataclass(frozen=True)
class Waiting:
    """A pod that does not run, with the scheduler's or the kubelet's own words."""

    stack: str
    cluster: str
    pod: str
    reason: str


@dataclass
class Standing:
    """Everything that stands in the chosen stacks. `unreachable` names clusters that did not answer, with the error."""

    pools: list[PoolStanding] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    unreachable: dict[str, str] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    commitments: list[CommitmentUse] = field(default_factory=list)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Standing:
        """The other way round, for tests and pictures."""
        pools = [PoolStanding(**{**p, **_money(p), "cost": _cost(p["cost"])}) for p in raw["pools"]]
        uses = [_use(use) for use in raw.get("commitments") or []]
        return cls(pools, [Waiting(**w) for w in raw["waiting"]], raw["unreachable"], raw["absent"], uses)

    def as_json(self) -> dict[str, Any]:
        """The machine-readable form, `version` 1."""
        return {"version": 1, **json.loads(json.dumps(asdict(self), default=str))}


def _money(raw: dict[str, Any]) -> dict[str, Decimal]:
    return {key: Decimal(raw[key]) for key in ("billed_usd_month", "saved_usd_month") if raw.get(key) is not None}


def _use(raw: dict[str, Any]) -> CommitmentUse:
    numbers = {key: Decimal(raw[key]) for key in ("paid", "unused", "covered", "saved")}
    return CommitmentUse(**{**raw, **numbers, "pools": {key: Decimal(usd) for key, usd in raw["pools"].items()}})


def with_commitments(found: Standing, made: Mapping[str, Mapping[str, CommitmentSpec]], now: datetime) -> Standing:
    """The same, with what each stack's commitments make of its pools' prices beside these."""
    uses = [use for stack, of_it in made.items() for use in apply(stack, of_it, _billed(found, stack), now)]
    saved: dict[tuple[str, str], Decimal] = {}
    for use in uses:
        for pool, usd in use.pools.items():
            saved[use.stack, pool] = saved.get((use.stack, pool), Decimal(0)) + usd
    pools = [replace(p, saved_usd_month=saved.get((p.stack, f"{p.cluster}/{p.pool}"), Decimal(0))) for p in found.pools]
    return replace(found, pools=pools, commitments=uses)


def _billed(found: Standing, stack: str) -> list[Billed]:
    return [
        Billed(f"{p.cluster}/{p.pool}", p.cloud, p.region, p.machine, p.billed_usd_month)
        for p in found.pools
        if p.stack == stack and p.billed_usd_month is not None
    ]


def _cost(raw: dict[str, Any]) -> PoolCost:
    numbers = {k: Decimal(raw[k]) if raw[k] is not None else None for k in ("usd_month", "kg_month")}
    return PoolCost(**numbers, price_as_of=raw["price_as_of"])


def standing(workspace: Workspace, stacks: list[str]) -> Standing:
    """Look at every cluster of the stacks."""
    found = Standing()
    for stack in stacks:
        clusters = Engine(workspace, stack).outputs().get("clusters") or {}
        if not clusters:
            found.absent.append(stack)
        for name, outputs in clusters.items():
            _look(workspace, stack, name, outputs, found)
    return found


def _look(workspace: Workspace, stack: str, name: str, outputs: dict[str, Any], found: Standing) -> None:
    about = outputs.get("pools") or {}
    with kubectl(workspace, outputs["kubeconfig"]) as cluster:
        try:
            nodes, pods = (cluster.items("get", kind, "-A") for kind in ("nodes", "pods"))
            claimed = any(pool.get("deviceClass") for pool in about.values())
            slices = cluster.items("get", "resourceslices", "-A") if claimed else []
        except RuntimeError as error:
            found.unreachable[f"{stack}/{name}"] = str(error)
            return
    for pool, told in about.items():
        found.pools.append(_pool(stack, name, outputs, pool, told, nodes, pods, slices))
    found.waiting += [Waiting(stack, name, _full_name(pod), reason) for pod in pods if (reason := why_waits(pod))]


def _pool(
    stack: str,
    cluster: str,
    outputs: dict[str, Any],
    pool: str,
    about: dict[str, Any],
    nodes: list[Any],
    pods: list[Any],
    slices: list[Any],
) -> PoolStanding:
    mine = [n for n in nodes if n["metadata"]["labels"].get(POOL_LABEL) == pool]
    names = {n["metadata"]["name"] for n in mine}
    offered = [_offered(node, about, slices) for node in mine]
    serving = [
        p
        for p in pods
        if (p["spec"].get("nodeSelector") or {}).get(POOL_LABEL) == pool and p["metadata"].get("deletionTimestamp") is None
    ]
    per_node, slots = int(about["perNode"]), int(about["slots"])
    cloud = Cloud(outputs["cloud"])
    ways = Counter(n["metadata"]["labels"].get(PURCHASE_LABEL, about["purchase"]) for n in mine)
    row, price = _priced(cloud, outputs["region"], about)
    bought = partial(pool_cost, cloud, outputs["region"], row, price)
    billed = [bought(purchase=how, nodes=ways[how]).usd_month for how in BILLED_AS_ON_DEMAND if ways[how]]
    cost = bought(purchase=about["purchase"], nodes=ways.pop(about["purchase"], 0))
    for purchase, nodes_so in ways.items():
        cost = sum_of(cost, bought(purchase=purchase, nodes=nodes_so))
    return PoolStanding(
        stack=stack,
        cluster=cluster,
        cloud=str(cloud),
        region=outputs["region"],
        pool=pool,
        accelerator=about["accelerator"],
        machine=about["machine"],
        per_node=per_node,
        slots=slots,
        sharing=about["sharing"],
        purchase=about["purchase"],
        min_nodes=int(about["minNodes"]),
        max_nodes=int(about["maxNodes"]),
        nodes=len(mine),
        otherwise=dict(ways),
        ready=sum(is_ready(n) for n in mine),
        accelerators=sum(offered) * per_node // slots,
        missing=sum(o < slots for o in offered),
        pods_ready=sum(is_ready(p) for p in serving if p["spec"].get("nodeName") in names),
        pods=len(serving),
        cost=cost,
        billed_usd_month=sum((usd for usd in billed if usd is not None), Decimal(0)) if None not in billed else None,
    )


def _offered(node: dict[str, Any], about: dict[str, Any], slices: list[Any]) -> int:
    """Accelerators of a node that pods can have: counted by the kubelet, or published by a DRA driver."""
    if driver := about.get("deviceClass"):
        mine = [s["spec"] for s in slices if s["spec"].get("nodeName") == node["metadata"]["name"]]
        return sum(len(spec.get("devices") or []) for spec in mine if spec["driver"] == driver)
    return int(node["status"].get("allocatable", {}).get(about["resource"], 0))


def _priced(cloud: Cloud, region: str, about: dict[str, Any]) -> tuple[Machine | None, Offer | None]:
    """The pool's machine and its price: the catalogue's, or what the owner of the hosts said one costs."""
    if cloud is not Cloud.EXISTING:
        row = machine(cloud, about["machine"], about["accelerator"])
        return row, offer(row, region) if row else None
    made = host(ACCELERATORS[about["accelerator"]], int(about["perNode"]), 0, 0)
    hourly = about.get("usdHour")
    if hourly is None:
        return made, None
    own = Decimal(str(hourly))
    return made, Offer(region=region, machine=made, on_demand=own, spot=None, source="hosts.usd_hour", as_of="stack file")


def is_ready(thing: dict[str, Any]) -> bool:
    """Whether a node or a pod says that it is."""
    conditions = thing.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _full_name(pod: dict[str, Any]) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def why_waits(pod: dict[str, Any]) -> str:
    """Why a pod waits: the scheduler's message, or the container's; empty for one that runs or is done."""
    status = pod.get("status", {})
    if status.get("phase") not in ("Pending", "Running"):
        return ""
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message") or condition.get("reason") or "not scheduled")
    for container in status.get("containerStatuses") or []:
        if waiting := (container.get("state") or {}).get("waiting"):
            return f"{waiting.get('reason')}: {waiting.get('message', '')}".rstrip(": ")
    return "starting" if status["phase"] == "Pending" else ""
