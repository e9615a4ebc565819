"""Facts about one way to buy a pool's nodes: where it is sold, and what it must say.

What a cloud calls a reservation is checked by its form alone; whether it exists only its account knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from fleet.catalog.accelerators import Family
from fleet.catalog.clouds import Cloud, zones
from fleet.catalog.machines import PURCHASES, Machine, machines_with
from fleet.checks.finding import Finding, Path, fields, listed, nearest
from fleet.plan import COMES_AND_GOES, LONGEST_FLEX_H, choose_machine
from fleet.spec import ClusterSpec, PoolSpec, Provisioning, Purchase, RungSpec

_ONLY = {Purchase.CAPACITY_BLOCK: Cloud.AWS, Purchase.FLEX_START: Cloud.GCP}
# Families of machines that EC2 sells in Capacity Blocks; read 2026-11-23.
# https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-capacity-blocks.html
_IN_BLOCKS = ("p4d.", "p4de.", "p5.", "p5e.", "p5en.", "p6-b200.", "trn1.", "trn2.")
# What Dynamic Workload Scheduler hands out.
_QUEUED = (Family.NVIDIA, Family.TPU)
# But for TPU v3, by GKE's own autoscaler (k8s.io/gke-autoscaling, gke/machinetypes), read 2026-11-23.
_NOT_QUEUED = ("ct3-", "ct3p-")
# Each cloud's own form, and an example to mend by.
_FORM = {
    Cloud.AWS: (r"cr-[0-9a-f]{8,17}", "cr-0123456789abcdef0"),
    Cloud.GCP: (r"(projects/[a-z0-9.:-]+/reservations/)?[a-z]([-a-z0-9]{0,61}[a-z0-9])?", "training-a3"),
    Cloud.AZURE: (
        r"(?i)/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Compute/capacityReservationGroups/[^/]+",
        "/subscriptions/…/resourceGroups/…/providers/Microsoft.Compute/capacityReservationGroups/…",
    ),
}


def check(where: Path, rung: RungSpec, pool: PoolSpec, cluster: ClusterSpec, *, first: bool) -> Iterator[Finding]:
    """Faults of one rung; `where` is the rung's object, or the short form's word."""
    word = (*where, "purchase") if isinstance(where[-1], int) else where
    if cluster.cloud is not _ONLY.get(rung.purchase, cluster.cloud):
        here = [str(p) for p in Purchase if _ONLY.get(p, cluster.cloud) is cluster.cloud]
        message = f"{rung.purchase} is sold by {_ONLY[rung.purchase]} alone"
        needs = (word, (*where[:2], "cloud"))
        yield Finding(word, message, repr(str(rung.purchase)), listed(here), "buy it otherwise there", needs=needs)
        return
    yield from _sold(word, rung.purchase, pool, cluster)
    if not isinstance(where[-1], int):
        return
    yield from _reserved(where, rung, cluster)
    yield from _bounds(where, rung, pool, first=first)
    yield from _hours(where, rung)
    yield from _wait(where, rung, cluster)
    yield from _zone(where, rung, cluster)


def _reserved(where: Path, rung: RungSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    bought = rung.purchase in (Purchase.RESERVATION, Purchase.CAPACITY_BLOCK)
    at = (*where, "reservation")
    needs = (at, *fields(where, "purchase"), (*where[:2], "cloud"))
    form, example = _FORM[cluster.cloud]
    if bought and rung.reservation is None:
        message = f"a {rung.purchase} needs to say which it is"
        yield Finding(where, message, allowed=f"reservation: {example}", remedy="add reservation", needs=needs)
    elif rung.reservation is not None and not bought:
        message = f"{rung.purchase} takes no reservation"
        remedy = "take it away, or set purchase: reservation"
        allowed = "reservation, beside purchase: reservation or capacity-block"
        yield Finding(at, message, repr(rung.reservation), allowed, remedy, needs=needs)
    elif rung.reservation is not None and not re.fullmatch(form, rung.reservation):
        message = f"no reservation on {cluster.cloud} is called so"
        yield Finding(
            at, message, repr(rung.reservation), f"such as {example}", "copy it from the cloud's console", needs=needs
        )
    # One zone's machines cannot start in another's subnet; an Azure group may span the region.
    if bought and rung.zone is None and cluster.cloud is not Cloud.AZURE:
        message = f"a {rung.purchase} is in one zone"
        read = (*fields(where, "purchase", "zone"), (*where[:2], "cloud"))
        yield Finding(where, message, allowed=listed(zones(cluster.cloud, cluster.region)), remedy="add zone", needs=read)


def _bounds(where: Path, rung: RungSpec, pool: PoolSpec, *, first: bool) -> Iterator[Finding]:
    nodes = (*where[:-2], "nodes")
    if rung.nodes is not None and rung.nodes > pool.nodes.max:
        at = (*where, "nodes")
        message = f"is above the pool's {pool.nodes.max} nodes"
        remedy = "lower it, or raise nodes.max"
        yield Finding(at, message, str(rung.nodes), f"up to {pool.nodes.max}", remedy, needs=(at, nodes))
    most = 0 if rung.purchase in COMES_AND_GOES else rung.nodes
    if first and most is not None and pool.nodes.min > most:
        message = (
            f"nodes of the first rung, {rung.purchase}, are {'never certain to stand' if most == 0 else f'{most} at most'}"
        )
        at = (*nodes, "min")
        needs = (at, *fields(where, "purchase", "nodes"))
        yield Finding(at, message, str(pool.nodes.min), f"up to {most}", "lower min, or put another rung first", needs=needs)


def _hours(where: Path, rung: RungSpec) -> Iterator[Finding]:
    word = fields(where, "purchase")
    flex, block = rung.purchase is Purchase.FLEX_START, rung.purchase is Purchase.CAPACITY_BLOCK
    if rung.hours is not None and not (flex and rung.hours <= LONGEST_FLEX_H):
        at = (*where, "hours")
        message = "a flex-start node runs for a week at most" if flex else f"{rung.purchase} has no hours"
        allowed = f"1 to {LONGEST_FLEX_H}" if flex else "hours, beside purchase: flex-start"
        yield Finding(at, message, str(rung.hours), allowed, "lower it" if flex else "take it away", needs=(at, *word))
    if block and rung.ends is None:
        message = "a capacity block is taken back at its end, with all that runs on it"
        allowed = "ends: 2027-01-31T11:30:00Z"
        yield Finding(
            where, message, allowed=allowed, remedy="add ends, so that nodes are drained before", needs=(where, *word)
        )
    elif rung.ends is not None:
        at = (*where, "ends")
        if not block:
            message = f"{rung.purchase} has no end"
            yield Finding(
                at, message, str(rung.ends), "ends, beside purchase: capacity-block", "take it away", needs=(at, *word)
            )
        elif rung.ends <= datetime.now(UTC):
            message = "that block is over"
            yield Finding(at, message, str(rung.ends), "a time to come", "take the rung away, or name the next block")


def _wait(where: Path, rung: RungSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """Of all ways to buy only flex-start queues: of the others a cloud says at once whether it has machines."""
    if rung.wait_minutes is None:
        return
    at = (*where, "wait_minutes")
    if rung.purchase is not Purchase.FLEX_START:
        message = f"nobody queues for {rung.purchase}: the next rung has its turn as soon as there are no machines"
        allowed, needs = "wait_minutes, beside purchase: flex-start", (at, (*where, "purchase"))
        yield Finding(at, message, str(rung.wait_minutes), allowed, "take it away", needs=needs)
    elif cluster.provisioning is not Provisioning.AUTO:
        message = "a node pool of ours cannot say how long it is queued for; a ComputeClass that makes pools can"
        needs = (at, (*where[:2], "provisioning"))
        remedy = "take it away, or set provisioning: auto"
        yield Finding(at, message, str(rung.wait_minutes), "provisioning: auto", remedy, needs=needs)


def _zone(where: Path, rung: RungSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    known = zones(cluster.cloud, cluster.region)
    if rung.zone is None or not known or rung.zone in known:
        return
    at = (*where, "zone")
    needs = (at, *fields(where[:2], "cloud", "region"))
    remedy = nearest(rung.zone, known, "choose one of these")
    yield Finding(at, f"is no zone of {cluster.region}", repr(rung.zone), listed(known), remedy, needs=needs)


def _sold(where: Path, purchase: Purchase, pool: PoolSpec, cluster: ClusterSpec) -> Iterator[Finding]:
    """A machine that its cloud does not sell in this way."""
    try:
        row = choose_machine(pool, cluster)
    except LookupError:
        return
    base = where[:4]
    needs = (where, *fields(base, "accelerator", "machine", "per_node"), *fields(where[:2], "cloud", "region"))
    if purchase is Purchase.CAPACITY_BLOCK and not row.name.startswith(_IN_BLOCKS):
        allowed = ", ".join(family.rstrip(".") for family in _IN_BLOCKS)
        message = f"{row.name} is not sold in capacity blocks"
        yield Finding(where, message, "'capacity-block'", allowed, "buy it otherwise, or choose another machine", needs=needs)
    elif purchase is Purchase.FLEX_START and not _queued(row):
        message = f"{row.name} is not sold flex-start"
        yield Finding(where, message, "'flex-start'", "GPUs, and TPUs from v4 on", "buy it otherwise", needs=needs)
    elif purchase in (Purchase.SPOT, Purchase.ON_DEMAND) and purchase not in row.purchases:
        here = machines_with(cluster.cloud, pool.accelerator, cluster.region)
        others = [m.name for m in here if purchase in m.purchases]
        message = f"{row.name} is not sold {purchase}"
        allowed = f"{listed(row.purchases)}; {purchase} there is {listed(others)}"
        how = row.purchases[0]
        write = f"set purchase: {how}" if how in PURCHASES else f"write `capacity: [{{purchase: {how}, …}}]`"
        instead = "leave fallback out" if where[-1] == "fallback" else write
        yield Finding(where, message, repr(str(purchase)), allowed, f"{instead}, or choose another machine", needs=needs)


def _queued(row: Machine) -> bool:
    assert row.accelerator is not None
    return row.accelerator.family in _QUEUED and not row.name.startswith(_NOT_QUEUED)
