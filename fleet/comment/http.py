"""Calls to a forge's API: retries, pages, errors that say how to mend them. It knows neither forge.

A GET, PUT, PATCH or DELETE that failed on the way is tried again. A POST is not, for the comment may have been made:
it raises `UnsureError`, and the caller looks. The token goes to the API's own origin alone, and into no message.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx2

_TRIES = 5
_LONGEST_WAIT = 60.0
_MENDS = {
    401: "the token is not valid: set {env} to one that is",
    403: "the token of {env} may not do this: {right}",
    404: "no such thing, or the token of {env} may not see it: check repository and number; {right}",
    422: "the forge refuses the comment: is the request locked, or the number an issue's?",
}


class ForgeError(Exception):
    """A forge did not do what was asked; the message says what, where and how to mend it."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class UnsureError(ForgeError):
    """A POST whose answer was lost."""


class Api:
    """One forge's API."""

    def __init__(
        self,
        url: str,
        token: str,
        headers: Mapping[str, str],
        *,
        env: str,
        right: str,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`env` is the token's variable and `right` what it must be allowed to, for the messages."""
        self._origin, self._token, self._env, self._right, self._sleep = httpx2.URL(url), token, env, right, sleep
        self._client = httpx2.Client(headers={**headers, "User-Agent": "accelfleet"}, timeout=httpx2.Timeout(30, connect=10))
        self._url = url.rstrip("/")

    def call(self, method: str, path: str, json: object = None) -> Any:
        """The answer's document; None where it has none."""
        return self._document(self._send(method, self._url + path, json))

    def pages(self, path: str) -> Iterator[Any]:
        """The entries of all pages of a list."""
        url: str | None = self._url + path
        seen = set[str]()
        while url and url not in seen:
            seen.add(url)
            answer = self._send("GET", url, None)
            yield from self._document(answer)
            following = answer.links.get("next", {}).get("url")
            url = str(answer.url.join(following)) if following else None
            if url and self._elsewhere(httpx2.URL(url)):
                raise ForgeError(
                    f"GET {path}: the next page is at {httpx2.URL(url).host}, which is not the API's host: not followed"
                )

    def _elsewhere(self, url: httpx2.URL) -> bool:
        return (url.scheme, url.host, url.port) != (self._origin.scheme, self._origin.host, self._origin.port)

    def _send(self, method: str, url: str, json: object) -> httpx2.Response:
        what = f"{method} {url}"
        for tried in range(1, _TRIES + 1):
            wait = min(2.0 ** (tried - 1), _LONGEST_WAIT)
            try:
                answer = self._client.request(method, url, json=json)
            except (httpx2.TransportError, httpx2.InvalidURL) as problem:
                if method == "POST" and not isinstance(problem, httpx2.ConnectError | httpx2.InvalidURL):
                    raise UnsureError(self._safe(f"{what}: no answer ({problem})")) from None
                if tried == _TRIES or isinstance(problem, httpx2.InvalidURL):
                    said = f"{what}: not reached ({problem}): check the API's address and the network"
                    raise ForgeError(self._safe(said)) from None
            else:
                if answer.is_success:
                    return answer
                limited = answer.status_code == 429 or (answer.status_code == 403 and "retry-after" in answer.headers)
                broken = answer.status_code >= 500
                if broken and method == "POST":
                    raise UnsureError(self._told(what, answer), answer.status_code)
                if not (limited or broken) or tried == _TRIES:
                    raise ForgeError(self._told(what, answer), answer.status_code)
                asked = answer.headers.get("retry-after", "")
                wait = min(float(asked), _LONGEST_WAIT) if asked.isascii() and asked.isdigit() else wait
            self._sleep(wait)
        raise AssertionError("the last try returns or raises")

    def _document(self, answer: httpx2.Response) -> Any:
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError:
            said = f"{answer.request.method} {answer.request.url}: the answer is not JSON: is this the API's address?"
            raise ForgeError(self._safe(said), answer.status_code) from None

    def _told(self, what: str, answer: httpx2.Response) -> str:
        mend = _MENDS.get(answer.status_code, "try again later").format(env=self._env, right=self._right)
        return self._safe(f"{what}: {answer.status_code} {answer.text[:300].strip()}\n    {mend}")

    def _safe(self, text: str) -> str:
        return text.replace(self._token, "***")
