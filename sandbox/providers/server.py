"""A `StandIn` behind Pulumi's provider protocol (pulumirpc.ResourceProvider), one thread a call.

Written on the protocol itself: `pulumi.provider.experimental` is one asyncio loop, where a slow create holds up all
others, and has no way to report a half-made resource. Ends itself when the engine dies, which stock plugins do not.
"""
# ruff: noqa: N802 - the protocol names the methods

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from typing import Any, TypeVar

import grpc  # type: ignore[import-untyped]
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.lifeline import end_with_parent
from sandbox.providers.base import Failure, HalfMade, Refused, Severity, StandIn, call_ignores, call_timeout
from sandbox.providers.diffs import Diff, join
from sandbox.providers.wire import decode_struct, encode_struct

# Above the engine's own default of parallel operations on any machine we expect; threads are made as they are needed.
_THREADS = 128
_SEVERITY = {
    "debug": engine_pb2.DEBUG,
    "info": engine_pb2.INFO,
    "warning": engine_pb2.WARNING,
    "error": engine_pb2.ERROR,
}
_KIND = {
    "add": (provider_pb2.PropertyDiff.ADD, provider_pb2.PropertyDiff.ADD_REPLACE),
    "delete": (provider_pb2.PropertyDiff.DELETE, provider_pb2.PropertyDiff.DELETE_REPLACE),
    "update": (provider_pb2.PropertyDiff.UPDATE, provider_pb2.PropertyDiff.UPDATE_REPLACE),
}
_Call = TypeVar("_Call", bound=Callable[..., Any])


def _reporting(call: _Call) -> _Call:
    """Turn what a stand-in raises into what the engine shows; a bug keeps its traceback."""

    @wraps(call)
    def guarded(self: Provider, request: Any, context: grpc.ServicerContext) -> Any:
        call_timeout.set(getattr(request, "timeout", 0.0))
        call_ignores.set(frozenset(getattr(request, "ignoreChanges", ())))
        try:
            return call(self, request, context)
        except HalfMade as half:
            _abort_half_made(context, half)
        except Refused as refused:
            context.abort(grpc.StatusCode.UNKNOWN, str(refused))
        except Exception:
            context.abort(grpc.StatusCode.INTERNAL, f"a defect of the sandbox's plugin:\n{traceback.format_exc()}")

    return guarded  # type: ignore[return-value]


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """The protocol's side of one stand-in."""

    def __init__(self, standin: StandIn, engine: str = "") -> None:
        self._standin = standin
        self._engine: Any = None
        standin._log = self._log
        self._connect(engine)

    def Handshake(self, request: Any, context: Any) -> Any:
        self._connect(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse()

    def Attach(self, request: Any, context: Any) -> Any:
        self._connect(request.address)
        return empty_pb2.Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=self._standin.version)

    def GetSchema(self, request: Any, context: Any) -> Any:
        schema = {"name": self._standin.package, "version": self._standin.version}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    def GetMapping(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetMappingResponse()

    def GetMappings(self, request: Any, context: Any) -> Any:
        return provider_pb2.GetMappingsResponse()

    def Cancel(self, request: Any, context: Any) -> Any:
        self._standin.cancelled.set()
        return empty_pb2.Empty()

    @_reporting
    def CheckConfig(self, request: Any, context: Any) -> Any:
        failures = self._standin.check_config(_config(request.news))
        return provider_pb2.CheckResponse(inputs=request.news, failures=_failures(failures))

    @_reporting
    def DiffConfig(self, request: Any, context: Any) -> Any:
        olds = request.old_inputs if request.old_inputs.fields else request.olds
        return _diff_response(self._standin.diff_config(_config(olds), _config(request.news)))

    @_reporting
    def Configure(self, request: Any, context: Any) -> Any:
        self._standin.configure(_config(request.args))
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    @_reporting
    def Check(self, request: Any, context: Any) -> Any:
        inputs, failures = self._standin.check(
            request.urn, _type(request), decode_struct(request.olds), decode_struct(request.news), request.randomSeed
        )
        return provider_pb2.CheckResponse(inputs=encode_struct(inputs), failures=_failures(failures))

    @_reporting
    def Diff(self, request: Any, context: Any) -> Any:
        olds = request.old_inputs if request.old_inputs.fields else request.olds
        outputs, news = decode_struct(request.olds), decode_struct(request.news)
        return _diff_response(self._standin.diff(request.urn, _type(request), request.id, decode_struct(olds), outputs, news))

    @_reporting
    def Create(self, request: Any, context: Any) -> Any:
        inputs = decode_struct(request.properties)
        id_, outputs = self._standin.create(request.urn, _type(request), inputs, request.preview)
        return provider_pb2.CreateResponse(id=id_ if isinstance(id_, str) else "", properties=encode_struct(outputs))

    @_reporting
    def Update(self, request: Any, context: Any) -> Any:
        olds = request.old_inputs if request.old_inputs.fields else request.olds
        outputs = self._standin.update(
            request.urn, _type(request), request.id, decode_struct(olds), decode_struct(request.news), request.preview
        )
        return provider_pb2.UpdateResponse(properties=encode_struct(outputs))

    @_reporting
    def Read(self, request: Any, context: Any) -> Any:
        found = self._standin.read(request.urn, _type(request), request.id, decode_struct(request.inputs))
        if found is None:
            return provider_pb2.ReadResponse()
        inputs, outputs = found
        return provider_pb2.ReadResponse(id=request.id, inputs=encode_struct(inputs), properties=encode_struct(outputs))

    @_reporting
    def Delete(self, request: Any, context: Any) -> Any:
        inputs = request.old_inputs if request.old_inputs.fields else request.properties
        self._standin.delete(request.urn, _type(request), request.id, decode_struct(inputs))
        return empty_pb2.Empty()

    @_reporting
    def Invoke(self, request: Any, context: Any) -> Any:
        answer = self._standin.invoke(request.tok, decode_struct(request.args))
        return provider_pb2.InvokeResponse(**{"return": encode_struct(answer)})

    @_reporting
    def Construct(self, request: Any, context: Any) -> Any:
        raise Refused(
            f"{request.type} is a component that runs inside the official {self._standin.package} plugin, "
            "which the sandbox stands in for: declare the resources it would make instead"
        )

    def _connect(self, engine: str) -> None:
        if engine:
            channel = grpc.insecure_channel(engine, options=_GRPC_CHANNEL_OPTIONS)
            self._engine = engine_pb2_grpc.EngineStub(channel)

    def _log(self, urn: str, message: str, severity: Severity, ephemeral: bool) -> None:
        if self._engine is not None:
            request = engine_pb2.LogRequest(severity=_SEVERITY[severity], message=message, urn=urn, ephemeral=ephemeral)
            try:
                self._engine.Log(request)
            except grpc.RpcError:
                self._engine = None  # the engine is on its way out, and so are we


def run(standin: StandIn) -> None:
    """Serve on a free loopback port, which is written to stdout as the engine expects."""
    end_with_parent()
    engine = next((arg for arg in sys.argv[1:] if not arg.startswith("-")), "")
    server = grpc.server(ThreadPoolExecutor(_THREADS), options=_GRPC_CHANNEL_OPTIONS)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(standin, engine), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


def _type(request: Any) -> str:
    """The resource's own type: the last of the types in its URN."""
    return str(request.type or request.urn.split("::")[2].rsplit("$", 1)[-1])


def _config(struct: Any) -> dict[str, Any]:
    """A provider's inputs; SDKs send anything but a string as JSON."""
    return {key: _from_json(value) for key, value in decode_struct(struct).items()}


def _from_json(value: Any) -> Any:
    if isinstance(value, str) and (value in ("true", "false") or value[:1] in ("{", "[")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _failures(failures: list[Failure]) -> list[Any]:
    return [provider_pb2.CheckFailure(property=f.path, reason=f.reason) for f in failures]


def _diff_response(diff: Diff) -> Any:
    changes = {**dict.fromkeys(diff.replaces, "update"), **diff.changes}
    replaces = set(diff.replaces)
    detailed = {
        path: provider_pb2.PropertyDiff(kind=_KIND[kind][path in replaces], inputDiff=True) for path, kind in changes.items()
    }
    return provider_pb2.DiffResponse(
        changes=provider_pb2.DiffResponse.DIFF_SOME if changes else provider_pb2.DiffResponse.DIFF_NONE,
        replaces=diff.replaces,
        diffs=sorted({_top(path) for path in changes}),
        detailedDiff=detailed,
        hasDetailedDiff=True,
        deleteBeforeReplace=diff.delete_before_replace,
    )


def _top(path: str) -> str:
    if path.startswith("["):
        key = json.JSONDecoder().raw_decode(path[1:])[0]
        return join("", key)
    return path.partition(".")[0].partition("[")[0]


def _abort_half_made(context: grpc.ServicerContext, half: HalfMade) -> None:
    detail = provider_pb2.ErrorResourceInitFailed(
        id=half.id, properties=encode_struct(half.outputs), inputs=encode_struct(half.inputs), reasons=half.reasons
    )
    packed = any_pb2.Any()
    packed.Pack(detail)
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(half), details=[packed])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, str(half))
