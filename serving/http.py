"""The HTTP side: FastAPI for what is asked now and then, plain ASGI for inference.

Owns routes, body limit, deadlines from headers and giving up for a client that went away. Inference passes FastAPI by:
routing and dependency handling there cost more than a small model's run. Refuses bodies above the limit before they are
read to their end.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from time import perf_counter
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from serving import __version__, rest
from serving.errors import Refusal, malformed
from serving.model import Model
from serving.repository import Repository
from serving.telemetry import Tracer

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

EXTENSIONS = ["binary_tensor_data"]
NAME = "accelfleet-serving"
_INFER = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?/infer")
# Our own, in milliseconds, and what Envoy tells those behind it.
_TIMEOUTS = (b"x-request-timeout-ms", b"x-envoy-expected-rq-timeout-ms")
# Looking whether the client is still there costs a task; most answers are out by then, and who left sooner is found then.
_LOOK_AFTER_S = 0.02


class Application:
    """The ASGI application.

    Args:
        most_bytes: of a request's body.
    """

    def __init__(self, repository: Repository, most_bytes: int, tracer: Tracer) -> None:
        self._repository, self._most_bytes, self._tracer = repository, most_bytes, tracer
        self._others = routes(repository)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and (match := _INFER.fullmatch(scope["path"])):
            await self._infer(match[1], match[2] or "", scope, receive, send)
        else:
            await self._others(scope, receive, send)

    async def _infer(self, name: str, version: str, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        model: Model | None = None
        status = HTTPStatus.OK
        with self._tracer.span("infer", name, scope["headers"]) as span:
            try:
                model = self._repository.find(name, version)
                headers, parts = await self._answer(model, scope["headers"], receive)
            except Refusal as refusal:
                status, parts = refusal.status, [rest.error(refusal)]
                headers = [(b"content-type", rest.JSON)]
                if refusal.retry_after_s is not None:
                    headers.append((b"retry-after", b"%d" % refusal.retry_after_s))
                if status is HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                    # The rest of its body would be taken for the next request.
                    headers.append((b"connection", b"close"))
            except _Gone:
                status, parts = _CLIENT_CLOSED, []
            except Exception:  # a fault of ours must not take the connection, or others' requests on it
                log.exception("a request failed", extra={"model": name})
                status = HTTPStatus.INTERNAL_SERVER_ERROR
                headers, parts = [(b"content-type", rest.JSON)], [b'{"error":"a fault of the server; its log says how"}']
            span.ended(status)
        if model is None:
            self._repository.metrics.refused("http", status)
        else:
            model.meter.answered("http", status, perf_counter() - started)
        if status == _CLIENT_CLOSED:
            return
        headers.append((b"content-length", b"%d" % sum(map(len, parts))))
        await send({"type": "http.response.start", "status": int(status), "headers": headers})
        # One write: a second one would be a packet of its own.
        await send({"type": "http.response.body", "body": parts[0] if len(parts) == 1 else b"".join(parts)})

    async def _answer(
        self, model: Model, headers: list[tuple[bytes, bytes]], receive: Receive
    ) -> tuple[list[tuple[bytes, bytes]], list[bytes | memoryview]]:
        header_length, timeout_s = self._read_headers(headers)
        body = await self._read_body(receive)
        call = rest.decode(body, header_length, model.inputs, model.outputs)
        if call.timeout_s is not None:
            timeout_s = call.timeout_s if timeout_s is None else min(timeout_s, call.timeout_s)
        outputs = await _while_there(model.infer(call.inputs, timeout_s), receive)
        parts, length = rest.encode(model.name, model.version, call, model.outputs, outputs)
        if length is None:
            return [(b"content-type", rest.JSON)], parts
        return [(b"content-type", rest.OCTETS), (rest.HEADER_LENGTH.encode(), b"%d" % length)], parts

    def _read_headers(self, headers: list[tuple[bytes, bytes]]) -> tuple[int | None, float | None]:
        """The length of the JSON in the body and the time the client has, in seconds."""
        length: int | None = None
        timeout: float | None = None
        for name, value in headers:
            if name == b"content-length" and (given := _number(name, value)) > self._most_bytes:
                raise self._too_large(f"{given:,} bytes")
            if name == rest.HEADER_LENGTH.encode():
                length = _number(name, value)
            elif name in _TIMEOUTS:
                ms = _number(name, value)
                if ms <= 0:
                    raise malformed(f"the header {name.decode()} is a whole number of milliseconds above 0")
                timeout = ms / 1000 if timeout is None else min(timeout, ms / 1000)
            elif name == b"content-encoding" and value.lower() not in (b"", b"identity"):
                raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"content-encoding {value[:40]!r}: send the body as it is")
        return length, timeout

    async def _read_body(self, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._most_bytes:
                raise self._too_large("more")
            more = bool(message.get("more_body"))
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self, given: str) -> Refusal:
        most = f"{self._most_bytes:,} bytes"
        return Refusal(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has {given}, and {most} are the limit; --max-body-mib sets it"
        )


class _Gone(Exception):
    """The client closed the connection before its answer."""


# What nginx writes down for it; it is seen in the metrics alone.
_CLIENT_CLOSED: Any = 499


async def _while_there(work: Awaitable[Any], receive: Receive) -> Any:
    """Wait for `work`, and cancel it when the client goes.

    Raises:
        _Gone: it went.
    """
    task = asyncio.current_task()
    assert task is not None
    gone = False
    watch: asyncio.Task[None] | None = None

    async def look() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        task.cancel()

    def begin() -> None:
        nonlocal watch
        watch = asyncio.ensure_future(look())

    timer = asyncio.get_running_loop().call_later(_LOOK_AFTER_S, begin)
    try:
        return await work
    except asyncio.CancelledError:
        if not gone:
            raise
        task.uncancel()
        raise _Gone from None
    finally:
        timer.cancel()
        if watch is not None:
            watch.cancel()


def _number(name: bytes, value: bytes) -> int:
    try:
        return int(value) if len(value) < 20 else int("no")
    except ValueError:
        raise malformed(f"the header {name.decode()} is a whole number, not {value[:40]!r}") from None


def routes(repository: Repository) -> FastAPI:
    """All but inference: health, metadata and metrics."""
    app = FastAPI(title=NAME, version=__version__, openapi_url=None)

    @app.exception_handler(Refusal)
    async def refuse(_: Request, refusal: Refusal) -> Response:
        after = {} if refusal.retry_after_s is None else {"retry-after": str(refusal.retry_after_s)}
        return Response(rest.error(refusal), refusal.status, after, "application/json")

    @app.exception_handler(HTTPException)
    async def no_such_route(asked: Request, wrong: HTTPException) -> Response:
        return JSONResponse({"error": f"{asked.method} {asked.url.path:.120}: {wrong.detail}"}, wrong.status_code)

    @app.get("/v2/health/live")
    async def live() -> Response:
        return _health("live", repository.live)

    @app.get("/v2/health/ready")
    async def ready() -> Response:
        return _health("ready", repository.ready)

    @app.get("/v2")
    async def server() -> dict[str, Any]:
        return {"name": NAME, "version": __version__, "extensions": EXTENSIONS}

    @app.get("/v2/models/{name}")
    @app.get("/v2/models/{name}/versions/{version}")
    async def metadata(name: str, version: str = "") -> dict[str, Any]:
        return repository.find(name, version).metadata()

    @app.get("/v2/models/{name}/ready")
    @app.get("/v2/models/{name}/versions/{version}/ready")
    async def model_ready(name: str, version: str = "") -> Response:
        return _health("ready", repository.find(name, version).ready)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(repository.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return app


def _health(what: str, good: bool) -> Response:
    return JSONResponse({what: good}, HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE)
