"""A closed loop of HTTP clients in one process: raw sockets and epoll, as a Python client library costs more than a server.

`python load.py PORT CLIENTS SECONDS < request` sends the bytes of one HTTP/1.1 request over and over on CLIENTS keep-alive
connections, and prints JSON: answers a second, latencies, and how many answers were not 200.
"""

from __future__ import annotations

import json
import re
import select
import socket
import sys
from time import perf_counter

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"transfer-encoding: *chunked", re.IGNORECASE)
# How an answer in chunks ends; those of JSON have it nowhere else.
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class _Client:
    """One connection: a request, its answer, the next request."""

    def __init__(self, port: int, request: bytes) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request
        self.begin()

    def begin(self) -> None:
        self._got, self._size, self.asked = b"", -1, perf_counter()
        self.socket.sendall(self._request)

    def read(self) -> bool | None:
        """Take what came: None while the answer is not whole, then whether it was 200."""
        got = self.socket.recv(1 << 20)
        if not got:
            raise SystemExit("the server closed a connection")
        self._got = self._got + got if self._got else got
        if self._size < 0:
            at = self._got.find(b"\r\n\r\n")
            if at < 0:
                return None
            found = _LENGTH.search(self._got, 0, at)
            if found is None and _CHUNKED.search(self._got, 0, at):
                return self._got[9:12] == b"200" if self._got.endswith(_LAST_CHUNK) else None
            if found is None:
                raise SystemExit(f"an answer without a length: {self._got[:300]!r}")
            self._size = at + 4 + int(found[1])
        if len(self._got) < self._size:
            return None
        return self._got[9:12] == b"200"


def run(port: int, clients: int, seconds: float, request: bytes) -> dict[str, float]:
    """Answers a second and latencies in ms; only whole answers within the time count, the first fifth is warm-up."""
    poll = select.epoll()
    held: dict[int, _Client] = {}
    begun = perf_counter()
    for _ in range(clients):
        one = _Client(port, request)
        held[one.socket.fileno()] = one
        poll.register(one.socket.fileno(), select.EPOLLIN)
    counted, end = begun + seconds / 5, begun + seconds
    took: list[float] = []
    failed = 0
    while (now := perf_counter()) < end:
        for descriptor, _ in poll.poll(max(0, end - now)):
            one = held[descriptor]
            good = one.read()
            if good is None:
                continue
            failed += not good
            if good and one.asked >= counted:
                took.append(perf_counter() - one.asked)
            one.begin()
    took.sort()
    if not took:
        raise SystemExit(f"no answer in {seconds} s, {failed} refused")
    return {
        "per_second": len(took) / (end - counted),
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[min(len(took) - 1, len(took) * 99 // 100)] * 1000,
        "failed": failed,
    }


if __name__ == "__main__":
    port, clients, seconds = sys.argv[1:4]
    print(json.dumps(run(int(port), int(clients), float(seconds), sys.stdin.buffer.read())))
