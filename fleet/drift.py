"""Drift that knows autoscalers: what stands against what the state says, sizes that an autoscaler moved told apart.

Reads the engine's events of `preview --refresh`, in which the engine asks the clouds and changes nothing. A pool's size
belongs to its autoscaler (the programs ignore it), so that another size is no drift while it lies within its bounds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from fleet.inventory.resource import at, number, plain

# By type: where the size stands, and where its bounds do; `*` is a list's index.
_SIZES: dict[str, tuple[tuple[str, ...], str, str]] = {
    "aws:eks/nodeGroup:NodeGroup": (("scalingConfig.desiredSize",), "scalingConfig.minSize", "scalingConfig.maxSize"),
    "aws:autoscaling/group:Group": (("desiredCapacity",), "minSize", "maxSize"),
    "gcp:container/nodePool:NodePool": (
        ("nodeCount", "initialNodeCount", "instanceGroupUrls", "managedInstanceGroupUrls"),
        "autoscaling.minNodeCount",
        "autoscaling.maxNodeCount",
    ),
    "azure-native:containerservice:AgentPool": (("count",), "minCount", "maxCount"),
    "azure-native:containerservice:ManagedCluster": (("agentPoolProfiles.*.count",), "", ""),
    "azure-native:compute:VirtualMachineScaleSet": (("sku.capacity",), "", ""),
}
# What a cloud changes in every answer and nobody decides.
_NOISE = re.compile(r"(^|\.)(etag|lastModified\w*|resourceVersion|generation|managedFields|status|fingerprint)(\.|$)")
_API_VERSION = re.compile(r"^(azure-native:\w+)/v\d{8}\w*:")


@dataclass(frozen=True)
class Difference:
    """One value that stands otherwise than the state says.

    Attributes:
        kind: `autoscaler` for a size within its bounds, `gone` for a resource that is no more, else `changed`.
    """

    kind: Literal["autoscaler", "changed", "gone"]
    type: str
    name: str
    field: str
    state: str | None
    stands: str | None

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def differences(events: Iterable[Mapping[str, Any]]) -> list[Difference]:
    """What the events of `preview --refresh` tell, true drift first."""
    found = [one for event in events for one in _of(event)]
    return in_order(dict.fromkeys(found))


def in_order(found: Iterable[Difference]) -> list[Difference]:
    """True drift first."""
    return sorted(found, key=lambda one: (one.kind == "autoscaler", one.name, one.field))


def _of(event: Mapping[str, Any]) -> Iterator[Difference]:
    """A refresh tells its end in the event of its outputs."""
    step = (event.get("resOutputsEvent") or {}).get("metadata")
    if not step or step["op"] not in ("refresh", "delete") or not (step.get("old") or {}).get("custom"):
        return
    type_, name = _API_VERSION.sub(r"\1:", step["type"]), step["urn"].rsplit("::", 1)[-1]
    if type_.startswith("pulumi:"):
        return
    if not step.get("new"):
        # The plan deletes, too; what a refresh finds gone has no step of its own in the plan.
        if step["op"] == "refresh":
            yield Difference("gone", type_, name, "", None, None)
        return
    old, new = (plain(step[side].get("outputs") or {}) for side in ("old", "new"))
    for path, was, now in leaves(old, new):
        if not _NOISE.search(path):
            kind: Literal["autoscaler", "changed"] = "autoscaler" if _moved(type_, path, new) else "changed"
            yield Difference(kind, type_, name, path, was, now)


def leaves(old: Any, new: Any, path: str = "") -> Iterator[tuple[str, str | None, str | None]]:
    """Where two values differ: path, what it was and what it is; lists item by item while they are as long."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from leaves(old.get(key), new.get(key), f"{path}.{key}".lstrip("."))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from leaves(one, other, f"{path}.{index}")
    elif old != new and not (old in (None, "", [], {}) and new in (None, "", [], {})):
        yield path, _text(old), _text(new)


def _text(value: Any) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _moved(type_: str, path: str, stands: Any) -> bool:
    """Whether this is a size that an autoscaler owns, and lies within its bounds."""
    sizes, least, most = _SIZES.get(type_, ((), "", ""))
    # A list of groups is as long as there are zones with nodes.
    if not any(re.fullmatch(re.escape(size).replace(r"\*", r"\d+") + r"(\.\d+)?", path) for size in sizes):
        return False
    size, low, high = number({"x": at(stands, path)}, "x"), number(stands, least), number(stands, most)
    return size is None or low is None or high is None or low <= size <= high
