"""What a change to a stack file does to the things of the stack: makes, changes, makes anew, takes away.

Told from the two files and what is planned from them, so that a boot disk that grows with a model's weights is seen
too. Values that no file has (what an autoscaler did, what somebody did by hand) are not here: `fleet preview` has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.catalog.clouds import Cloud
from fleet.catalog.sharing import SharingMode
from fleet.contract import AcceleratorPool
from fleet.plan import pools
from fleet.report.model import Change, FieldChange
from fleet.spec import ClusterSpec, StackSpec

# Of a cluster: with another of these it is another cluster, as each cloud's API says of its network and cluster.
# https://docs.aws.amazon.com/vpc/latest/userguide/vpc-cidr-blocks.html (a VPC keeps its first range)
_ANEW = (
    "cloud",
    "region",
    "network.cidr",
    "network.existing.id",
    "network.existing.pods",
    "network.existing.services",
)
_KINDS = {"pools": "pool", "stores": "store", "models": "model", "tpu_vms": "TPU VM", "teams": "team"}
_LOST = {
    "store": "its objects go with it",
    "pool": "its nodes go, with what runs there",
    "TPU VM": "what is on its disk goes with it",
    "team": "its namespace goes",
}
_STORE_UNSAFE = {"versioned": "false", "protect": "false"}


def changes(stack: str, before: StackSpec | None, after: StackSpec | None) -> tuple[Change, ...]:
    """Everything that differs, what is destructive first."""
    found = sorted(_stack(stack, before, after), key=lambda change: not change.destructive)
    return tuple(found)


def _stack(stack: str, before: StackSpec | None, after: StackSpec | None) -> Iterator[Change]:
    if before is None or after is None:
        for name, cluster in (after or before).clusters.items() if after or before else ():  # type: ignore[union-attr]
            yield _whole("create" if after else "delete", name, cluster)
        return
    own = tuple(_fields(_data(before, without="clusters"), _data(after, without="clusters")))
    if own:
        unsafe = before.environment != after.environment and before.environment == "prod"
        yield Change("update", "stack", stack, own, "what prod protects is protected no more" if unsafe else "")
    for name in _names(before.clusters, after.clusters):
        yield from _cluster(stack, name, before.clusters.get(name), after.clusters.get(name))


def _whole(kind: Any, name: str, cluster: ClusterSpec) -> Change:
    count = {what: len(getattr(cluster, field)) for field, what in _KINDS.items()}
    inside = ", ".join(f"{number} {what}{'s' if number > 1 else ''}" for what, number in count.items() if number)
    lost = ", and the objects of its stores" if kind != "create" and cluster.stores else ""
    return Change(kind, "cluster", name, (), (f"with {inside}" if inside else "") + lost)


def _cluster(stack: str, name: str, before: ClusterSpec | None, after: ClusterSpec | None) -> Iterator[Change]:
    if before is None or after is None:
        yield _whole("create" if after else "delete", name, after or before)  # type: ignore[arg-type]
        return
    own = tuple(_fields(_data(before, without=tuple(_KINDS)), _data(after, without=tuple(_KINDS))))
    anew = tuple(field for field in own if field.field in _ANEW)
    if anew:
        made = _whole("replace", name, before)
        yield Change("replace", "cluster", name, own, f"it is made anew, {made.why}".removesuffix(", "))
        return
    if own:
        yield Change("update", "cluster", name, own, _older(before, after))
    yield from _pools(stack, name, before, after)
    for field in ("stores", "models", "tpu_vms", "teams"):
        old, new = getattr(before, field), getattr(after, field)
        for key in _names(old, new):
            yield from _entry(_KINDS[field], f"{name}/{key}", old.get(key), new.get(key))


def _older(before: ClusterSpec, after: ClusterSpec) -> str:
    def minor(cluster: ClusterSpec) -> int | None:
        return int(cluster.kubernetes.split(".")[1]) if cluster.kubernetes else None

    old, new = minor(before), minor(after)
    return "no cloud takes a cluster back to an older Kubernetes" if old and new and new < old else ""


def _entry(what: str, name: str, before: Any, after: Any) -> Iterator[Change]:
    if before is None:
        yield Change("create", what, name)
    elif after is None:
        yield Change("delete", what, name, (), _LOST.get(what, ""))
    elif fields := tuple(_fields(_data(before), _data(after))):
        if what == "TPU VM" and any(field.field not in ("reads", "writes") for field in fields):
            yield Change("replace", what, name, fields, f"it is made anew, and {_LOST[what]}")
            return
        unsafe = what == "store" and any(_STORE_UNSAFE.get(field.field) == field.after for field in fields)
        yield Change("update", what, name, fields, "its objects are less safe than before" if unsafe else "")


def _pools(stack: str, cluster: str, before: ClusterSpec, after: ClusterSpec) -> Iterator[Change]:
    old, new = pools(stack, cluster, before), pools(stack, cluster, after)
    for name in _names(old, new):
        where = f"{cluster}/{name}"
        if name not in old:
            yield Change("create", "pool", where)
            continue
        if name not in new:
            yield Change("delete", "pool", where, (), _LOST["pool"])
            continue
        written = tuple(_fields(_data(before.pools[name]), _data(after.pools[name])))
        made = tuple(_made_anew(old[name], new[name]))
        if made:
            said = {field.field for field in made}
            rest = (field for field in written if field.field not in said)
            yield Change("replace", "pool", where, (*made, *rest), "its nodes are made anew")
        elif written:
            yield Change("update", "pool", where, written)


def _made_anew(before: AcceleratorPool, after: AcceleratorPool) -> Iterator[FieldChange]:
    """What no node that stands can be given."""
    old = {rung.physical_name: _fixed(rung) for rung in before.rungs}
    new = {rung.physical_name: _fixed(rung) for rung in after.rungs}
    first = before.physical_name
    for rung, was in old.items():
        if rung not in new:
            yield FieldChange(f"{rung} in the cloud", was["purchase"], None)
            continue
        for name, value in was.items():
            if value != new[rung][name]:
                yield FieldChange(name if rung == first else f"{name} of {rung}", value, new[rung][name])


def _fixed(rung: AcceleratorPool) -> dict[str, str]:
    """By what name, and how, a node of this rung is made; another value is another node."""
    # Elsewhere sharing is set by a label that the device plugin reads.
    cut = rung.sharing is not None and (rung.cloud is Cloud.GCP or rung.sharing.mode is SharingMode.MIG)
    return {
        "machine": rung.machine.name,
        "accelerator": rung.accelerator.name,
        "purchase": rung.purchase,
        "reservation": str(rung.terms.reservation or "none") if rung.terms else "none",
        "zones": " ".join(sorted(rung.zones)),
        "disk_gib": str(rung.disk_gib),
        "topology": rung.tpu.topology if rung.tpu else "none",
        "sharing": str(rung.sharing) if cut else "none",
        "fabric": rung.fabric.label if rung.fabric else "none",
        "numa": str(rung.numa or "none"),
        "hosts": " ".join(rung.hosts.names) if rung.hosts else "none",
        "provisioning": "auto" if rung.auto else "groups",
    }


def _names(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [*before, *(name for name in after if name not in before)]


def _data(spec: Any, without: str | tuple[str, ...] = ()) -> dict[str, Any]:
    made: dict[str, Any] = spec.model_dump(mode="json", exclude={without} if isinstance(without, str) else set(without))
    return made


def _fields(before: Any, after: Any, path: str = "") -> Iterator[FieldChange]:
    """Leaves that differ, by their dotted path; a list is one leaf."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in _names(before, after):
            yield from _fields(before.get(name), after.get(name), f"{path}.{name}".lstrip("."))
    elif before != after:
        yield FieldChange(path, _text(before), _text(after))


def _text(value: Any) -> str | None:
    if value is None or value in ([], {}):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(_text(one) or "" for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(one)}" for key, one in value.items() if one is not None)
    return str(value)
