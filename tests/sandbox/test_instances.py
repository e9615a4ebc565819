"""Machines that register as nodes beside an API server that does not always answer."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from sandbox.cluster import instances
from sandbox.cluster.api import Api, ApiError, Object
from sandbox.cluster.instances import Instance, Instances
from tests.waiting import until

MACHINE = Instance("i-1", "us-east-1", "us-east-1a", "wide", "g6.xlarge", False, {}, (), "amazon-eks-node-nvidia", 20, 0)


class Fickle(Api):
    """Refuses as it is told, the first call first; then does as asked."""

    def __init__(self, *refusals: int) -> None:
        self.refusals, self.calls, self.done = list(refusals), [], threading.Event()

    def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json", **query: str) -> Object:
        self.calls.append(method)
        if self.refusals and (status := self.refusals.pop(0)) >= 0:
            raise ApiError(status, "as told")
        if method == "PATCH":
            self.done.set()
        return {}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instances, "_BOOT_S", 0.01)


@pytest.mark.parametrize(
    ("refusals", "calls"),
    [
        ((), ["POST", "PATCH"]),
        ((0,), ["POST", "POST", "PATCH"]),
        ((503, 0, 429), ["POST"] * 4 + ["PATCH"]),
        # The node was made, its capacity was not said: both are asked again, and that it stands is no fault.
        ((-1, 0, 409), ["POST", "PATCH", "POST", "PATCH"]),
    ],
)
def test_a_machine_asks_until_its_node_stands(refusals: tuple[int, ...], calls: list[str]) -> None:
    api = Fickle(*refusals)
    Instances(api).launch(MACHINE)
    assert api.done.wait(10)
    assert api.calls == calls


def test_a_machine_that_ended_asks_no_more() -> None:
    api = Fickle(*[0] * 1000)
    machines = Instances(api)
    machines.launch(MACHINE)
    assert until(lambda: len(api.calls) > 2, seconds=10)
    machines._standing.clear()
    assert until(lambda: not any(isinstance(thread, threading.Timer) for thread in threading.enumerate()), seconds=10)
    assert not api.done.is_set()
