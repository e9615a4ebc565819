"""A small client of one API server: JSON over kept-alive HTTPS, as admin. For the simulation's own loops only."""

from __future__ import annotations

import json
import ssl
from typing import Any
from urllib.parse import urlencode

import urllib3

Object = dict[str, Any]


class ApiError(Exception):
    """The API server refused; `status` is its HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """Talks to one API server. Safe to use from several threads."""

    def __init__(self, endpoint: str, ca_pem: str, token: str) -> None:
        context = ssl.create_default_context(cadata=ca_pem)
        self._pool = urllib3.PoolManager(ssl_context=context, maxsize=4, retries=urllib3.Retry(2, backoff_factor=0.2))
        self._endpoint = endpoint
        self._auth = {"authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json", **query: str) -> Object:
        """One request; returns the reply's object.

        Raises:
            ApiError: the server refused or could not be reached.
        """
        url = f"{self._endpoint}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            reply = self._pool.request(
                method,
                url,
                body=json.dumps(body) if body is not None else None,
                headers={**self._auth, "content-type": content_type},
                timeout=20,
            )
        except urllib3.exceptions.HTTPError as error:
            raise ApiError(0, str(error)) from None
        if reply.status >= 400:
            raise ApiError(reply.status, _said(reply.data))
        answer: Object = json.loads(reply.data) if reply.data else {}
        return answer

    def items(self, path: str, **query: str) -> list[Object]:
        """A list's items. Served from the API server's cache: the loops can live with a moment's delay."""
        return list(self.call("GET", path, resourceVersion="0", **query).get("items") or [])

    def patch(self, path: str, body: Any, **query: str) -> Object:
        return self.call("PATCH", path, body, "application/merge-patch+json", **query)


def _said(body: bytes) -> str:
    """What a refusal says; of a kind that is not served it is no JSON."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace").strip()


def nodes(api: Api) -> list[Object]:
    return api.items("/api/v1/nodes")


def pods(api: Api) -> list[Object]:
    return api.items("/api/v1/pods")


def is_ready(thing: Object) -> bool:
    """Whether a node or pod says it is Ready."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in thing.get("status", {}).get("conditions") or [])


def is_daemon(pod: Object) -> bool:
    return any(owner.get("kind") == "DaemonSet" for owner in pod["metadata"].get("ownerReferences") or [])


def images(pod: Object) -> list[str]:
    return [container.get("image", "") for container in pod["spec"].get("containers") or []]
