"""Services that lead to programs of this machine: a local port for each of their ports, spread over the ready replicas.

What kube-proxy does with a cluster address, done with a loopback one: connections, not requests, go by turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sandbox import processes
from sandbox.cluster.api import Object

_CHUNK = 1 << 16


class Backend(Protocol):
    """A replica: `ports` is its local port by the container's."""

    namespace: str
    labels: dict[str, str]
    container: Object
    ports: dict[int, int]
    ready: bool


@dataclass
class _Port:
    """One port of a Service; `backends` are the local ports of its ready replicas."""

    namespace: str
    service: str
    name: str
    local: int
    backends: list[int] = field(default_factory=list)
    turn: Iterator[int] = field(default_factory=itertools.count)
    server: asyncio.Server | None = None
    # The loop itself holds no connection whose client has said all it has to say: it would be collected as garbage, and
    # what is done to its socket then hits the next connection of the same number.
    connections: set[asyncio.Task[None]] = field(default_factory=set)


class Services:
    """The Services of one cluster. Their event loop is a thread of its own, once there is one."""

    def __init__(self) -> None:
        self._ports: dict[tuple[str, str, str], _Port] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def reconcile(self, services: Sequence[Object], programs: Sequence[Backend]) -> None:
        """Have a local port for each port of each Service that selects a program, and none for others."""
        wanted: dict[tuple[str, str, str], list[int]] = {}
        for service in services:
            meta, spec = service["metadata"], service["spec"]
            selector = (spec.get("selector") or {}).items()
            chosen = [p for p in programs if selector and p.namespace == meta["namespace"] and selector <= p.labels.items()]
            if chosen:
                for port in spec["ports"]:
                    key = (meta["namespace"], meta["name"], port.get("name", ""))
                    ready = (_local(port, p) for p in chosen if p.ready)
                    wanted[key] = [local for local in ready if local is not None]
        for gone in self._ports.keys() - wanted.keys():
            self._close(self._ports.pop(gone))
        for key, backends in wanted.items():
            if key not in self._ports:
                self._ports[key] = self._open(*key)
            self._ports[key].backends = backends

    def addresses(self) -> list[dict[str, object]]:
        """Each port with where it is on this machine, and how many replicas answer there."""
        return [
            {
                "namespace": port.namespace,
                "service": port.service,
                "port": port.name,
                "address": f"127.0.0.1:{port.local}",
                "ready": len(port.backends),
            }
            for port in self._ports.values()
        ]

    def close(self) -> None:
        """End every connection and the event loop."""
        for port in self._ports.values():
            self._close(port)
        self._ports.clear()
        if self._loop is not None and self._thread is not None:
            asyncio.run_coroutine_threadsafe(_end_all(), self._loop).result(10)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._loop.close()
            self._loop = None

    def _open(self, namespace: str, service: str, name: str) -> _Port:
        (local,) = processes.free_ports(1)
        port = _Port(namespace, service, name, local)

        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(_forward(port, reader, writer))
            port.connections.add(task)
            task.add_done_callback(port.connections.discard)

        async def listen() -> None:
            port.server = await asyncio.start_server(connected, "127.0.0.1", local)

        asyncio.run_coroutine_threadsafe(listen(), self._running()).result(10)
        return port

    def _close(self, port: _Port) -> None:
        if port.server is not None:
            self._running().call_soon_threadsafe(port.server.close)

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="services", daemon=True)
            self._thread.start()
        return self._loop


def _local(port: Object, program: Backend) -> int | None:
    target = port.get("targetPort", port["port"])
    for known in program.container["ports"]:
        if target in (known.get("name"), known["containerPort"]):
            return program.ports.get(known["containerPort"])
    return None


async def _end_all() -> None:
    """Cancel the loop's other tasks, which are connections."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _forward(port: _Port, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection; a replica that went since the last look is passed over."""
    with contextlib.closing(writer):
        for _ in range(len(port.backends)):
            chosen = port.backends[next(port.turn) % len(port.backends)]
            try:
                there, back = await asyncio.open_connection("127.0.0.1", chosen)
            except OSError:
                continue
            with contextlib.closing(back):
                # A side that breaks takes the other with it: nobody waits for an answer that cannot come.
                both = [asyncio.ensure_future(_pump(reader, back)), asyncio.ensure_future(_pump(there, writer))]
                broken, _ = await asyncio.wait(both, return_when=asyncio.FIRST_EXCEPTION)
                for pump in both:
                    pump.cancel()
                for pump in broken:
                    pump.exception()
            return


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while chunk := await source.read(_CHUNK):
        sink.write(chunk)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
