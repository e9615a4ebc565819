"""A Service's local port: connections by turns over ready replicas, and none that waits for what cannot come."""

from __future__ import annotations

import gc
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.cluster.services import Services

pytestmark = pytest.mark.sandbox

SERVICE = {
    "metadata": {"namespace": "models", "name": "chat"},
    "spec": {"selector": {"app": "chat"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
}


@contextmanager
def replica(answer: bytes | None, asked: threading.Event | None = None, may: threading.Event | None = None) -> Iterator[Any]:
    """A server that answers each line with these bytes and the line, or for None breaks the connection.

    Args:
        asked: set by it once it has a line. may: what it waits for then.
    """

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline()
            if asked and may:
                asked.set()
                may.wait(10)
            if answer is None:
                # No orderly end: a reset, as of a process that was killed.
                self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                self.request.close()
            else:
                self.wfile.write(answer + line)

        def finish(self) -> None:
            if answer is not None:
                super().finish()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield SimpleNamespace(
            namespace="models",
            labels={"app": "chat", "pod-template-hash": "1"},
            container={"ports": [{"name": "http", "containerPort": 8000}]},
            ports={8000: server.server_address[1]},
            ready=True,
        )
        server.shutdown()


@pytest.fixture
def services() -> Iterator[Services]:
    made = Services()
    yield made
    made.close()


def ask(services: Services) -> bytes:
    (port,) = services.addresses()
    host, _, number = str(port["address"]).partition(":")
    with socket.create_connection((host, int(number)), timeout=5) as connection:
        connection.sendall(b"hello\n")
        try:
            return connection.makefile("rb").read()
        except ConnectionResetError:
            return b""


def test_connections_go_by_turns_over_those_that_are_ready(services: Services) -> None:
    with replica(b"a:") as first, replica(b"b:") as second, replica(b"c:") as third:
        third.ready = False
        services.reconcile([SERVICE], [first, second, third])
        assert {ask(services) for _ in range(4)} == {b"a:hello\n", b"b:hello\n"}
        second.ready, third.ready = False, True
        services.reconcile([SERVICE], [first, second, third])
        assert {ask(services) for _ in range(4)} == {b"a:hello\n", b"c:hello\n"}


def test_a_replica_that_breaks_off_leaves_no_client_waiting(services: Services) -> None:
    with replica(None) as broken:
        services.reconcile([SERVICE], [broken])
        assert ask(services) == b""


def test_a_replica_that_is_gone_is_passed_over(services: Services) -> None:
    with replica(b"a:") as gone:
        pass
    with replica(b"b:") as there:
        services.reconcile([SERVICE], [gone, there])
        assert [ask(services) for _ in range(4)] == [b"b:hello\n"] * 4


def test_a_client_that_has_said_all_gets_its_answer_whatever_the_garbage_collector_does(services: Services) -> None:
    asked, may = threading.Event(), threading.Event()
    with replica(b"a:", asked, may) as slow:
        services.reconcile([SERVICE], [slow])
        (port,) = services.addresses()
        with socket.create_connection(("127.0.0.1", int(str(port["address"]).rpartition(":")[2])), timeout=10) as client:
            client.sendall(b"hello\n")
            client.shutdown(socket.SHUT_WR)
            assert asked.wait(10)
            for _ in range(5):
                gc.collect()
                time.sleep(0.05)
            may.set()
            assert client.makefile("rb").read() == b"a:hello\n"


def test_nobody_ready_is_no_answer_and_another_selector_no_address(services: Services) -> None:
    with replica(b"a:") as one:
        one.ready = False
        services.reconcile([SERVICE], [one])
        assert ask(services) == b""
        (address,) = services.addresses()
        assert address["ready"] == 0
        one.labels = {"app": "other"}
        services.reconcile([SERVICE], [one])
        assert services.addresses() == []
