"""A proxy before an API that spoils answers as networks and gateways do: ten kinds, planned one request at a time.

`after` kinds let the request through first, so that what was asked for is done and only the answer is lost.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = ("429", "500", "502", "503", "504-after", "reset", "hang-after", "half-after", "cut-after", "skew-after")
# Longer than a test's client waits.
HANG_S = 2


class FaultProxy:
    """Listens on loopback before `upstream` (host, port).

    Args:
        spoils: whether a request (method, path, body) is one to spoil.
        tls: serve with this certificate instead of plain HTTP.
    """

    def __init__(
        self, upstream: tuple[str, int], spoils: Callable[[str, str, bytes], bool], tls: ssl.SSLContext | None = None
    ) -> None:
        self.plan: list[str] = []
        self.seen = 0
        self._upstream, self._spoils, self._lock = upstream, spoils, threading.Lock()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                with contextlib.suppress(ConnectionError, ssl.SSLError):
                    super().handle_one_request()

            def do_POST(self) -> None:
                proxy._serve(self)

            do_GET = do_PATCH = do_DELETE = do_POST  # noqa: N815 - as the base class has them

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _next(self, method: str, path: str, body: bytes) -> str:
        with self._lock:
            if not self._spoils(method, path, body):
                return ""
            self.seen += 1
            return self.plan.pop(0) if self.plan else ""

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("content-length") or 0))
        fault = self._next(handler.command, handler.path, body)
        handler.close_connection = bool(fault)
        if fault == "reset":
            # Linger of zero seconds: the peer sees a reset, not an end.
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            return
        if fault.isdigit():
            _answer(handler, int(fault), b"<html>a gateway's own page</html>")
            return
        connection = http.client.HTTPConnection(*self._upstream, timeout=30)
        kept = {k: v for k, v in handler.headers.items() if k.lower() not in ("host", "connection", "content-length")}
        connection.request(handler.command, handler.path, body, kept)
        answer = connection.getresponse()
        status, content = answer.status, answer.read()
        connection.close()
        match fault:
            case "504-after":
                _answer(handler, 504, b"<html>gateway time-out</html>")
            case "hang-after":
                time.sleep(HANG_S)
            case "half-after":
                _answer(handler, status, content[: len(content) // 2])
            case "cut-after":
                _answer(handler, status, content[: len(content) // 2], claimed=len(content))
                handler.connection.close()
            case "skew-after":
                _answer(handler, status, content, date="Thu, 01 Jan 2099 00:00:00 GMT")
            case _:
                _answer(handler, status, content)


def _answer(handler: BaseHTTPRequestHandler, status: int, content: bytes, claimed: int | None = None, date: str = "") -> None:
    handler.send_response_only(status)
    handler.send_header("Date", date or handler.date_time_string())
    handler.send_header("Content-Type", "application/json" if content[:1] in (b"{", b"[", b"n") else "text/html")
    handler.send_header("Content-Length", str(len(content) if claimed is None else claimed))
    handler.end_headers()
    handler.wfile.write(content)
    handler.wfile.flush()
