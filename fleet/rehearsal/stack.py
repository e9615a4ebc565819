"""One stack in a rehearsal: its clusters, followed while the engine works, and what is told of it in the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from fleet.engine import Engine, Event
from fleet.inventory import events
from fleet.inventory.state import InventoryError
from fleet.kubectl import Kubectl, kubectl
from fleet.operations import Result
from fleet.rehearsal.tally import Tally
from fleet.rehearsal.watch import Watch
from fleet.report.model import Change, Disruption, Rehearsal, Stuck
from fleet.report.program import change_of
from fleet.workspace import Workspace

_WORKLOADS = "deployments,statefulsets,daemonsets"


@dataclass
class _Cluster:
    tally: Tally
    watch: Watch
    kubeconfig: str = ""
    kubectl: Kubectl | None = None


@dataclass
class StackWatch:
    """The stack's clusters. `held` ends what was begun for them, in whatever way the rehearsal ends."""

    workspace: Workspace
    stack: str
    held: ExitStack
    _clusters: dict[str, _Cluster] = field(default_factory=dict)
    _silent: list[str] = field(default_factory=list)

    @property
    def tallies(self) -> list[Tally]:
        return [cluster.tally for cluster in self._clusters.values()]

    def follow(self) -> None:
        """Follow every cluster that stands now: one that is new too, and one that was made anew where it is now."""
        standing = Engine(self.workspace, self.stack).outputs().get("clusters") or {}
        for name in self._clusters.keys() - standing.keys():
            self._clusters.pop(name).watch.stop()
        for name, told in standing.items():
            one = self._clusters.get(name) or self._new(name)
            if one.kubeconfig == told["kubeconfig"]:
                continue
            one.watch.stop()
            one.kubeconfig = told["kubeconfig"]
            one.kubectl = self.held.enter_context(kubectl(self.workspace, one.kubeconfig))
            try:
                one.watch.start(one.kubectl)
            except RuntimeError as silent:
                self._silent.append(f"cluster {name} does not answer: {silent}")

    def _new(self, name: str) -> _Cluster:
        tally = Tally(name)
        made = self._clusters[name] = _Cluster(tally, Watch(tally.see))
        self.held.callback(made.watch.stop)
        return made

    def begin(self) -> None:
        """The change begins: what stands is what was before."""
        for tally in self.tallies:
            tally.begin(time.monotonic())

    def end(self, result: Result | None, heard: Iterable[Event]) -> Rehearsal:
        """What became of it.

        Args:
            result: of the change's `up`; None where it was not begun. heard: its events.
        """
        errors = list(errors_of(result))
        stuck, disruptions = list[Stuck](), list[Disruption]()
        gone, landed = Counter[str](), set[str]()
        for name, one in self._clusters.items():
            one.watch.stop()
            assert one.kubectl is not None, "it is followed"
            try:
                one.watch.look(one.kubectl)
                workloads = one.kubectl.items("get", _WORKLOADS, "-A")
            except RuntimeError as silent:
                self._silent.append(f"cluster {name} does not answer: {silent}")
                continue
            found = one.tally.end(time.monotonic(), workloads, failed=bool(errors))
            stuck += found.stuck
            disruptions += found.disruptions
            gone += found.nodes_gone
            landed |= found.landed
        return Rehearsal(
            errors=(*errors, *dict.fromkeys(self._silent)),
            changes=changes(heard),
            stuck=tuple(stuck),
            disruptions=tuple(disruptions),
            nodes_gone=dict(gone),
            landed=tuple(sorted(landed)),
        )


def errors_of(result: Result | None) -> tuple[str, ...]:
    """Why a stack did not come up; empty where it did."""
    if result is None:
        return ("a stack that it depends on did not come up",)
    if result.ok:
        return ()
    said = (*result.outcome.errors, *result.leftovers)
    # The engine ends with it, whatever went wrong.
    return tuple(error for error in said if error != "update failed") or said


def changes(heard: Iterable[Event]) -> tuple[Change, ...]:
    """What became of each resource, from what the engine said when it was done: what it had only begun is not among it."""
    done = [event for event in heard if "resOutputsEvent" in event]
    try:
        steps = events.read(done, "the rehearsal").steps
    except InventoryError:
        return ()  # it came to none
    return tuple(sorted(map(change_of, steps), key=lambda change: not change.destructive))
