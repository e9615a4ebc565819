"""Azure values, by the enums of the azure-native SDK, which are the REST specification's.

ARM compares most of them without regard to case, so this does too. Enums that only record what existed when the
specification was written, machine sizes above all, refuse nothing.
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any, Final

from pulumi import _types as sdk_types

from sandbox.providers.validation import sdk
from sandbox.providers.validation.failure import Failure, show
from sandbox.providers.validation.model import listed
from sandbox.providers.validation.shapes import is_known

_OPEN_ENUMS: Final = re.compile(
    r"(Size|SizeTypes|VmSizeEnum|SizeNamesEnum|InstanceType|AzureSkuName|Region|Location|(Server|Sql|Major)Version)$"
)


def check_values(token: str, inputs: Mapping[str, Any]) -> Iterator[Failure]:
    """Failures of an azure-native resource's values."""
    found = sdk.resource_class("azure-native", token)
    if found is not None:
        yield from _check_object("", inputs, found.args)


def _check_object(path: str, value: Mapping[str, Any], args: type) -> Iterator[Failure]:
    known = sdk.properties(args)
    for name, item in value.items():
        if name in known:
            yield from _check(f"{path}.{name}" if path else name, item, known[name].type)


def _check(path: str, value: Any, hint: Any) -> Iterator[Failure]:
    if not is_known(value):
        return
    options = sdk.members(hint)
    if isinstance(value, str):
        allowed = _allowed(options)
        if allowed and value.casefold() not in {a.casefold() for a in allowed}:
            yield Failure(path, f"{show(value)} is not one of its values{listed(value, allowed)}")
    elif isinstance(value, list | tuple):
        inner = [typing.get_args(o)[0] for o in options if typing.get_origin(o) in (list, Sequence)]
        for index, item in enumerate(value):
            for hint_of_item in inner:
                yield from _check(f"{path}[{index}]", item, hint_of_item)
    elif isinstance(value, Mapping):
        # Of several classes the one is not known; its types have been checked, its values are left alone.
        classes = [o for o in options if isinstance(o, type) and sdk_types.is_input_type(o)]
        if len(classes) == 1:
            yield from _check_object(path, value, classes[0])


@functools.cache
def _allowed(options: tuple[Any, ...]) -> tuple[str, ...]:
    enums = [o for o in options if isinstance(o, type) and issubclass(o, Enum)]
    if any(_OPEN_ENUMS.search(e.__name__) for e in enums):
        return ()
    return tuple(str(member.value) for enum in enums for member in enum)
