"""GETs from the projects' hosts, or from a mirror of them; what may pass is tried again, twice.

$TOOLCHAIN_MIRROR=https://artifacts.example/accelfleet has a directory for each host: dl.k8s.io/v1.37.2/… lies below it.
A mirror over plain http cannot be told from somebody in between: there, only pins protect the first download.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx2

Progress = Callable[[int, int | None], None]
"""Called with the bytes had so far and the bytes to come, where the server says."""

_T = TypeVar("_T")
_PAUSES_S = (1.0, 4.0)
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_UNSET = "Mend: check the network, or unset TOOLCHAIN to build from Go modules instead."


class _TransientError(Exception):
    """The server's answer may be another one in a moment."""


def address(url: str) -> str:
    """Where a published URL is fetched from: there, or from the mirror."""
    mirror = _mirror()
    return f"{mirror}/{url.partition('://')[2]}" if mirror else url


def _mirror() -> str | None:
    mirror = os.environ.get("TOOLCHAIN_MIRROR")
    if not mirror:
        return None
    parts = urlsplit(mirror)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        # Not shown: it may carry a password.
        raise RuntimeError("TOOLCHAIN_MIRROR is no http(s)://host/path: set one, or unset it for the projects' own hosts")
    return mirror.rstrip("/")


def client() -> httpx2.Client:
    """Follows redirects, as GitHub and dl.k8s.io send them; never from TLS to plain text."""
    plain = (_mirror() or "").startswith("http:")
    hooks = {} if plain else {"request": [_only_tls]}
    # Identity, so that what is hashed is what was published and not a decompressed form of it.
    headers = {"Accept-Encoding": "identity", "User-Agent": "accelfleet-sandbox"}
    timeout = httpx2.Timeout(30, connect=10)
    return httpx2.Client(follow_redirects=True, timeout=timeout, headers=headers, event_hooks=hooks)


def text(http: httpx2.Client, url: str) -> str:
    """A small file."""
    return _get(http, url, lambda response: response.read().decode(errors="replace"))


def file(http: httpx2.Client, url: str, target: Path, progress: Progress) -> str:
    """Write a file to `target`, anew at each try, and return its SHA-256."""

    def take(response: httpx2.Response) -> str:
        digest, had = hashlib.sha256(), 0
        length = response.headers.get("content-length", "")
        total = int(length) if length.isdigit() else None
        with target.open("wb") as out:
            for chunk in response.iter_raw():
                out.write(chunk)
                digest.update(chunk)
                had += len(chunk)
                progress(had, total)
        return digest.hexdigest()

    return _get(http, url, take)


def _get(http: httpx2.Client, url: str, take: Callable[[httpx2.Response], _T]) -> _T:
    """Hand the answer to `take`; a connection that breaks while it reads counts as a failed try.

    Raises:
        RuntimeError: the server refused, or no try succeeded.
    """
    where = address(url)
    for pause_s in (*_PAUSES_S, None):
        try:
            with http.stream("GET", where) as response:
                _check(response, where)
                return take(response)
        except (httpx2.TransportError, _TransientError) as problem:
            if pause_s is None:
                what = str(problem) or type(problem).__name__
                tries = len(_PAUSES_S) + 1
                raise RuntimeError(f"{shown(where)} could not be fetched in {tries} tries: {what}\n{_UNSET}") from problem
            time.sleep(pause_s)
        except httpx2.RequestError as problem:
            raise RuntimeError(f"{shown(where)} could not be fetched: {problem}\n{_UNSET}") from problem
    raise AssertionError("the last try returns or raises")


def _check(response: httpx2.Response, where: str) -> None:
    said = f"{response.status_code} {response.reason_phrase}"
    if response.status_code in _TRANSIENT:
        raise _TransientError(f"the server answered {said}")
    if response.status_code != httpx2.codes.OK:
        raise RuntimeError(f"{shown(where)} was expected to be a release's file, but the server answered {said}\n{_UNSET}")


def _only_tls(request: httpx2.Request) -> None:
    if request.url.scheme != "https":
        raise RuntimeError(f"refused: a redirect to {request.url.scheme}://{request.url.host} leaves TLS\n{_UNSET}")


def shown(where: str) -> str:
    """The URL without what a mirror's may carry: a password."""
    return str(httpx2.URL(where).copy_with(username=None, password=None))
