"""Bodies that no good client sends, made from good ones by chance; the same seed makes the same ones."""

from __future__ import annotations

import copy
import random
from typing import Any

import orjson

GOOD: dict[str, Any] = {
    "id": "r-1",
    "parameters": {"timeout": 5_000_000},
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1.0, 2.0, 3.0, 4.0]}],
    "outputs": [{"name": "y"}],
}
HEADER = "inference-header-content-length"
_NASTY: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**53, 2**63, -(2**63), 1e308, -0.0, "", "x", "y", "\u0000", "\ud7ff" * 50, "9" * 400,
    [], {}, [[]], [None], [[[[[[1]]]]]], {"x": {}}, [1] * 3000, ["1", "2", "3", "4"], "FP64", "BYTES", [2**40, 4], [0, 4],
    [4, 1], {"binary_data_size": 16}, {"binary_data_size": -1}, {"classification": 1}, {"shared_memory_region": "r"},
]  # fmt: skip
# As JSON has no words for them.
_WORDS = [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"[" * 3000, b"\xff\xfe", b"'x'", b"0x1", b"undefined", b"1" * 5000]
Body = tuple[bytes, dict[str, str]]


def body(chance: random.Random) -> Body:
    """One body with its headers; most are malformed, and some happen to be sound."""
    made = copy.deepcopy(GOOD)
    for _ in range(chance.randint(1, 3)):
        _spoil(made, chance)
    text = orjson.dumps(made)
    return chance.choice((_as_it_is, _as_it_is, _cut, _flipped, _with_a_word, _with_bytes, _noise))(text, chance)


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every container with every key of it."""
    found: list[tuple[Any, Any]] = []
    if isinstance(node, dict | list):
        for key in node if isinstance(node, dict) else range(len(node)):
            found += [(node, key), *_places(node[key])]
    return found


def _spoil(made: dict[str, Any], chance: random.Random) -> None:
    places = _places(made)
    if not places:
        return
    holder, key = chance.choice(places)
    match chance.randrange(4):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        case 2 if isinstance(holder, dict):
            holder[chance.choice(["", "Name", "data_", "parameters", "x" * 200])] = copy.deepcopy(chance.choice(_NASTY))
        case _:
            holder[key] = copy.deepcopy(chance.choice(_NASTY))


def _as_it_is(text: bytes, _: random.Random) -> Body:
    return text, {}


def _cut(text: bytes, chance: random.Random) -> Body:
    return text[: chance.randrange(len(text))], {}


def _flipped(text: bytes, chance: random.Random) -> Body:
    changed = bytearray(text)
    for _ in range(chance.randint(1, 8)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed), {}


def _with_a_word(text: bytes, chance: random.Random) -> Body:
    at = chance.randrange(len(text))
    return text[:at] + chance.choice(_WORDS) + text[at:], {}


def _with_bytes(text: bytes, chance: random.Random) -> Body:
    """Tensors behind the JSON, with a header that may lie about where they begin."""
    length = len(text) + chance.choice([0, 0, 0, 1, -1, -len(text), 10**6, -(10**6)])
    said = chance.choice([str(length), str(length), "", "x", "1.5", "9" * 30])
    return text + chance.randbytes(chance.choice([0, 1, 15, 16, 17, 4096])), {HEADER: said}


def _noise(_: bytes, chance: random.Random) -> Body:
    return chance.randbytes(chance.choice([0, 1, 10, 1000, 20_000])), {}
