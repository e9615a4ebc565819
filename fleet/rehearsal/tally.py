"""What a change did to one cluster, told from every change of its pods, nodes and endpoints. Asks nobody, knows no clock.

A workload is disrupted while fewer of its pods are ready than it had before and is to have afterwards: a rollout that
takes one away only when the next is ready disrupts nothing, and neither does being told to be fewer. Pods of DaemonSets
come and go with their nodes, and those of Jobs by themselves, so that neither counts.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from fleet.contract import POOL_LABEL
from fleet.kubectl import Object
from fleet.report.model import Disruption, Stuck
from fleet.standing import is_ready, why_waits

# (kind, `namespace/name`)
Key = tuple[str, str]
_COME_AND_GO = ("DaemonSet", "Job", "Node", "Pod")
_SERVICE = "Service"
_OF_SERVICE = "kubernetes.io/service-name"
_HASH = "pod-template-hash"


@dataclass
class Found:
    """Of one cluster: what was disrupted, what does not come up, nodes that went by pool, and pools that pods landed on."""

    disruptions: list[Disruption]
    stuck: list[Stuck]
    nodes_gone: Counter[str]
    landed: set[str]


@dataclass
class _Line:
    """How many were ready, from when on; the pods of before that went."""

    had: int
    points: list[tuple[float, int]]
    went: set[str] = field(default_factory=set)

    def put(self, at: float, count: int) -> None:
        if self.points[-1][1] != count:
            self.points.append((at, count))

    def below(self, wanted: int, end: float) -> float:
        """Seconds with fewer than that."""
        ends = [*(at for at, _ in self.points[1:]), end]
        return sum(max(0.0, until - at) for (at, count), until in zip(self.points, ends, strict=True) if count < wanted)


class Tally:
    """One cluster: `see` every change, `begin` when the change begins, `end` when all has come to rest."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster
        # Streams tell what they see while others ask.
        self._lock = threading.Lock()
        self._pods: dict[str, Object] = {}
        self._nodes: dict[str, Object] = {}
        self._slices: dict[str, Object] = {}
        self._lines: dict[Key, _Line] | None = None
        self._nodes_before: dict[str, Object] = {}
        self._stuck_before: set[Key] = set()
        self._names_before: dict[Key, set[str]] = {}
        self._given_up: dict[Key, Object] = {}
        self.moved = 0.0

    def see(self, at: float, kind: str, there: bool, thing: Object) -> None:
        """Take a change in."""
        with self._lock:
            self._see(at, kind, there, thing)

    def _see(self, at: float, kind: str, there: bool, thing: Object) -> None:
        kept = {"pods": self._pods, "nodes": self._nodes, "endpointslices": self._slices}[kind]
        uid = thing["metadata"]["uid"]
        if there:
            kept[uid] = thing
        else:
            kept.pop(uid, None)
        if kind == "nodes":
            return
        self.moved = at
        if self._lines is None:
            return
        key = _service(thing) if kind == "endpointslices" else workload(thing)
        if kind == "pods" and not (there and _lives(thing)):
            self._went(key, thing)
        line = self._lines.setdefault(key, _Line(0, [(at, 0)]))
        line.put(at, self._ready(key))

    def _went(self, key: Key, pod: Object) -> None:
        line = self._lines.get(key) if self._lines else None
        name = pod["metadata"]["name"]
        if line is not None and name in self._names_before.get(key, ()):
            line.went.add(name)
        elif not is_ready(pod) and why_waits(pod) and not _done(pod):
            self._given_up[key] = pod

    def begin(self, at: float) -> None:
        """What is there now is what was before."""
        with self._lock:
            self._nodes_before = dict(self._nodes)
            self._stuck_before = {workload(pod) for pod in self._waiting()}
            own = _by_workload(filter(_lives, self._pods.values()))
            self._names_before = {key: {pod["metadata"]["name"] for pod in pods} for key, pods in own.items()}
            keys = {*own, *map(_service, self._slices.values())}
            self._lines = {key: _Line(count := self._ready(key), [(at, count)]) for key in keys}

    @property
    def rests(self) -> bool:
        """Whether every pod is up or done, and none is on its way out."""
        with self._lock:
            return not self._waiting() and all(_lives(pod) or _done(pod) for pod in self._pods.values())

    def end(self, at: float, workloads: Iterable[Object], *, failed: bool) -> Found:
        """What became of it.

        Args:
            workloads: Deployments, StatefulSets and DaemonSets as they are now.
            failed: whether the change was given up, and with it pods that waited: why, they said while they were there.
        """
        made = {_key(thing): thing for thing in workloads}
        stuck = [*self._stuck(_by_workload(self._waiting())), *self._short(made)]
        if failed:
            known = {one.name for one in stuck}
            given_up = self._stuck({key: [pod] for key, pod in self._given_up.items()})
            stuck += [one for one in given_up if one.name not in known]
        left = {node["metadata"]["name"] for node in self._nodes.values()}
        gone = [node for node in self._nodes_before.values() if node["metadata"]["name"] not in left]
        landed = {pool for pod in self._pods.values() if is_ready(pod) and (pool := self._pool(pod))}
        nodes_gone = Counter(self._of_pool((node["metadata"].get("labels") or {}).get(POOL_LABEL)) for node in gone)
        return Found(list(self._disruptions(at, made)), stuck, nodes_gone, landed)

    def _disruptions(self, end: float, made: dict[Key, Object]) -> Iterator[Disruption]:
        for key, line in sorted((self._lines or {}).items()):
            kind, name = key
            now = line.points[-1][1]
            if kind == _SERVICE:
                there = any(_service(one) == key for one in self._slices.values())
                what: Literal["workload", "service"] = "service"
                wanted = 1 if there and line.had else 0
            else:
                what = "workload"
                pods = sum(workload(pod) == key and _lives(pod) for pod in self._pods.values())
                asked = 0 if kind in _COME_AND_GO else _replicas(made[key]) if key in made else pods
                wanted = min(line.had, asked)
            if seconds := line.below(wanted, end):
                least = min(count for _, count in line.points)
                yield Disruption(what, self._named(name), line.had, least, len(line.went), round(seconds, 1), now >= wanted)

    def _stuck(self, found: dict[Key, list[Object]]) -> Iterator[Stuck]:
        for key, pods in sorted(found.items()):
            reason = Counter(map(_reason, pods)).most_common(1)[0][0]
            yield Stuck(self._named(key[1]), len(pods), self._pool(pods[0]), reason, key in self._stuck_before)

    def _short(self, made: dict[Key, Object]) -> Iterator[Stuck]:
        """Workloads that make fewer pods than they are asked for: no pod is there to say why."""
        there = Counter(workload(pod) for pod in self._pods.values() if _lives(pod))
        for key, thing in sorted(made.items()):
            asked, count = _replicas(thing), there[key]
            if asked > count and key[0] != "DaemonSet":
                pool = self._pool(thing["spec"]["template"])
                said = next((c["message"] for c in _conditions(thing, "ReplicaFailure") if c.get("message")), "")
                yield Stuck(self._named(key[1]), 0, pool, said or f"{count} of {asked} pods are there")

    def _waiting(self) -> list[Object]:
        return [pod for pod in self._pods.values() if _lives(pod) and not is_ready(pod)]

    def _ready(self, key: Key) -> int:
        if key[0] == _SERVICE:
            own = [one for one in self._slices.values() if _service(one) == key]
            return sum((e.get("conditions") or {}).get("ready") is not False for s in own for e in s.get("endpoints") or ())
        return sum(workload(pod) == key and _lives(pod) and is_ready(pod) for pod in self._pods.values())

    def _named(self, name: str) -> str:
        return f"{self._cluster}/{name}"

    def _pool(self, pod: Object) -> str | None:
        pool = (pod["spec"].get("nodeSelector") or {}).get(POOL_LABEL)
        return self._of_pool(pool) if pool else None

    def _of_pool(self, pool: str | None) -> str:
        return f"{self._cluster}/{pool or 'system'}"


def workload(pod: Object) -> Key:
    """Whose pod it is; its own, where it is nobody's."""
    about = pod["metadata"]
    owner = next((one for one in about.get("ownerReferences") or () if one.get("controller")), None)
    if owner is None:
        return "Pod", f"{about.get('namespace', '')}/{about['name']}"
    kind, name = owner["kind"], owner["name"]
    if kind == "ReplicaSet" and (suffix := (about.get("labels") or {}).get(_HASH)):
        kind, name = "Deployment", name.removesuffix(f"-{suffix}")
    return kind, f"{about['namespace']}/{name}"


def _by_workload(pods: Iterable[Object]) -> dict[Key, list[Object]]:
    made: dict[Key, list[Object]] = {}
    for pod in pods:
        made.setdefault(workload(pod), []).append(pod)
    return made


def _service(thing: Object) -> Key:
    about = thing["metadata"]
    return _SERVICE, f"{about['namespace']}/{(about.get('labels') or {}).get(_OF_SERVICE, about['name'])}"


def _key(thing: Object) -> Key:
    return thing["kind"], f"{thing['metadata']['namespace']}/{thing['metadata']['name']}"


def _replicas(thing: Object) -> int:
    asked = thing["spec"].get("replicas", 1)
    return int(asked if asked is not None else 1)


def _conditions(thing: Object, kind: str) -> list[Object]:
    return [c for c in (thing.get("status") or {}).get("conditions") or () if c.get("type") == kind]


def _done(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _lives(pod: Object) -> bool:
    return pod["metadata"].get("deletionTimestamp") is None and not _done(pod)


def _reason(pod: Object) -> str:
    # The scheduler goes on to say of each node why taking another pod's place there is no help either.
    return why_waits(pod).partition(" preemption: ")[0] or "runs, and is not ready"
