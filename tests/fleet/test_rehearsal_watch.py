"""A cluster is followed change by change: streams that break are gone on from, and what went meanwhile is told."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import Any

import pytest

from fleet.kubectl import Object
from fleet.rehearsal.watch import PATHS, Watch
from tests.waiting import until


def thing(name: str, version: int = 1) -> Object:
    return {"metadata": {"name": name, "uid": name, "resourceVersion": str(version)}}


def line(kind: str, one: Object) -> str:
    return json.dumps({"type": kind, "object": one})


@dataclass
class FakeKubectl:
    """Of pods alone: what each list finds, and what each stream prints before it ends; the last stream stays open."""

    lists: list[list[Object] | RuntimeError]
    streams: list[str]
    asked: list[str] = field(default_factory=list)
    opened: list[subprocess.Popen[str]] = field(default_factory=list)

    def at(self, path: str) -> Object:
        found: list[Object] | RuntimeError = []
        if path == PATHS["pods"]:
            found = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        if isinstance(found, RuntimeError):
            raise found
        return {"items": found, "metadata": {"resourceVersion": "7"}}

    def changes(self, path: str, version: str) -> subprocess.Popen[str]:
        printed, more = "", False
        if path == PATHS["pods"]:
            self.asked.append(version)
            printed = self.streams.pop(0)
            more = bool(self.streams)
        script = 'printf "%s" "$0"' + ("" if more else "; exec sleep 60")
        self.opened.append(subprocess.Popen(["sh", "-c", script, printed], stdout=subprocess.PIPE, text=True))
        return self.opened[-1]


def seen(cluster: FakeKubectl, count: int) -> list[tuple[str, str, bool]]:
    told: list[tuple[str, str, bool]] = []
    times: list[float] = []

    def see(at: float, kind: str, there: bool, one: Object) -> None:
        times.append(at)
        told.append((kind, one["metadata"]["name"], there))

    watch = Watch(see)
    watch.start(cluster)  # type: ignore[arg-type]
    assert until(lambda: len(told) >= count, 10), told
    watch.stop()
    assert all(process.poll() is not None for process in cluster.opened), "a stream lives on"
    assert times == sorted(times)
    return told


def test_what_is_there_comes_first_and_then_each_change_from_that_version() -> None:
    changes = "\n".join([line("ADDED", thing("b")), line("MODIFIED", thing("b", 2)), line("DELETED", thing("a")), ""])
    cluster = FakeKubectl([[thing("a")]], [changes])
    assert seen(cluster, 4) == [("pods", "a", True), ("pods", "b", True), ("pods", "b", True), ("pods", "a", False)]
    assert cluster.asked == ["7"]


@pytest.mark.parametrize(
    "broken",
    [
        line("ADDED", thing("b")) + "\n" + line("ADDED", thing("c"))[:20],
        line("ADDED", thing("b")) + "\n" + line("ERROR", {}) + "\n",
    ],
    ids=["half a line", "an error"],
)
def test_a_stream_that_breaks_is_gone_on_from_a_new_list(broken: str) -> None:
    after = [thing("b"), thing("c"), thing("d", 5)]
    cluster = FakeKubectl([[thing("a"), thing("d")], RuntimeError("refused"), after], [broken, ""])
    told = seen(cluster, 6)
    assert told[:3] == [("pods", "a", True), ("pods", "d", True), ("pods", "b", True)]
    assert told[3:] == [("pods", "a", False), ("pods", "c", True), ("pods", "d", True)], (
        "what stayed as it was is not told again"
    )


def test_a_cluster_that_does_not_answer_is_not_followed() -> None:
    watch = Watch(lambda *_: None)
    cluster: Any = FakeKubectl([RuntimeError("refused")], [])
    with pytest.raises(RuntimeError, match="refused"):
        watch.start(cluster)
    watch.stop()
    assert cluster.opened == []


def test_a_last_look_tells_what_no_stream_told() -> None:
    told: list[tuple[str, bool]] = []
    watch = Watch(lambda at, kind, there, one: told.append((one["metadata"]["name"], there)))
    cluster: Any = FakeKubectl([[thing("a")], [thing("b")]], [""])
    watch.start(cluster)
    watch.stop()
    watch.look(cluster)
    assert told == [("a", True), ("a", False), ("b", True)]
