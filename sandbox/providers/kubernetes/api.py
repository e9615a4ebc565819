"""The API server over HTTP: discovery, get, apply, delete, with what may be tried again tried again.

Writes by server-side apply (https://kubernetes.io/docs/reference/using-api/server-side-apply/); caches discovery.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote

import httpx2

from sandbox.providers.base import Refused
from sandbox.providers.kubernetes.kubeconfig import Credentials, Kubeconfig

_TRIES = 6
_TRIES_TO_CONNECT = 3
# Of 500 only what is not the API server's own: to a mistyped field server-side apply answers so, and no second try mends it.
_TRANSIENT = frozenset({429, 502, 503, 504})
_CONNECTIONS = 64
MANAGER = "pulumi-kubernetes"


class ApiError(Refused):
    """The API server's own refusal.

    Attributes:
        code: HTTP status.
        status: the Status object, https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/.
    """

    def __init__(self, code: int, status: Mapping[str, Any]) -> None:
        super().__init__(str(status.get("message") or f"the API server answered {code}"))
        self.code, self.status = code, status

    @property
    def causes(self) -> list[Mapping[str, str]]:
        """Field by field what is wrong: `field`, `reason`, `message`."""
        return list((self.status.get("details") or {}).get("causes") or [])


class UnreachableError(Refused):
    """Nobody answers at the API server's address."""


@dataclass(frozen=True)
class Kind:
    """A kind as the API server serves it."""

    api_version: str
    kind: str
    plural: str
    namespaced: bool

    def path(self, name: str, namespace: str | None) -> str:
        """The URL path of an object."""
        root = "/api/v1" if self.api_version == "v1" else f"/apis/{self.api_version}"
        space = f"/namespaces/{quote(namespace)}" if self.namespaced and namespace else ""
        return f"{root}{space}/{self.plural}/{quote(name, safe='')}"


class Api:
    """A client of one cluster, for many threads."""

    def __init__(self, kubeconfig: Kubeconfig) -> None:
        self._credentials = Credentials(kubeconfig)
        self._server = kubeconfig.server
        self._client = httpx2.Client(
            base_url=kubeconfig.server,
            verify=kubeconfig.ssl_context(),
            timeout=httpx2.Timeout(60, connect=5),
            limits=httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
            trust_env=False,
        )
        self._kinds: dict[tuple[str, str], Kind] = {}
        self._lock = threading.Lock()

    @property
    def server(self) -> str:
        """Its address, as the kubeconfig has it."""
        return self._server

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def kind(self, api_version: str, kind: str) -> Kind | None:
        """How a kind is served; None where it is not (yet): its CRD may be on its way, so that is not remembered."""
        with self._lock:
            if (api_version, kind) not in self._kinds:
                self._discover(api_version)
            return self._kinds.get((api_version, kind))

    def get(self, kind: Kind, name: str, namespace: str | None) -> dict[str, Any] | None:
        """The object, None where there is none."""
        try:
            return self.call("GET", kind.path(name, namespace))
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def list(self, path: str, **query: str) -> list[dict[str, Any]]:
        """The items of a collection."""
        found: list[dict[str, Any]] = self.call("GET", path, query).get("items") or []
        return found

    def apply(
        self,
        kind: Kind,
        namespace: str | None,
        body: Mapping[str, Any],
        *,
        force: bool,
        dry_run: bool = False,
        manager: str = MANAGER,
    ) -> dict[str, Any]:
        """Server-side apply; unknown and duplicate fields are errors.

        Raises:
            ApiError: 409 names fields that others manage.
        """
        query = {"fieldManager": manager, "fieldValidation": "Strict", "force": str(force).lower()}
        if dry_run:
            query["dryRun"] = "All"
        path = kind.path(body["metadata"]["name"], namespace)
        return self.call("PATCH", path, query, body, "application/apply-patch+yaml")

    def delete(self, kind: Kind, name: str, namespace: str | None, propagation: str) -> None:
        """Ask for the deletion; it may take a while. What is gone already is fine."""
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        try:
            self.call("DELETE", kind.path(name, namespace), body=options)
        except ApiError as error:
            if error.code != 404:
                raise

    def call(
        self,
        method: Literal["GET", "PATCH", "DELETE"],
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> dict[str, Any]:
        """One request, tried again with jitter while the server is overloaded or the connection breaks.

        Raises:
            ApiError: it was refused.
            UnreachableError: nobody answered.
        """
        for attempt in range(1, _TRIES + 1):
            try:
                headers = self._headers(content_type, body)
                response = self._client.request(method, path, params=dict(query or {}), json=body, headers=headers)
                answer: dict[str, Any] = response.json() if response.is_success else {}
            except (httpx2.TransportError, ValueError) as problem:  # half an answer is none
                tries = _TRIES_TO_CONNECT if isinstance(problem, httpx2.ConnectError) else _TRIES
                if attempt >= tries:
                    raise UnreachableError(f"no answer from the API server at {self._server}: {problem}") from None
            else:
                if response.is_success:
                    return answer
                if response.status_code == 401 and attempt == 1:
                    self._credentials.forget()
                elif not _passes(response) or attempt == _TRIES:
                    raise ApiError(response.status_code, _status(response))
            time.sleep(random.uniform(0.5, 1) * 0.1 * 2**attempt)  # noqa: S311 - jitter
        raise AssertionError("the last attempt returns or raises")

    def _headers(self, content_type: str, body: Any) -> dict[str, str]:
        token = self._credentials.token()
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return {**headers, "Content-Type": content_type} if body is not None else headers

    def _discover(self, api_version: str) -> None:
        try:
            listed = self.call("GET", "/api/v1" if api_version == "v1" else f"/apis/{api_version}")
        except ApiError as error:
            if error.code == 404:
                return
            raise
        for resource in listed.get("resources") or []:
            if "/" not in resource["name"]:  # else a subresource
                kind = Kind(api_version, resource["kind"], resource["name"], resource["namespaced"])
                self._kinds[(api_version, resource["kind"])] = kind


def _passes(response: httpx2.Response) -> bool:
    """Whether the same request may fare better in a moment."""
    return response.status_code in _TRANSIENT or (response.status_code == 500 and "kind" not in _status(response))


def _status(response: httpx2.Response) -> Mapping[str, Any]:
    try:
        status = response.json()
    except ValueError:
        status = None
    return status if isinstance(status, Mapping) else {"message": response.text[:500]}
