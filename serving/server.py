"""One process that serves: HTTP on one port, gRPC on another, from its start to its drain.

Owns the order of things. Start: ports first, so that probes are answered while models load. SIGTERM: not ready at once,
then no new connections, everything that was accepted is answered, then out with 0. A second signal ends it on the spot.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from serving import rpc
from serving.errors import UsageError
from serving.http import Application
from serving.repository import Repository
from serving.telemetry import Tracer

log = logging.getLogger(__name__)

# The model's thread comes back from a run while the event loop holds the interpreter, and would wait 5 ms by default.
_SWITCH_INTERVAL_S = 0.0005


@dataclass(frozen=True)
class Settings:
    """How a process serves.

    Attributes:
        port: of HTTP; 0 for any, as for gRPC.
        grpc_port: None for no gRPC.
        drain_delay_s: how long new connections are taken after SIGTERM, until load balancers have looked away.
        drain_s: how long answers may take after that.
    """

    host: str
    port: int
    grpc_port: int | None
    cache: Path
    most_bytes: int
    drain_delay_s: float
    drain_s: float


class _Http(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # The process has more to end than HTTP, and ends with 0 where uvicorn would pass the signal on.
        yield


async def serve(repository: Repository, settings: Settings, tracer: Tracer) -> None:
    """Serve until SIGTERM or SIGINT, and drain.

    Raises:
        ModelError: a model cannot be served.
        UsageError: a port is taken.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    ending = _on_signals()
    listening = _listen(settings.host, settings.port)
    config = uvicorn.Config(
        Application(repository, settings.most_bytes, tracer),
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        ws="none",
        # Nobody here asks who the client is.
        proxy_headers=False,
        # Longer than load balancers' 60 s, so that they close first: a request must not meet a closed connection.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(settings.drain_s)),
    )
    http = _Http(config)
    grpc_server, grpc_port = None, None
    if settings.grpc_port is not None:
        grpc_server, grpc_port = await rpc.start(repository, settings.host, settings.grpc_port, settings.most_bytes, tracer)
    log.info("listening", extra={"http": listening.getsockname()[1], "grpc": grpc_port})
    serving = asyncio.create_task(http.serve(sockets=[listening]))
    loading = asyncio.create_task(repository.load())
    told = asyncio.create_task(ending.wait())
    try:
        await asyncio.wait((loading, told, serving), return_when=asyncio.FIRST_COMPLETED)
        if loading.done():
            _raise_first(loading)
            log.info("ready")
            await asyncio.wait((told, serving), return_when=asyncio.FIRST_COMPLETED)
    finally:
        repository.draining = True
        log.info("draining", extra={"delay_s": settings.drain_delay_s if told.done() else 0})
        if told.done():
            await asyncio.sleep(settings.drain_delay_s)
        http.should_exit = True
        ends = [serving] if grpc_server is None else [serving, grpc_server.stop(settings.drain_s)]
        await asyncio.gather(*ends)
        unfinished = loading.cancel()
        await repository.close()
        log.info("drained")
        if told.done() and unfinished:
            # A thread that fetches cannot be stopped, and the interpreter would wait for it.
            logging.shutdown()
            os._exit(0)


def _raise_first(loading: asyncio.Task[None]) -> None:
    """The first fault of a task group, without the group around it."""
    fault: BaseException | None = loading.exception()
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
    if fault is not None:
        raise fault


def _on_signals() -> asyncio.Event:
    """Set when the process is told to end; told twice, it ends as it stands."""
    ending = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        ending.set()
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(one)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    return ending


def _listen(host: str, port: int) -> socket.socket:
    try:
        made = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)
    except OSError as wrong:
        raise UsageError(f"--port {port}: {host} cannot listen there: {wrong.strerror}; give another port") from None
    made.setblocking(False)
    return made
