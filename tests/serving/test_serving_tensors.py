"""Tensors from bytes and lists and back, and every way in which shape and data can disagree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from serving.errors import Refusal
from serving.tensors import DATATYPES, TensorSpec, from_binary, from_list, numpy_type, shape_of, to_binary, to_list

NUMBERS = [name for name in DATATYPES if name != "BYTES"]


def spec(datatype: str = "FP32", *shape: int) -> TensorSpec:
    return TensorSpec("x", datatype, shape or (-1, -1))


@pytest.mark.parametrize("datatype", NUMBERS)
def test_numbers_survive_both_ways(datatype: str) -> None:
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(numpy_type(datatype))
    assert (from_binary(spec(datatype), (2, 3), bytes(to_binary(array))) == array).all()
    listed = np.asarray(to_list(array)).tolist()
    for data in (listed, array.tolist()):
        back = from_list(spec(datatype), (2, 3), data)
        assert back.dtype == array.dtype
        assert (back == array).all()


@given(some.lists(some.binary(max_size=20), min_size=1, max_size=20))
def test_any_bytes_survive(elements: list[bytes]) -> None:
    array = from_list(spec("BYTES"), (len(elements),), elements)
    back = from_binary(spec("BYTES"), (len(elements),), bytes(to_binary(array)))
    assert back.tolist() == elements


@given(some.binary(max_size=60), some.integers(1, 4), some.sampled_from(DATATYPES))
def test_any_bytes_are_an_array_or_a_refusal(data: bytes, count: int, datatype: str) -> None:
    try:
        array = from_binary(spec(datatype), (count,), data)
    except Refusal as refused:
        assert refused.status == 400
    else:
        assert bytes(to_binary(array)) == data


_JSON = some.recursive(
    some.none() | some.booleans() | some.integers(-(2**63), 2**63) | some.floats() | some.text(max_size=3),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=2), inner, max_size=2),
    max_leaves=8,
)


@given(_JSON, some.lists(some.integers(1, 3), max_size=3), some.sampled_from(DATATYPES))
def test_any_json_is_an_array_or_a_refusal(data: Any, shape: list[int], datatype: str) -> None:
    try:
        array = from_list(spec(datatype), tuple(shape), data)
    except Refusal as refused:
        assert refused.status == 400
    else:
        assert array.shape == tuple(shape)
        assert array.dtype == numpy_type(datatype)


@pytest.mark.parametrize(
    ("datatype", "data"),
    [
        ("FP32", ["1", 2]),
        ("FP32", [None, 2]),
        ("FP32", [True, 2]),
        ("FP32", [[1, 2]]),
        ("FP32", [1e39, 2]),
        ("FP32", {"0": 1, "1": 2}),
        ("FP32", "12"),
        ("INT64", [1.5, 2]),
        ("INT64", [2**63, 2]),
        ("UINT8", [-1, 2]),
        ("UINT8", [256, 2]),
        ("BOOL", [0, 1]),
        ("BYTES", [1, 2]),
        ("FP32", [1]),
        ("FP32", [1, 2, 3]),
    ],
)
def test_data_of_another_kind_is_refused(datatype: str, data: Any) -> None:
    with pytest.raises(Refusal, match="input 'x'"):
        from_list(spec(datatype, 2), (2,), data)


@pytest.mark.parametrize(
    "data", [[[1, 2], [3]], [[1, 2], 3], [[1, 2, 3, 4]], [[[1]], [[2]], [[3]], [[4]]], [[1, 2], [3, 4], []]]
)
def test_a_nest_of_another_shape_is_refused(data: Any) -> None:
    with pytest.raises(Refusal, match="input 'x'"):
        from_list(spec(), (2, 2), data)


@pytest.mark.parametrize(
    ("datatype", "shape", "said"),
    [
        ("INT64", [2, 2], "datatype INT64 was given, the model takes FP32"),
        (None, [2, 2], "datatype None"),
        ("FP32", [2], "the model takes [-1, 2]"),
        ("FP32", [2, 3], "the model takes [-1, 2]"),
        ("FP32", [0, 2], "from 1"),
        ("FP32", [-1, 2], "from 1"),
        ("FP32", [True, 2], "from 1"),
        ("FP32", [1.0, 2], "from 1"),
        ("FP32", ["1", 2], "from 1"),
        ("FP32", "12", "a list"),
        ("FP32", None, "a list"),
        ("FP32", [1] * 33, "at most 32"),
    ],
)
def test_a_shape_or_type_the_model_does_not_take_is_refused(datatype: Any, shape: Any, said: str) -> None:
    with pytest.raises(Refusal) as found:
        shape_of(spec("FP32", -1, 2), datatype, shape)
    assert said in found.value.reason


@pytest.mark.parametrize("count", [2**31, 2**62, 2**63 - 1])
def test_a_huge_size_allocates_nothing(count: int) -> None:
    # Nested, too: a row of the width that the shape says is never made.
    for shape in ((1, count), (count, count)):
        with pytest.raises(Refusal):
            from_binary(spec(), shape, b"1234")
        with pytest.raises(Refusal):
            from_list(spec(), shape, [1.0])
        with pytest.raises(Refusal):
            from_list(spec(), shape, [[1.0]])
        with pytest.raises(Refusal):
            from_binary(spec("BYTES"), shape, b"\x01\x00\x00\x00a")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x05\x00\x00\x00ab", "says it has 5 bytes, and 2 are left"),
        (b"\xff\xff\xff\xffab", "says it has 4294967295 bytes"),
        (b"\x01\x00\x00\x00a", "ends before element 1"),
        (b"\x01\x00\x00\x00a\x01\x00\x00\x00b!", "1 bytes are left"),
        (b"\x01\x00", "ends before element 0"),
    ],
)
def test_lengths_that_lie_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(Refusal) as found:
        from_binary(spec("BYTES"), (2,), data)
    assert said in found.value.reason


def test_what_json_cannot_carry_is_said() -> None:
    for array in (np.array([1, np.nan], np.float32), np.array([np.inf])):
        with pytest.raises(ValueError, match="NaN or infinity"):
            to_list(array)
    with pytest.raises(ValueError, match="UTF-8"):
        to_list(np.array([b"\xff"], dtype=object))
