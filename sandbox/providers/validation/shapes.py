"""Inputs against the SDK's types: unknown, missing and mistyped properties, nested ones too.

As lenient as the provider, no more: bridged providers (aws, gcp) turn `"5"` into a number and `5` into a string,
azure-native does not. What is not a plain JSON value is unknown yet, or an asset, and passes everywhere.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import pulumi
from pulumi import _types as sdk_types
from pulumi.runtime.rpc import UNKNOWN as WIRE_UNKNOWN

from sandbox.providers.validation.failure import Failure, show
from sandbox.providers.validation.names import did_you_mean
from sandbox.providers.validation.sdk import InputProperty, members, properties

_SCALARS = {str: "a string", bool: "a boolean", int: "an integer", float: "a number"}


def is_known(value: Any) -> bool:
    """Whether anything can be said of a value: sentinels of unknowns, and assets, are no JSON values."""
    return isinstance(value, str | bool | int | float | Mapping | list | tuple) and value != WIRE_UNKNOWN


def check_object(
    path: str, value: Mapping[str, Any], known: Mapping[str, InputProperty], *, bridged: bool
) -> Iterator[Failure]:
    """Failures of an object whose properties are known.

    Args:
        path: of the object; empty for the resource itself.
        bridged: the provider coerces scalars, as terraform-bridge does.
    """
    for name, item in value.items():
        where = f"{path}.{name}" if path else name
        if name in known:
            if item is not None:
                yield from _check(where, item, known[name].type, bridged)
        # `__defaults` and the like are the engine's own.
        elif not name.startswith("__"):
            yield Failure(where, f"unknown property '{name}'{did_you_mean(name, known)}")
    for name, prop in known.items():
        if prop.required and value.get(name) is None:
            yield Failure(f"{path}.{name}" if path else name, f"missing required property '{name}'")


def decode_config(value: Any, hint: Any) -> Any:
    """A provider's setting: what is no string travels JSON-encoded in one."""
    if isinstance(value, str) and str not in members(hint):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _check(path: str, value: Any, hint: Any, bridged: bool) -> Iterator[Failure]:
    if not is_known(value):
        return
    options = members(hint)
    if not options or Any in options:
        return
    tried = [list(_check_one(path, value, option, bridged)) for option in options]
    if all(tried):
        # Of a union, the member that the value comes nearest to: the one with the deepest, then the fewest complaints.
        yield from min(tried, key=lambda found: (found[0].path == path, len(found)))


def _check_one(path: str, value: Any, option: Any, bridged: bool) -> Iterator[Failure]:
    origin = typing.get_origin(option) or option
    if origin in (list, Sequence):
        yield from _check_list(path, value, option, bridged)
    elif origin in (dict, Mapping):
        yield from _check_map(path, value, option, bridged)
    elif not isinstance(origin, type):
        return
    elif sdk_types.is_input_type(origin):
        if isinstance(value, Mapping):
            yield from check_object(path, value, properties(origin), bridged=bridged)
        else:
            yield _wrong(path, "an object", value)
    elif issubclass(origin, pulumi.Asset | pulumi.Archive):
        # Travels as an object with a signature; whether file or bytes is the engine's matter.
        if not isinstance(value, Mapping):
            yield _wrong(path, "an asset or archive", value)
    elif issubclass(origin, Enum):
        # Which values it has is the vendor's matter, see `azure`; here it is a scalar of the enum's kind.
        yield from _check_scalar(path, value, float if issubclass(origin, float | int) else str, bridged)
    elif origin in _SCALARS:
        yield from _check_scalar(path, value, origin, bridged)


def _check_list(path: str, value: Any, option: Any, bridged: bool) -> Iterator[Failure]:
    if not isinstance(value, list | tuple):
        yield _wrong(path, "a list", value)
        return
    for index, item in enumerate(value):
        for inner in typing.get_args(option)[:1]:
            if item is not None:
                yield from _check(f"{path}[{index}]", item, inner, bridged)


def _check_map(path: str, value: Any, option: Any, bridged: bool) -> Iterator[Failure]:
    if not isinstance(value, Mapping):
        yield _wrong(path, "a map", value)
        return
    for key, item in value.items():
        for inner in typing.get_args(option)[1:]:
            if item is not None:
                # As Pulumi prints a key that is no identifier.
                yield from _check(f"{path}.{key}" if str(key).isidentifier() else f'{path}["{key}"]', item, inner, bridged)


def _check_scalar(path: str, value: Any, kind: type, bridged: bool) -> Iterator[Failure]:
    if not _fits(value, kind) and not (bridged and _coerces(value, kind)):
        yield _wrong(path, _SCALARS[kind], value)


def _fits(value: Any, kind: type) -> bool:
    if kind in (str, bool):
        return isinstance(value, kind)
    if isinstance(value, bool):
        return False
    # The engine's numbers are floats: 5 arrives as 5.0.
    return isinstance(value, int | float) and (kind is float or float(value).is_integer())


def _coerces(value: Any, kind: type) -> bool:
    if kind is str:
        return isinstance(value, bool | int | float)
    if not isinstance(value, str):
        return False
    if kind is bool:
        return value in ("true", "false")
    try:
        number = float(value)
    except ValueError:
        return False
    return kind is float or number.is_integer()


def _wrong(path: str, expected: str, value: Any) -> Failure:
    kind = next((n for t, n in {bool: "boolean", str: "string", Mapping: "object"}.items() if isinstance(value, t)), None)
    got = kind or ("list" if isinstance(value, list | tuple) else "number")
    return Failure(path, f"expected {expected}, got {got} {show(value)}")
