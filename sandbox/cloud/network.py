"""The network inside a cluster, for programs that run beside it: an HTTP proxy that knows pods by their addresses.

No container runs here. A pod whose program runs on this machine (`sandbox.cluster.programs`) answers itself; for others
what they would answer is answered for them: a vLLM server's metrics, from the load that `fleet sandbox load` puts on a
model. Refuses what it does not know, as a network does: 502.
"""

from __future__ import annotations

import base64
import binascii
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sandbox.cloud.errors import CloudError
from sandbox.cloud.world import World
from sandbox.cluster.api import Object, is_ready, pods

_HERE = ("127.0.0.1", "localhost")
_TIMEOUT_S = 5
_MODEL_LABEL = "app.kubernetes.io/instance"


def is_for_a_pod(request: Request) -> bool:
    """Whether a request came to be passed on: it names another host than this machine."""
    return _host(request) not in _HERE


def _host(request: Request) -> str:
    return request.headers.get("host", _HERE[0]).partition(":")[0]


def answer(world: World, request: Request) -> Response:
    """What the pod at the request's address answers."""
    try:
        cloud, _, name = _cluster(request.headers.get("proxy-authorization", "")).partition("/")
        sim = world.clusters.sim(cloud, name)
    except (CloudError, ValueError):
        return PlainTextResponse("no cluster is named for which to find the pod", 407)
    everything = pods(sim.api)
    pod = next((p for p in everything if p["status"].get("podIP") == _host(request)), None)
    if pod is None or not is_ready(pod):
        return PlainTextResponse(f"nothing answers at {_host(request)} in {name}", 502)
    # To a proxy a client names the whole address.
    asked = urlsplit(request.scope["path"])
    if (port := sim.programs.port(pod, asked.port or 80)) is not None:
        return _of_program(port, asked.path)
    if asked.path != "/metrics" or not _serves_vllm(pod):
        return PlainTextResponse(f"{pod['metadata']['name']} is not played beyond a vLLM server's metrics", 502)
    return PlainTextResponse(_metrics(world, f"{cloud}/{name}", pod, everything))


def _of_program(port: int, path: str) -> Response:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=_TIMEOUT_S) as reply:
            return Response(reply.read(), reply.status, media_type=reply.headers.get_content_type())
    except urllib.error.HTTPError as refused:
        return Response(refused.read(), refused.code)
    except OSError as gone:
        return PlainTextResponse(str(gone), 502)


def _cluster(authorization: str) -> str:
    kind, _, coded = authorization.partition(" ")
    if kind.lower() != "basic":
        raise ValueError("no Basic credentials")
    try:
        return unquote(base64.b64decode(coded).decode().partition(":")[0])
    except (binascii.Error, UnicodeDecodeError):
        raise ValueError("no Basic credentials") from None


def _serves_vllm(pod: Object) -> bool:
    return any("vllm" in container.get("image", "") for container in pod["spec"].get("containers") or [])


def _metrics(world: World, cluster: str, pod: Object, everything: list[Object]) -> str:
    """The part of the model's waiting requests that this replica has; they are spread evenly, as a Service spreads them.

    https://docs.vllm.ai/en/v0.11.0/design/metrics.html
    """
    namespace, model = pod["metadata"]["namespace"], _model(pod)
    waiting = int(world.records.setting(load_of(cluster, namespace, model)) or 0)
    serving = sorted(
        str(p["metadata"]["name"])
        for p in everything
        if p["metadata"]["namespace"] == namespace and _model(p) == model and _serves_vllm(p) and is_ready(p)
    )
    each, rest = divmod(waiting, len(serving))
    mine = each + (serving.index(pod["metadata"]["name"]) < rest)
    return "".join(
        f'# TYPE {metric} gauge\n{metric}{{model_name="{model}"}} {value}.0\n'
        for metric, value in (("vllm:num_requests_waiting", mine), ("vllm:num_requests_running", min(mine, 1)))
    )


def _model(pod: Object) -> str:
    labels: dict[str, Any] = pod["metadata"].get("labels") or {}
    return str(labels.get(_MODEL_LABEL, ""))


def load_of(cluster: str, namespace: str, model: str) -> str:
    """Where the load of a model is kept."""
    return f"load/{cluster}/{namespace}/{model}"
