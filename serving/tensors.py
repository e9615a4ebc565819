"""Tensors as the Open Inference Protocol writes them: their datatypes, and from bytes or JSON lists to numpy and back.

Owns the datatypes' names and widths. Refuses a shape that does not agree with its data before anything is allocated for
it, numbers of another kind (JSON's `1.5` for an INT64), and what JSON cannot carry.
https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#tensor-data-types
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.errors import malformed

Array = NDArray[Any]

# By the protocol's name: numpy's type and the letter struct packs it with. struct is three times quicker than numpy at
# a list of numbers, and strict: no text, no null, nothing out of range, no fraction in an integer.
_NUMBERS: dict[str, tuple[type[np.generic], str]] = {
    "BOOL": (np.bool_, "?"),
    "UINT8": (np.uint8, "B"),
    "UINT16": (np.uint16, "H"),
    "UINT32": (np.uint32, "I"),
    "UINT64": (np.uint64, "Q"),
    "INT8": (np.int8, "b"),
    "INT16": (np.int16, "h"),
    "INT32": (np.int32, "i"),
    "INT64": (np.int64, "q"),
    "FP16": (np.float16, "e"),
    "FP32": (np.float32, "f"),
    "FP64": (np.float64, "d"),
}
_NUMPY = {name: np.dtype(kind) for name, (kind, _) in _NUMBERS.items()}
_NAMES = {dtype: name for name, dtype in _NUMPY.items()}
DATATYPES = (*_NUMBERS, "BYTES")
_MOST_DIMENSIONS = 32  # numpy holds 64, runtimes fewer; models have 6


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of a model.

    Attributes:
        datatype: as the protocol names it.
        shape: -1 where any size will do.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "datatype": self.datatype, "shape": list(self.shape)}


def datatype_of(array: Array) -> str:
    """The protocol's name of an array's type."""
    return _NAMES.get(array.dtype, "BYTES")


def numpy_type(datatype: str) -> np.dtype[Any]:
    """numpy's type for a datatype; object for BYTES."""
    return _NUMPY.get(datatype, np.dtype(object))


def shape_of(spec: TensorSpec, datatype: object, shape: object) -> tuple[int, ...]:
    """A request's shape, checked against what the model takes.

    Raises:
        Refusal: 400: another datatype, no list of sizes, other dimensions.
    """
    if datatype != spec.datatype:
        raise malformed(f"input '{spec.name}': datatype {datatype!s:.40} was given, the model takes {spec.datatype}")
    if not isinstance(shape, list) or len(shape) > _MOST_DIMENSIONS:
        raise malformed(f"input '{spec.name}': shape is a list of at most {_MOST_DIMENSIONS} sizes")
    given = tuple(shape)
    for size in given:
        if type(size) is not int or size < 1:
            raise malformed(f"input '{spec.name}': shape has {size!r:.40}, and sizes are whole numbers from 1")
    if len(given) != len(spec.shape) or any(want not in (-1, got) for want, got in zip(spec.shape, given, strict=True)):
        raise malformed(f"input '{spec.name}': shape {list(given)!s:.200} was given, the model takes {list(spec.shape)}")
    return given


def from_binary(spec: TensorSpec, shape: tuple[int, ...], data: memoryview | bytes) -> Array:
    """An array over `data`, without a copy where it holds numbers; little-endian, row-major.

    Raises:
        Refusal: 400: the data is not what the shape needs.
    """
    count = prod(shape)
    if spec.datatype == "BYTES":
        return filled(list(_lengthed(spec.name, data, count)), shape)
    dtype = _NUMPY[spec.datatype]
    if len(data) != count * dtype.itemsize:
        needs = f"{count * dtype.itemsize} bytes" if count < 2**60 else "more than memory holds"
        raise malformed(f"input '{spec.name}': {len(data)} bytes were given, shape {list(shape)!s:.200} needs {needs}")
    return np.frombuffer(data, dtype).reshape(shape)


def from_list(spec: TensorSpec, shape: tuple[int, ...], data: object, *, look_for_booleans: bool = True) -> Array:
    """An array of a JSON list, flat or nested as the shape is.

    Args:
        look_for_booleans: False where the text is known to hold none; Python's booleans pass for numbers.

    Raises:
        Refusal: 400: the list is not what the shape needs, or holds something else than the datatype.
    """
    flat = _flat(spec, shape, data)
    if len(flat) != prod(shape):
        raise malformed(f"input '{spec.name}': {len(flat)} elements were given, shape {list(shape)!s:.200} has others")
    if spec.datatype == "BYTES":
        if not all(type(one) in (str, bytes) for one in flat):
            raise malformed(f"input '{spec.name}': BYTES are written as a list of texts")
        return filled([one if isinstance(one, bytes) else one.encode() for one in flat], shape)
    kind, letter = _NUMBERS[spec.datatype]
    booleans = kind is np.bool_
    if (booleans or look_for_booleans) and any((type(one) is bool) is not booleans for one in flat):
        raise malformed(f"input '{spec.name}': data holds something that is no {spec.datatype}")
    try:
        packed = struct.pack(f"<{len(flat)}{letter}", *flat)
    except (struct.error, OverflowError) as wrong:
        raise malformed(f"input '{spec.name}': data holds something that is no {spec.datatype}: {wrong}") from None
    return np.frombuffer(packed, kind).reshape(shape)


def finite(array: Array) -> bool:
    """Whether it holds no NaN and no infinity; integers and texts never do."""
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def to_binary(array: Array) -> memoryview | bytes:
    """The array as the binary extension and gRPC's raw contents carry it."""
    if array.dtype.kind in "OSU":
        return b"".join(len(one).to_bytes(4, "little") + one for one in map(_octets, array.ravel()))
    # A view of one byte a step; memoryview alone cannot cast numpy's half floats or arrays without elements.
    octets: memoryview = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    return octets


def to_list(array: Array) -> Array | list[Any]:
    """The array flat, as orjson writes it.

    Raises:
        ValueError: JSON cannot carry it: NaN, infinities, bytes that are no text.
    """
    if array.dtype.kind in "OSU":
        try:
            return [_octets(one).decode() for one in array.ravel()]
        except UnicodeDecodeError:
            raise ValueError("holds bytes that are no UTF-8 text") from None
    if not finite(array):
        raise ValueError("holds NaN or infinity")
    return np.ascontiguousarray(array).reshape(-1)


def _octets(one: object) -> bytes:
    return one if isinstance(one, bytes) else str(one).encode()


def filled(elements: Sequence[bytes | str], shape: tuple[int, ...]) -> Array:
    """An array of BYTES."""
    # Not np.array(elements): it would make fixed-width texts and drop trailing zero bytes.
    array = np.empty(len(elements), dtype=object)
    array[:] = elements
    return array.reshape(shape)


def _lengthed(name: str, data: memoryview | bytes, count: int) -> Iterator[bytes]:
    """Elements, each after its length in four bytes."""
    at = 0
    for n in range(count):
        start = at + 4
        if start > len(data):
            raise malformed(f"input '{name}': the data ends before element {n} of {count}")
        at = start + int.from_bytes(data[at:start], "little")
        if at > len(data):
            raise malformed(f"input '{name}': element {n} says it has {at - start} bytes, and {len(data) - start} are left")
        yield bytes(data[start:at])
    if at != len(data):
        raise malformed(f"input '{name}': {len(data) - at} bytes are left after its {count} elements")


def _flat(spec: TensorSpec, shape: tuple[int, ...], data: object) -> list[Any]:
    """A list without lists in it; nested ones must be as the shape says."""
    if not isinstance(data, list):
        raise malformed(f"input '{spec.name}': data is a list")
    if not data or not isinstance(data[0], list):
        return data
    for depth, size in enumerate(shape):
        if not isinstance(data, list) or len(data) != prod(shape[: depth + 1]):
            raise malformed(f"input '{spec.name}': the nested data is not of shape {list(shape)!s:.200}")
        if depth == len(shape) - 1:
            break
        width = shape[depth + 1]
        if any(not isinstance(row, list) or len(row) != width for row in data):
            raise malformed(f"input '{spec.name}': the nested data has no {size} lists of {width} at depth {depth + 1}")
        data = [one for row in data for one in row]
    return data
