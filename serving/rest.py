"""One inference request and its answer as HTTP carries them: JSON, with tensors in it or as bytes behind it.

Owns the bodies of `/v2/models/{name}/infer`, with the binary tensor data extension that tritonclient speaks. Refuses what
this server would otherwise pass over in silence: unknown inputs, shared memory, classification.
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_binary_data.html
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from serving.errors import Refusal, malformed
from serving.tensors import Array, TensorSpec, datatype_of, from_binary, from_list, shape_of, to_binary, to_list

HEADER_LENGTH = "inference-header-content-length"
JSON, OCTETS = b"application/json", b"application/octet-stream"
_NOT_HERE = ("classification", "shared_memory_region")
_MOST_LOOKED_AT = 64


@dataclass(frozen=True, slots=True)
class Wanted:
    """An output to answer with: its place among the model's, and whether as bytes."""

    place: int
    binary: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was understood.

    Attributes:
        inputs: in the model's order.
        timeout_s: what the client asked for, None for nothing.
    """

    id: str
    inputs: Sequence[Array]
    outputs: Sequence[Wanted]
    timeout_s: float | None


def decode(body: bytes, header: int | None, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> Call:
    """Read a request.

    Args:
        header: bytes of JSON at the body's start, None where all of it is.

    Raises:
        Refusal: 400, with what is wrong and where.
    """
    if header is not None and not 0 <= header <= len(body):
        raise malformed(f"{HEADER_LENGTH} says {header} bytes of JSON, and the body has {len(body)}")
    text = body if header is None else body[:header]
    try:
        asked = orjson.loads(text)
    except orjson.JSONDecodeError as wrong:
        raise malformed(f"the body is no JSON: {wrong}") from None
    if not isinstance(asked, dict):
        raise malformed("the body is no JSON object with inputs")
    parameters = _map(asked, "parameters", "the request")
    tail = memoryview(body)[len(text) :]
    arrays = _inputs(asked.get("inputs"), inputs, tail, _may_hold_booleans(text))
    identifier = asked.get("id", "")
    if not isinstance(identifier, str):
        raise malformed("id is a text")
    timeout = parameters.get("timeout")
    return Call(
        identifier,
        arrays,
        _outputs(asked.get("outputs"), outputs, _boolean(parameters, "binary_data_output", "the request")),
        None if timeout is None else microseconds(timeout),
    )


def microseconds(value: object) -> float:
    """The `timeout` parameter, in seconds; Triton's clients send it in microseconds.

    Raises:
        Refusal: 400.
    """
    if type(value) is not int or value <= 0:
        raise malformed("the parameter timeout is a whole number of microseconds above 0")
    return value / 1e6


def encode(
    name: str, version: str, call: Call, specs: Sequence[TensorSpec], arrays: Sequence[Array]
) -> tuple[list[bytes | memoryview], int | None]:
    """Write an answer.

    Returns:
        Parts of the body, and the JSON's length where bytes follow it.

    Raises:
        Refusal: 400: the client wants JSON, and JSON cannot carry the output.
    """
    written: list[dict[str, Any]] = []
    parts: list[bytes | memoryview] = []
    for wanted in call.outputs:
        spec, array = specs[wanted.place], arrays[wanted.place]
        one: dict[str, Any] = {"name": spec.name, "datatype": datatype_of(array), "shape": array.shape}
        if wanted.binary:
            data = to_binary(array)
            one["parameters"] = {"binary_data_size": len(data)}
            parts.append(data)
        else:
            try:
                one["data"] = to_list(array)
            except ValueError as wrong:
                reason = f"output '{spec.name}' {wrong}, which JSON cannot carry; ask for it with binary_data: true"
                raise malformed(reason) from None
        written.append(one)
    answer: dict[str, Any] = {"model_name": name, "model_version": version, "outputs": written}
    if call.id:
        answer["id"] = call.id
    head = orjson.dumps(answer, default=_half, option=orjson.OPT_SERIALIZE_NUMPY)
    return [head, *parts], len(head) if parts else None


def _half(value: object) -> object:
    # orjson has no numpy half floats; it asks here for what it cannot write.
    if hasattr(value, "astype"):
        return value.astype("float32")
    raise TypeError(type(value).__name__)


def _may_hold_booleans(text: bytes) -> bool:
    """Whether `true` or `false` is in it."""
    # By their last letter: looking for a word in a long text of numbers costs more than packing them, for a letter nothing.
    at = -1
    for _ in range(_MOST_LOOKED_AT):
        at = text.find(b"e", at + 1)
        if at < 0:
            return False
        if text.endswith((b"true", b"false"), 0, at + 1):
            return True
    # Names, or numbers such as 1e-05.
    return b"true" in text or b"false" in text


def _inputs(asked: object, specs: Sequence[TensorSpec], tail: memoryview, booleans: bool) -> list[Array]:
    if not isinstance(asked, list):
        raise malformed("inputs is a list with one object for each input")
    given: dict[str, Array] = {}
    by_name = {spec.name: spec for spec in specs}
    at = 0
    for n, one in enumerate(asked):
        if not isinstance(one, dict):
            raise malformed(f"inputs[{n}] is no object")
        spec = input_spec(one.get("name"), n, by_name, given)
        shape = shape_of(spec, one.get("datatype"), one.get("shape"))
        parameters = _map(one, "parameters", f"input '{spec.name}'")
        size = parameters.get("binary_data_size")
        if size is None:
            given[spec.name] = from_list(spec, shape, one.get("data"), look_for_booleans=booleans)
            continue
        if type(size) is not int or not 0 <= size <= len(tail) - at:
            raise malformed(f"input '{spec.name}': binary_data_size {size!r:.40}, and {len(tail) - at} bytes are left")
        given[spec.name] = from_binary(spec, shape, tail[at : at + size])
        at += size
    if at != len(tail):
        raise malformed(f"{len(tail) - at} bytes follow the last input's; binary_data_size and {HEADER_LENGTH} are to say so")
    return in_order(given, specs)


def input_spec(name: object, n: int, specs: Mapping[str, TensorSpec], given: Container[str]) -> TensorSpec:
    """The model's input of this name, which is not given yet.

    Raises:
        Refusal: 400: there is none, or it is given already.
    """
    spec = specs.get(name) if isinstance(name, str) else None
    if spec is None:
        raise malformed(f"inputs[{n}] is called {name!r:.80}, the model has {', '.join(specs)}")
    if spec.name in given:
        raise malformed(f"input '{spec.name}' is given twice")
    return spec


def in_order(given: dict[str, Array], specs: Sequence[TensorSpec]) -> list[Array]:
    """The inputs in the model's order.

    Raises:
        Refusal: 400: one is missing.
    """
    if missing := [spec.name for spec in specs if spec.name not in given]:
        raise malformed(f"input {', '.join(missing)} is missing")
    return [given[spec.name] for spec in specs]


def output_index(name: object, n: int, specs: Sequence[TensorSpec], parameters: Sequence[str] | dict[str, Any]) -> int:
    """Where a requested output stands among the model's.

    Raises:
        Refusal: 400: there is none of this name, or it is wanted in a way this server does not have.
    """
    for index, spec in enumerate(specs):
        if spec.name == name:
            if refused := [one for one in _NOT_HERE if one in parameters]:
                raise malformed(f"output '{spec.name}': {', '.join(refused)} is not supported here")
            return index
    raise malformed(f"outputs[{n}] is called {name!r:.80}, the model has {', '.join(spec.name for spec in specs)}")


def _outputs(asked: object, specs: Sequence[TensorSpec], binary: bool) -> list[Wanted]:
    if not asked:
        return [Wanted(index, binary) for index in range(len(specs))]
    if not isinstance(asked, list) or len(asked) > len(specs):
        raise malformed(f"outputs is a list of at most {len(specs)} objects")
    wanted: list[Wanted] = []
    for n, one in enumerate(asked):
        if not isinstance(one, dict):
            raise malformed(f"outputs[{n}] is no object")
        parameters = _map(one, "parameters", f"outputs[{n}]")
        as_bytes = _boolean(parameters, "binary_data", f"outputs[{n}]") if "binary_data" in parameters else binary
        wanted.append(Wanted(output_index(one.get("name"), n, specs, parameters), as_bytes))
    return wanted


def _map(holder: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    value = holder.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise malformed(f"{where}: {key} is no object")
    if refused := [one for one in _NOT_HERE if one in value]:
        raise malformed(f"{where}: {', '.join(refused)} is not supported here")
    return value


def _boolean(holder: dict[str, Any], key: str, where: str) -> bool:
    value = holder.get(key, False)
    if not isinstance(value, bool):
        raise malformed(f"{where}: {key} is true or false")
    return value


def error(refusal: Refusal) -> bytes:
    """A refusal as the protocol writes it."""
    return orjson.dumps({"error": refusal.reason})
