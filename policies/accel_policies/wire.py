"""A resource's properties as the engine sends them, as plain values: secrets and what is not known yet become UNKNOWN.

The marks are those of Pulumi's own protocol (sdk/go/common/resource/plugin/rpc.go and properties.go).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from policies.accel_policies.values import UNKNOWN

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the protocol's mark of one
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
# Of strings, booleans, numbers, lists, maps, assets and archives that are known only after the apply.
_NOT_YET = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)


def is_marked(value: Mapping[str, Any]) -> bool:
    """Whether a map is one of the protocol's marks, and no map of the program's."""
    return _SIGNATURE in value


def plain(value: Any) -> Any:
    """What JSON holds of a protobuf Struct, without the protocol's marks."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return _map(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return UNKNOWN if value in _NOT_YET else value


def _map(value: Mapping[str, Any]) -> Any:
    signature = value.get(_SIGNATURE)
    if signature == _OUTPUT and "secret" not in value and "value" in value:
        return plain(value["value"])
    if signature in (_SECRET, _OUTPUT):
        return UNKNOWN
    # The engine's own keys are nobody's properties.
    return {key: plain(one) for key, one in value.items() if not key.startswith("__")}
