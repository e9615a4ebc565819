"""The daemon's HTTP face, on loopback only: JSON in, JSON out, one route for each thing a cloud's API does.

Errors are `{"code", "message"}` with the status the cloud would use. Requests run in threads, so that a cluster that
takes seconds to start does not hold up a bucket.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio.to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox.cloud import aws_api, electricity_maps, interruptions
from sandbox.cloud.client import TOKEN_HEADER
from sandbox.cloud.errors import CloudError
from sandbox.cloud.invokes import answer
from sandbox.cloud.network import answer as answer_for_pod
from sandbox.cloud.network import is_for_a_pod, load_of
from sandbox.cloud.once import Once
from sandbox.cloud.quotas import refuse_over_quota
from sandbox.cloud.records import Record
from sandbox.cloud.world import World
from sandbox.cluster import NodePool

Handler = Callable[[World, dict[str, Any]], Any]


def _shape(world: World, record: Record) -> dict[str, Any]:
    return {
        "cloud": record.cloud,
        "type": record.type,
        "id": record.id,
        "urn": record.urn,
        "name": record.name,
        "tags": record.tags,
        "inputs": record.inputs,
        "outputs": record.outputs,
        "modelled": world.modelled(record.cloud, record.type),
        "immutable": list(world.behaviour(record.cloud, record.type).immutable),
    }


def _create(world: World, q: dict[str, Any]) -> Any:
    return _shape(world, world.create(q["cloud"], q["type"], q["urn"], q["config"], q["inputs"], q.get("defaults") or {}))


def _read(world: World, q: dict[str, Any]) -> Any:
    return _shape(world, world.read(q["cloud"], q["type"], q["id"]))


def _update(world: World, q: dict[str, Any]) -> Any:
    return _shape(world, world.update(q["cloud"], q["type"], q["id"], q["inputs"]))


def _delete(world: World, q: dict[str, Any]) -> Any:
    world.delete(q["cloud"], q["type"], q["id"])


def _list(world: World, q: dict[str, Any]) -> Any:
    found = world.records.all(q.get("cloud"), q.get("type"))
    tags = q.get("tags") or {}
    return [_shape(world, r) for r in found if all(r.tags.get(k) == v for k, v in tags.items())]


def _find(world: World, q: dict[str, Any]) -> Any:
    return [_shape(world, r) for r in world.find(q["cloud"], q["type"], q["inputs"], q.get("stack"))]


def _describe(world: World, q: dict[str, Any]) -> Any:
    behaviour = world.behaviour(q["cloud"], q["type"])
    return {"modelled": world.modelled(q["cloud"], q["type"]), "immutable": list(behaviour.immutable)}


def _invoke(world: World, q: dict[str, Any]) -> Any:
    return answer(world, q["token"], q["args"], q["config"])


def _log(world: World, q: dict[str, Any]) -> Any:
    return world.records.log()


def _status(world: World, q: dict[str, Any]) -> Any:
    return {
        "clusters": world.clusters.status(),
        "stores": world.buckets.endpoints(),
        "resources": len(world.records.all()),
    }


def _quota(world: World, q: dict[str, Any]) -> Any:
    world.records.set(f"quota/{q['cloud']}/{q['region']}/{q['quota']}", q["limit"])


def _latency(world: World, q: dict[str, Any]) -> Any:
    world.records.set("latency_s", q["seconds"])


def _site(world: World, q: dict[str, Any]) -> Any:
    """A cluster that nobody here made: it stands, with these hosts, whether or not it stood before."""
    return world.clusters.site(q["name"], [NodePool.from_json(raw) for raw in q["pools"]], q["runtime_classes"])


def _addon(world: World, q: dict[str, Any]) -> Any:
    """The programs behind a chart's pods: they come with its release, and go with it."""
    world.clusters.addon(q["endpoint"], q["chart"], present=bool(q["present"]))


def _load(world: World, q: dict[str, Any]) -> Any:
    """Requests that wait at a model's replicas, all together."""
    world.clusters.sim(q["cloud"], q["cluster"])
    world.records.set(load_of(f"{q['cloud']}/{q['cluster']}", q["namespace"], q["model"]), int(q["waiting"]))


def _resize(world: World, q: dict[str, Any]) -> Any:
    """What an autoscaler or a person does behind the engine's back."""
    sim = world.clusters.sim(q["cloud"], q["cluster"])
    if q["pool"] in sim.instances.names():
        raise CloudError("InvalidParameter", f"Karpenter makes the nodes of {q['pool']} for pods that wait, and no size does")
    for pool in [pool for pool in sim.pools() if pool.name == q["pool"]]:
        refuse_over_quota(world, q["cluster"], pool.at(q["size"]))
    sim.resize(q["pool"], q["size"])


def _reclaim(world: World, q: dict[str, Any]) -> Any:
    """Spot capacity that the cloud wants back; returns the nodes it took. It never takes what was bought on demand."""
    sim = world.clusters.sim(q["cloud"], q["cluster"])
    if sim.instances.count(q["pool"]):
        return interruptions.reclaim(world, sim, q["pool"], q["count"], float(q.get("notice_s") or 0))
    if q["pool"] not in [pool.name for pool in sim.pools() if pool.spot]:
        raise CloudError("InvalidParameter", f"{q['cluster']} has no spot pool {q['pool']}")
    return sim.reclaim(q["pool"], q["count"], float(q.get("notice_s") or 0))


def _reserve(world: World, q: dict[str, Any]) -> Any:
    """EC2 capacity that the account bought ahead: `machine`, `zone`, `count`, and for a block when it `ends`."""
    world.records.set(f"reservation/{q['id']}", {key: q.get(key) for key in ("machine", "zone", "count", "ends")})


def _exhaust(world: World, q: dict[str, Any]) -> Any:
    """No more machines of a pool's kind in its place, or again some."""
    sim = world.clusters.sim(q["cloud"], q["cluster"])
    if q["pool"] not in [pool.name for pool in sim.pools()] + sim.instances.names():
        raise CloudError("InvalidParameter", f"{q['cluster']} has no pool {q['pool']}")
    sim.exhaust(q["pool"], bool(q["exhausted"]))


def _grid(world: World, q: dict[str, Any]) -> Any:
    """The carbon intensity of a grid, from now on, and in the hours that follow."""
    electricity_maps.put(world.records, q["zone"], float(q["gco2_kwh"]), [float(hour) for hour in q.get("forecast") or []])


_ROUTES: dict[str, Handler] = {
    "create": _create,
    "read": _read,
    "update": _update,
    "delete": _delete,
    "list": _list,
    "find": _find,
    "describe": _describe,
    "invoke": _invoke,
    "log": _log,
    "status": _status,
    "quota": _quota,
    "latency": _latency,
    "site": _site,
    "addon": _addon,
    "load": _load,
    "grid": _grid,
    "resize": _resize,
    "reclaim": _reclaim,
    "exhaust": _exhaust,
    "reserve": _reserve,
}


# What must not be done twice for one request.
_CHANGES = (_create, _update, _delete, _resize, _reclaim)


def app(world: World) -> ASGIApp:
    """The web application over one world."""
    once = Once()

    def route(handler: Handler) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            query = json.loads(body) if body else {}
            try:
                token = request.headers.get(TOKEN_HEADER)
                work = partial(handler, world, query)
                result = await anyio.to_thread.run_sync(partial(once, token, work) if token and handler in _CHANGES else work)
            except CloudError as refused:
                return JSONResponse({"code": refused.code, "message": refused.message}, status_code=refused.status)
            return JSONResponse(result)

        return endpoint

    async def aws(request: Request) -> Response:
        path = request.url.path.removeprefix(aws_api.PATH)
        asked = (request.method, path, dict(request.headers), await request.body())
        status, headers, body = await anyio.to_thread.run_sync(aws_api.answer, world, *asked)
        return Response(body, status, headers)

    routes = [Route(f"/{name}", route(handler), methods=["POST"]) for name, handler in _ROUTES.items()]

    async def electricity(request: Request) -> Response:
        token, zone = request.headers.get("auth-token"), request.query_params.get("zone", "")
        if request.url.path.endswith("/latest"):
            answered = partial(electricity_maps.latest, world.records, token, zone)
        else:
            answered = partial(electricity_maps.forecast, world.records, token, zone, request.query_params.get("horizonHours"))
        status, answer = await anyio.to_thread.run_sync(answered)
        return JSONResponse(answer, status)

    for what in ("latest", "forecast"):
        routes.append(Route(f"{electricity_maps.PATH}/v3/carbon-intensity/{what}", electricity))
    clouds = Starlette(routes=[*routes, Route(f"{aws_api.PATH}{{rest:path}}", aws, methods=["GET", "POST"])])

    async def either(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope) if scope["type"] == "http" else None
        if request is None or not is_for_a_pod(request):
            await clouds(scope, receive, send)
        else:
            await (await anyio.to_thread.run_sync(answer_for_pod, world, request))(scope, receive, send)

    return either
