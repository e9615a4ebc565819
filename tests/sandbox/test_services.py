"""A Service's local port: connections by turns over ready replicas, and none that waits for what cannot come."""

from __future__ import annotations

import gc
import socket
import socketserver
import threading
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


def behind(port: int) -> Any:
    """A ready replica with this local port."""
    return SimpleNamespace(
        namespace="models",
        labels={"app": "chat", "pod-template-hash": "1"},
        container={"ports": [{"name": "http", "containerPort": 8000}]},
        ports={8000: port},
        ready=True,
    )


@contextmanager
def replica(answer: bytes | None) -> Iterator[Any]:
    """A server that answers each line with these bytes and the line, or for None breaks the connection."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline()
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
        yield behind(server.server_address[1])
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


def test_who_has_said_all_still_has_the_answer_to_come(services: Services) -> None:
    """A connection of which one side is done hangs together with nothing but itself: garbage, unless somebody holds it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        services.reconcile([SERVICE], [behind(server.getsockname()[1])])
        (port,) = services.addresses()
        host, _, number = str(port["address"]).partition(":")
        with socket.create_connection((host, int(number)), timeout=5) as client:
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            answering, _ = server.accept()
            with answering:
                assert answering.makefile("rb").read() == b"hello"
                gc.collect()
                answering.sendall(b"answer")
            assert client.makefile("rb").read() == b"answer"


def test_a_replica_that_is_gone_is_passed_over(services: Services) -> None:
    with replica(b"a:") as gone:
        pass
    with replica(b"b:") as there:
        services.reconcile([SERVICE], [gone, there])
        assert [ask(services) for _ in range(4)] == [b"b:hello\n"] * 4


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
