"""Servers that are told to end and servers that are killed, under load: each request is answered once, or fails and is seen to.

Clients behave as good ones do: they keep connections, and ask another server when one fails them. No time is asserted.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest

from tests.serving import made
from tests.serving.running import Running, start

CLIENTS = 16
# Answers between one server's end and the next one's.
STEP = 150
ENDS = (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM)
FLAGS = ("--threads", "1", "--max-batch", "4", "--grpc-port", "-1", "--log-level", "info")


@dataclass
class Seen:
    """What clients saw; filled by their threads, which add to containers only.

    Attributes:
        answered: how often each request was, by its number.
        failed: attempts without an answer, by server and how they failed.
        wrong: anything that must never be seen.
    """

    answered: Counter[int] = field(default_factory=Counter)
    failed: Counter[tuple[int, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def until(self, answers: int) -> None:
        end = time.monotonic() + 120
        while len(self.answered) < answers:
            assert time.monotonic() < end, f"{len(self.answered)} of {answers} answers came: {self.failed}"
            assert not self.wrong, self.wrong[:3]
            time.sleep(0.01)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Running]]:
    """One more than are ended, started side by side."""
    model = made.slow(tmp_path, size=250, steps=4)
    with contextlib.ExitStack() as stack:
        waiting = [
            stack.enter_context(start("--model", str(model), *FLAGS, log=tmp_path / f"log-{n}", ready=False))
            for n in range(len(ENDS) + 1)
        ]
        for one in waiting:
            one.until_ready()
        yield waiting


def client(number: int, ports: list[int], seen: Seen) -> None:
    """Ask for one number after the other, none of them another client's, until all is over."""
    chance = random.Random(number)
    value = number
    while not seen.ended.is_set():
        value += CLIENTS
        while not _attempt(value, chance.choice(ports), seen):
            pass
    _close()


_held = threading.local()


def _attempt(value: int, port: int, seen: Seen) -> bool:
    """Whether the server answered; if not, another is to be asked."""
    connections: dict[int, http.client.HTTPConnection] = _held.__dict__.setdefault("connections", {})
    one = connections.setdefault(port, http.client.HTTPConnection("127.0.0.1", port, timeout=60))
    tensor = {"name": "x", "datatype": "FP32", "shape": [1, 1], "data": [value]}
    try:
        one.request("POST", "/v2/models/slow/infer", orjson.dumps({"id": str(value), "inputs": [tensor]}))
        answer = one.getresponse()
        text = answer.read()
    except (http.client.HTTPException, OSError) as failed:
        seen.failed[port, type(failed).__name__] += 1
        connections.pop(port).close()
        return False
    if answer.status != 200:
        seen.failed[port, str(answer.status)] += 1
        return False
    said = orjson.loads(text)
    if said["id"] != str(value) or said["outputs"][0]["data"] != [value]:
        seen.wrong.append(f"{value} was asked, and {text[:200]!r} answered")
    if one.sock is not None and (more := _more(one)):
        seen.wrong.append(f"after the answer to {value} came {more!r}")
    seen.answered[value] += 1
    return True


def _more(one: http.client.HTTPConnection) -> bytes:
    """What comes unasked; nothing, or the connection's end."""
    one.sock.setblocking(False)
    try:
        return one.sock.recv(200)
    except (BlockingIOError, ConnectionError):
        return b""
    finally:
        one.sock.settimeout(120)


def _close() -> None:
    for one in _held.connections.values():
        one.close()


def test_no_request_is_lost_or_answered_twice_as_servers_end(servers: list[Running]) -> None:
    seen = Seen()
    ports = [server.port for server in servers]
    left = list(ports)
    clients = [threading.Thread(target=client, args=(number, left, seen), daemon=True) for number in range(CLIENTS)]
    for one in clients:
        one.start()
    for n, number in enumerate(ENDS):
        seen.until((n + 1) * STEP)
        # As an endpoint goes from its Service when its pod is deleted; a node that dies tells nobody.
        if number is signal.SIGTERM:
            left.remove(ports[n])
        servers[n].process.send_signal(number)
        code = servers[n].process.wait(120)
        assert code == (0 if number is signal.SIGTERM else -number)
        if number is signal.SIGKILL:
            seen.until((n + 1) * STEP + 20)
            left.remove(ports[n])
    seen.until((len(ENDS) + 1) * STEP)
    seen.ended.set()
    for one in clients:
        one.join(120)
        assert not one.is_alive(), "a client waits for an answer that never comes"

    assert seen.wrong == []
    # Each client got on to its next number with the answer to the one before.
    asked = sorted(seen.answered)
    assert set(seen.answered.values()) == {1}
    for number in range(CLIENTS):
        own = [value for value in asked if value % CLIENTS == number]
        assert own == list(range(number + CLIENTS, number + CLIENTS * (len(own) + 1), CLIENTS))
    drained = {port for port, number in zip(ports, ENDS, strict=False) if number is signal.SIGTERM}
    # Who drains answers what it took: what fails there is a connection that it had closed, with nothing of an answer on it.
    at_drained = {how for port, how in seen.failed if port in drained}
    assert at_drained <= {"RemoteDisconnected", "ConnectionRefusedError", "ConnectionResetError", "BrokenPipeError"}
    assert any(port not in drained for port, _ in seen.failed), "the kill met nobody: this test shows nothing"
    assert not any(port == ports[-1] for port, _ in seen.failed), seen.failed
    for server, number in zip(servers, ENDS, strict=False):
        if number is signal.SIGTERM:
            assert server.lines()[-1]["message"] == "drained"
