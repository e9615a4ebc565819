"""What a change did to a cluster, from its watch events: disruptions and their length, pods that stay away."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.contract import POOL_LABEL
from fleet.rehearsal.tally import Found, Tally
from fleet.report.model import Disruption, Stuck

NO_ROOM = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."


def meta(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": "models", "uid": name, **more}


def pod(name: str, ready: bool = True, reason: str = "", phase: str = "", **about: Any) -> dict[str, Any]:
    """A pod of the Deployment `chat`, as an API server prints it."""
    owner = {"kind": "ReplicaSet", "name": "chat-abc", "controller": True}
    made: dict[str, Any] = {
        "metadata": meta(name, labels={"pod-template-hash": "abc"}, ownerReferences=[owner], **about),
        "spec": {"nodeSelector": {POOL_LABEL: "l4"}},
        "status": {"phase": phase or ("Running" if ready else "Pending"), "conditions": []},
    }
    if reason:
        made["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "message": reason}]
    made["status"]["conditions"].append({"type": "Ready", "status": "True" if ready else "False"})
    return made


def owned(made: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    made["metadata"]["ownerReferences"] = [{"kind": kind, "name": name, "controller": True}]
    return made


def leaving(made: dict[str, Any]) -> dict[str, Any]:
    return {**made, "metadata": {**made["metadata"], "deletionTimestamp": "2026-11-30T09:00:00Z"}}


def deployment(replicas: int, said: str = "") -> dict[str, Any]:
    failure = [{"type": "ReplicaFailure", "status": "True", "message": said}] if said else []
    template = {"spec": {"nodeSelector": {POOL_LABEL: "l4"}}}
    return {
        "kind": "Deployment",
        "metadata": meta("chat"),
        "spec": {"replicas": replicas, "template": template},
        "status": {"conditions": failure},
    }


def endpoints(*ready: bool) -> dict[str, Any]:
    labels = {"kubernetes.io/service-name": "chat"}
    return {"metadata": meta("chat-x1", labels=labels), "endpoints": [{"conditions": {"ready": r}} for r in ready] or None}


def node(name: str, pool: str | None = "l4") -> dict[str, Any]:
    return {"metadata": {"name": name, "uid": name, "labels": {POOL_LABEL: pool} if pool else {}}}


class Film:
    """A cluster and its changes, at seconds of our own."""

    def __init__(self, *pods: dict[str, Any]) -> None:
        self.tally = Tally("main")
        for one in pods:
            self.tally.see(0, "pods", True, one)

    def begin(self) -> Film:
        self.tally.begin(0)
        return self

    def at(self, second: float, thing: dict[str, Any], there: bool = True, kind: str = "pods") -> Film:
        self.tally.see(second, kind, there, thing)
        return self

    def end(self, *workloads: dict[str, Any], failed: bool = False) -> Found:
        return self.tally.end(100, workloads, failed=failed)


def test_a_pod_that_goes_before_the_next_is_ready_is_a_disruption_of_that_length() -> None:
    film = Film(pod("a")).begin().at(10, leaving(pod("a"))).at(11, pod("a"), there=False)
    film.at(11, pod("b", ready=False)).at(14.5, pod("b"))
    found = film.end(deployment(1))
    assert found.disruptions == [Disruption("workload", "main/models/chat", had=1, least=0, went=1, seconds=4.5, back=True)]
    assert found.stuck == []
    assert found.landed == {"main/l4"}


def test_a_pod_that_goes_when_the_next_is_ready_disrupts_nothing() -> None:
    film = Film(pod("a")).begin().at(10, pod("b", ready=False)).at(12, pod("b")).at(13, pod("a"), there=False)
    assert film.end(deployment(1)).disruptions == []


def test_two_gaps_add_up_and_the_deepest_is_told() -> None:
    film = Film(pod("a"), pod("b"), pod("c")).begin()
    film.at(10, pod("a"), there=False).at(11, pod("d"))
    film.at(20, pod("b"), there=False).at(20.5, pod("c", ready=False)).at(22, pod("c")).at(23, pod("e"))
    (told,) = film.end(deployment(3)).disruptions
    assert (told.had, told.least, told.went, told.seconds, told.back) == (3, 1, 2, 4.0, True)


def test_fewer_by_the_change_itself_disrupts_nothing_but_fewer_than_that_does() -> None:
    fewer = Film(pod("a"), pod("b")).begin().at(10, pod("a"), there=False)
    assert fewer.end(deployment(1)).disruptions == []
    fewer.at(30, pod("b", ready=False)).at(31, pod("b"))
    assert [one.seconds for one in fewer.end(deployment(1)).disruptions] == [1.0]


@pytest.mark.parametrize(("kind", "name"), [("DaemonSet", "plugin"), ("Job", "load"), ("Node", "n")])
def test_pods_that_come_and_go_by_themselves_are_no_disruption(kind: str, name: str) -> None:
    one = owned(pod("a"), kind, name)
    assert Film(one).begin().at(10, one, there=False).end().disruptions == []


def test_what_is_not_counted_by_a_workload_we_know_is_counted_by_its_pods() -> None:
    ours = [owned(pod(name), "LeaderWorkerSet", "big") for name in ("a", "b")]
    film = Film(*ours).begin().at(10, ours[0], there=False).at(13, owned(pod("c"), "LeaderWorkerSet", "big"))
    assert [(one.name, one.seconds) for one in film.end().disruptions] == [("main/models/big", 3.0)]


def test_a_pod_that_does_not_come_back_is_told_in_the_schedulers_words() -> None:
    found = (
        Film(pod("a")).begin().at(10, pod("a"), there=False).at(10, pod("b", ready=False, reason=NO_ROOM)).end(deployment(1))
    )
    assert found.stuck == [Stuck("main/models/chat", 1, "main/l4", NO_ROOM)]
    (told,) = found.disruptions
    assert (told.seconds, told.back) == (90.0, False)


def test_a_crash_loop_is_told_in_the_kubelets_words() -> None:
    crashing = pod("b", ready=False, phase="Running")
    crashing["status"]["containerStatuses"] = [{"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m"}}}]
    silent = owned(pod("c", ready=False, phase="Running"), "StatefulSet", "slow")
    found = Film().begin().at(10, crashing).at(10, silent).end(deployment(1))
    assert [one.reason for one in found.stuck] == ["CrashLoopBackOff: back-off 5m", "runs, and is not ready"]


def test_a_workload_that_may_make_no_pod_is_told_by_what_refused_it() -> None:
    film = Film(pod("a")).begin().at(10, pod("a"), there=False)
    refused = film.end(deployment(1, "pods is forbidden: exceeded quota"))
    assert refused.stuck == [Stuck("main/models/chat", 0, "main/l4", "pods is forbidden: exceeded quota")]
    assert film.end(deployment(1)).stuck[0].reason == "0 of 1 pods are there"


def test_what_waited_before_the_change_is_not_its_doing() -> None:
    found = Film(pod("a", ready=False, reason=NO_ROOM)).begin().end(deployment(1))
    assert [one.before for one in found.stuck] == [True]


def test_pods_of_a_release_that_was_rolled_back_are_told_only_if_the_change_failed() -> None:
    film = Film(pod("a")).begin().at(10, pod("b", ready=False, reason=NO_ROOM))
    film.at(40, leaving(pod("b", ready=False, reason=NO_ROOM))).at(41, pod("b", ready=False, reason=NO_ROOM), there=False)
    assert film.end(deployment(1), failed=True).stuck == [Stuck("main/models/chat", 1, "main/l4", NO_ROOM)]
    assert film.end(deployment(1)).stuck == []


def test_a_service_without_an_endpoint_for_a_time() -> None:
    film = Film().at(0, endpoints(True), kind="endpointslices").begin()
    film.at(10, endpoints(False), kind="endpointslices").at(12, endpoints(), kind="endpointslices")
    film.at(16, endpoints(True), kind="endpointslices")
    assert film.end().disruptions == [Disruption("service", "main/models/chat", had=1, least=0, went=0, seconds=6.0, back=True)]


def test_a_service_with_fewer_endpoints_or_that_goes_was_not_without() -> None:
    film = Film().at(0, endpoints(True, True), kind="endpointslices").begin().at(10, endpoints(True), kind="endpointslices")
    assert film.end().disruptions == []
    assert film.at(20, endpoints(True), there=False, kind="endpointslices").end().disruptions == []


def test_nodes_that_went_are_counted_by_pool() -> None:
    film = Film()
    for name, pool in (("a", "l4"), ("b", "l4"), ("c", None), ("d", "l4")):
        film.at(0, node(name, pool), kind="nodes")
    film.begin().at(10, node("a"), there=False, kind="nodes").at(11, node("c", None), there=False, kind="nodes")
    film.at(12, node("b"), there=False, kind="nodes").at(13, node("new"), kind="nodes")
    assert film.end().nodes_gone == {"main/l4": 2, "main/system": 1}


def test_it_rests_when_every_pod_is_up_or_done_and_none_leaves() -> None:
    film = Film(pod("a"), pod("job", ready=False, phase="Succeeded"))
    assert film.tally.rests
    assert not film.at(1, leaving(pod("b"))).tally.rests
    assert film.at(2, pod("b"), there=False).tally.rests
    assert not film.at(3, pod("c", ready=False)).tally.rests
    assert film.tally.moved == 3
