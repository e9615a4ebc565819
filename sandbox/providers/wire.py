"""Values as the engine sends them, to and from plain Python; owns no protocol beyond that.

Unknowns become `UNKNOWN`; secrets arrive bare, because these plugins do not accept secrets and the engine itself keeps
an output secret whose input was. `Secret` marks what only the plugin knows to be one.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from google.protobuf import struct_pb2

# https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/sig.go
_SIG: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105
_OUTPUT: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS: Final = frozenset(
    {
        _UNKNOWN_STRING,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # bool
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)


class _Unknown(enum.Enum):
    UNKNOWN = "unknown until the change is made"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final[Literal[_Unknown.UNKNOWN]] = _Unknown.UNKNOWN


@dataclass(frozen=True)
class Secret:
    """An output that the state must encrypt."""

    value: Any


def decode(value: struct_pb2.Value) -> Any:  # noqa: PLR0911 - one return a kind
    """A value of the wire as plain Python; whole numbers are ints."""
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "bool_value":
            return value.bool_value
        case "list_value":
            return [decode(item) for item in value.list_value.values]
        case "struct_value":
            fields = value.struct_value.fields
            if _SIG in fields and fields[_SIG].string_value in (_SECRET, _OUTPUT):
                return decode(fields["value"]) if "value" in fields else UNKNOWN
            return {key: decode(item) for key, item in fields.items()}
    return None


def decode_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    """All the properties of a resource."""
    return {key: decode(value) for key, value in struct.fields.items()}


def encode(value: Any) -> struct_pb2.Value:  # noqa: PLR0911 - one return a kind
    """The reverse of `decode`.

    Raises:
        TypeError: the value has no shape on the wire.
    """
    match value:
        case None:
            return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
        case bool():
            return struct_pb2.Value(bool_value=value)
        case int() | float():
            return struct_pb2.Value(number_value=value)
        case str():
            return struct_pb2.Value(string_value=value)
        case _Unknown.UNKNOWN:
            return struct_pb2.Value(string_value=_UNKNOWN_STRING)
        case Secret(inner):
            return struct_pb2.Value(struct_value=encode_struct({_SIG: _SECRET, "value": inner}))
        case Mapping():
            return struct_pb2.Value(struct_value=encode_struct(value))
        case list() | tuple():
            return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[encode(item) for item in value]))
    raise TypeError(f"{type(value).__name__} cannot be sent to the engine")


def encode_struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    """All the properties of a resource."""
    return struct_pb2.Struct(fields={key: encode(value) for key, value in properties.items()})


def has_unknown(value: Any) -> bool:
    """Whether any part of a value is not known yet."""
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN
