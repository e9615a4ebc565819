"""The gRPC side: GRPCInferenceService over grpc.aio, on the event loop that HTTP is on.

Owns reading and writing protobuf messages, and the gRPC codes. Messages are parsed here and not by grpc, which answers
INTERNAL to what is no message; that is the client's fault and INVALID_ARGUMENT.
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_grpc.md
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from time import perf_counter
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from serving import __version__
from serving.errors import Refusal, UsageError, malformed
from serving.http import EXTENSIONS, NAME
from serving.model import Model
from serving.proto import open_inference_pb2 as pb
from serving.repository import Repository
from serving.rest import in_order, input_spec, microseconds, output_index
from serving.telemetry import Tracer
from serving.tensors import Array, TensorSpec, datatype_of, from_binary, from_list, shape_of, to_binary

log = logging.getLogger(__name__)

Context = grpc.aio.ServicerContext[Any, Any]

_CODES = {
    HTTPStatus.BAD_REQUEST: grpc.StatusCode.INVALID_ARGUMENT,
    HTTPStatus.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    HTTPStatus.TOO_MANY_REQUESTS: grpc.StatusCode.RESOURCE_EXHAUSTED,
    HTTPStatus.INTERNAL_SERVER_ERROR: grpc.StatusCode.INTERNAL,
    HTTPStatus.SERVICE_UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT: grpc.StatusCode.DEADLINE_EXCEEDED,
}
# Which list of InferTensorContents holds a datatype. FP16 has none: it is raw or not at all.
_CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
# What a message has around its tensors; bodies of the same tensors then pass on both ports.
_AROUND_BYTES = 64 << 10


class Service:
    """The methods of GRPCInferenceService."""

    def __init__(self, repository: Repository, tracer: Tracer) -> None:
        self._repository, self._tracer = repository, tracer

    def handlers(self) -> grpc.GenericRpcHandler[Any, Any]:
        methods: dict[str, tuple[type[Message], Callable[[Any, Context], Awaitable[Message]]]] = {
            "ServerLive": (pb.ServerLiveRequest, self._live),
            "ServerReady": (pb.ServerReadyRequest, self._ready),
            "ModelReady": (pb.ModelReadyRequest, self._model_ready),
            "ServerMetadata": (pb.ServerMetadataRequest, self._server),
            "ModelMetadata": (pb.ModelMetadataRequest, self._model),
            "ModelInfer": (pb.ModelInferRequest, self._infer),
        }
        made = {
            name: grpc.unary_unary_rpc_method_handler(_refusing(kind, method), response_serializer=_serialized)
            for name, (kind, method) in methods.items()
        }
        return grpc.method_handlers_generic_handler("inference.GRPCInferenceService", made)

    async def _live(self, asked: pb.ServerLiveRequest, _: Context) -> Message:
        return pb.ServerLiveResponse(live=self._repository.live)

    async def _ready(self, asked: pb.ServerReadyRequest, _: Context) -> Message:
        return pb.ServerReadyResponse(ready=self._repository.ready)

    async def _model_ready(self, asked: pb.ModelReadyRequest, _: Context) -> Message:
        return pb.ModelReadyResponse(ready=self._repository.find(asked.name, asked.version).ready)

    async def _server(self, asked: pb.ServerMetadataRequest, _: Context) -> Message:
        return pb.ServerMetadataResponse(name=NAME, version=__version__, extensions=EXTENSIONS)

    async def _model(self, asked: pb.ModelMetadataRequest, _: Context) -> Message:
        return pb.ModelMetadataResponse(**self._repository.find(asked.name, asked.version).metadata())

    async def _infer(self, asked: pb.ModelInferRequest, context: Context) -> Message:
        started = perf_counter()
        code = grpc.StatusCode.OK
        model: Model | None = None
        headers = [(k.encode(), v if isinstance(v, bytes) else v.encode()) for k, v in context.invocation_metadata() or ()]
        with self._tracer.span("infer", asked.model_name, headers) as span:
            try:
                model = self._repository.find(asked.model_name, asked.model_version)
                return await self._answer(model, asked, context.time_remaining())
            except Refusal as refusal:
                code = _CODES[refusal.status]
                raise
            except BaseException as wrong:
                code = grpc.StatusCode.INTERNAL if isinstance(wrong, Exception) else grpc.StatusCode.CANCELLED
                raise
            finally:
                span.ended(code.value[0])
                if model is None:
                    self._repository.metrics.refused("grpc", code.value[0])
                else:
                    model.meter.answered("grpc", code.value[0], perf_counter() - started)

    async def _answer(self, model: Model, asked: pb.ModelInferRequest, left_s: float | None) -> Message:
        inputs = _inputs(asked, model.inputs)
        specs = model.outputs
        wanted = [output_index(one.name, n, specs, list(one.parameters)) for n, one in enumerate(asked.outputs)]
        timeouts = [] if left_s is None else [left_s]
        if "timeout" in asked.parameters:
            parameter = asked.parameters["timeout"]
            chosen = parameter.WhichOneof("parameter_choice")
            timeouts.append(microseconds(getattr(parameter, chosen) if chosen else None))
        arrays = await model.infer(inputs, min(timeouts, default=None))
        answer = pb.ModelInferResponse(model_name=model.name, model_version=model.version, id=asked.id)
        raw = bool(asked.raw_input_contents)
        for index in wanted or range(len(specs)):
            array = arrays[index]
            output = answer.outputs.add(name=specs[index].name, datatype=datatype_of(array), shape=array.shape)
            # Who asks with typed contents may not know raw ones; half floats have no typed ones.
            if raw or output.datatype not in _CONTENTS:
                answer.raw_output_contents.append(bytes(to_binary(array)))
            else:
                getattr(output.contents, _CONTENTS[output.datatype]).extend(_elements(array))
        return answer


def _refusing(
    kind: type[Message], method: Callable[[Any, Context], Awaitable[Message]]
) -> Callable[[bytes, Context], Awaitable[Message]]:
    """A method that takes the message's bytes, and ends with a code and a reason where it refuses."""

    async def handle(data: bytes, context: Context) -> Message:
        try:
            try:
                asked = kind.FromString(data)
            except DecodeError as wrong:
                raise malformed(f"the message is no {kind.DESCRIPTOR.full_name}: {wrong}") from None
            return await method(asked, context)
        except Refusal as refusal:
            # The name that gRPC's own retries read.
            after = refusal.retry_after_s
            pushback = () if after is None else (("grpc-retry-pushback-ms", str(after * 1000)),)
            await context.abort(_CODES[refusal.status], refusal.reason, pushback)
        except Exception:
            log.exception("a request failed")
            await context.abort(grpc.StatusCode.INTERNAL, "a fault of the server; its log says how")
        raise AssertionError("abort raises")

    return handle


def _inputs(asked: pb.ModelInferRequest, specs: Sequence[TensorSpec]) -> list[Array]:
    raw = asked.raw_input_contents
    if raw and len(raw) != len(asked.inputs):
        raise malformed(f"{len(raw)} raw_input_contents were given for {len(asked.inputs)} inputs")
    by_name = {spec.name: spec for spec in specs}
    given: dict[str, Array] = {}
    for n, one in enumerate(asked.inputs):
        spec = input_spec(one.name, n, by_name, given)
        if any(name.startswith("shared_memory") for name in one.parameters):
            raise malformed(f"input '{spec.name}': shared memory is not supported here")
        shape = shape_of(spec, one.datatype, list(one.shape))
        if raw:
            if one.HasField("contents"):
                raise malformed(f"input '{spec.name}' has contents, and the request raw_input_contents; one of them")
            given[spec.name] = from_binary(spec, shape, raw[n])
        elif spec.datatype not in _CONTENTS:
            raise malformed(f"input '{spec.name}': {spec.datatype} has no typed contents; use raw_input_contents")
        else:
            given[spec.name] = _typed(spec, shape, one.contents)
    return in_order(given, specs)


def _typed(spec: TensorSpec, shape: tuple[int, ...], contents: pb.InferTensorContents) -> Array:
    field = _CONTENTS[spec.datatype]
    if others := [found.name for found, _ in contents.ListFields() if found.name != field]:
        raise malformed(f"input '{spec.name}': {spec.datatype} comes in {field}, and {', '.join(others)} was given")
    return from_list(spec, shape, list(getattr(contents, field)), look_for_booleans=False)


def _elements(array: Array) -> Sequence[Any]:
    if array.dtype.kind in "OSU":
        return [one if isinstance(one, bytes) else str(one).encode() for one in array.ravel()]
    return array.ravel().tolist()


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


async def start(repository: Repository, host: str, port: int, most_bytes: int, tracer: Tracer) -> tuple[grpc.aio.Server, int]:
    """Start the gRPC server; returns it and its port.

    Raises:
        UsageError: the port is taken.
    """
    options: Mapping[str, int] = {
        "grpc.max_receive_message_length": most_bytes + _AROUND_BYTES,
        "grpc.max_send_message_length": -1,
        "grpc.so_reuseport": 0,  # two servers on one port would share its requests in silence
    }
    server = grpc.aio.server(options=list(options.items()))
    server.add_generic_rpc_handlers((Service(repository, tracer).handlers(),))
    try:
        bound = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError:
        bound = 0
    if not bound:
        raise UsageError(f"--grpc-port {port}: {host} cannot listen there; give another port, or -1 for no gRPC")
    await server.start()
    return server, bound
