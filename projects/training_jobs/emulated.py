"""The three services as loopback servers, for trying jobs with no account: moto for SageMaker, two small ones for the rest.

Vertex's requests are checked against Google's own discovery document; Azure's only for path, version and token here (the
repository's tests compare the bodies with the API's types). A job runs for one look and is done at the next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

Found = dict[str, Any]


@dataclass
class Recorded:
    """A server: where it is, and what it was asked."""

    url: str = ""
    bodies: dict[str, Found] = field(default_factory=dict)
    looks: dict[str, int] = field(default_factory=dict)

    def done(self, path: str) -> bool:
        self.looks[path] = self.looks.get(path, 0) + 1
        return self.looks[path] > 1


class RefusedError(Exception):
    """The service would answer 400 with this."""


@cache
def discovery() -> Found:
    """Vertex AI's API, as Google describes it."""
    documents = resources.files("googleapiclient") / "discovery_cache" / "documents" / "aiplatform.v1.json"
    found: Found = json.loads(documents.read_text())
    return found


def check(value: object, schema: Found, where: str) -> None:
    """Raise RefusedError where a value is not of a schema of the discovery document."""
    if "$ref" in schema:
        schema = discovery()["schemas"][schema["$ref"]]
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
    kind = schema.get("type", "any")
    if kind in kinds and (not isinstance(value, kinds[kind]) or (kind == "integer" and isinstance(value, bool))):
        raise RefusedError(f"{where} is no {kind}")
    if "enum" in schema and value not in schema["enum"]:
        raise RefusedError(f"{where}: {value!r} is none of {', '.join(schema['enum'])}")
    if isinstance(value, list):
        for n, one in enumerate(value):
            check(one, schema["items"], f"{where}[{n}]")
    if isinstance(value, dict):
        known, other = schema.get("properties", {}), schema.get("additionalProperties")
        for key, one in value.items():
            if key not in known and other is None:
                raise RefusedError(f"{where} has no field {key}")
            check(one, known.get(key, other), f"{where}.{key}")


def vertex_answer(method: str, path: str, body: Found, seen: Recorded) -> Found:
    create = discovery()["resources"]["projects"]["resources"]["locations"]["resources"]["customJobs"]["methods"]["create"]
    pattern = "/" + re.sub(r"\{\w+\}", "[^/]+", create["flatPath"])
    if method == create["httpMethod"] and re.fullmatch(pattern, path):
        check(body, create["request"], "customJob")
        name = f"{path.removeprefix('/v1/')}/{len(seen.bodies) + 1}"
        seen.bodies[f"/v1/{name}"] = body
        return {"name": name, "state": "JOB_STATE_PENDING", **body}
    if method == "GET" and path in seen.bodies:
        return {"name": path.removeprefix("/v1/"), "state": f"JOB_STATE_{'SUCCEEDED' if seen.done(path) else 'RUNNING'}"}
    raise RefusedError(f"no such method: {method} {path}")


_WORKSPACE = r"/subscriptions/[\w-]+/resourceGroups/[\w-]+/providers/Microsoft\.MachineLearningServices/workspaces/[\w-]+"


def azure_answer(method: str, path: str, body: Found, seen: Recorded) -> Found:
    if method == "PUT" and re.fullmatch(
        _WORKSPACE + r"/(computes/[a-z][a-z0-9-]{1,23}|environments/[\w-]+/versions/\w+|jobs/[\w-]+)", path
    ):
        compute = body.get("properties", {}).get("computeId")
        if compute is not None and compute not in seen.bodies:
            raise RefusedError(f"no compute {compute}")
        seen.bodies[path] = body
        return {"id": path, **body}
    if method == "GET" and path in seen.bodies:
        return {"id": path, "properties": {"status": "Completed" if seen.done(path) else "Running"}}
    raise RefusedError(f"no such resource: {method} {path}")


@contextmanager
def _server(answer: Any, version: str | None) -> Iterator[Recorded]:
    seen = Recorded()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            asked = urlsplit(self.path)
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else {}
            try:
                if not self.headers.get("Authorization", "").startswith("Bearer "):
                    raise RefusedError("no token")
                if version is not None and parse_qs(asked.query).get("api-version") != [version]:
                    raise RefusedError(f"api-version is not {version}")
                status, said = 200, answer(self.command, asked.path, body, seen)
            except RefusedError as why:
                status, said = 400, {"error": {"code": 400, "message": str(why)}}
            text = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nothing: the tests read what was recorded."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    seen.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def vertex() -> Iterator[Recorded]:
    with _server(vertex_answer, None) as seen:
        yield seen


@contextmanager
def azure(version: str) -> Iterator[Recorded]:
    with _server(azure_answer, version) as seen:
        yield seen


@contextmanager
def sagemaker() -> Iterator[str]:
    """moto's server; its URL."""
    import logging  # noqa: PLC0415

    from moto.server import ThreadedMotoServer  # noqa: PLC0415

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield "http://{}:{}".format(*server.get_host_and_port())
    finally:
        server.stop()
