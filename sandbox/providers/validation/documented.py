"""Whether the SDK's own documentation of a property names a value: where it does, no vendor model overrules it.

Models and providers part in a few places (`Disabled` of S3 versioning is the provider's own, MQ's engine types are
spelled otherwise), and the documentation, generated from the provider, is right about the provider. Read only when a
value is about to be refused.
"""

from __future__ import annotations

import functools
import inspect
import re
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pulumi import _types as sdk_types

from sandbox.providers.validation import sdk

_PARAMETER = re.compile(r"^:param [^\n]*? (\w+): (.*?)(?=^:param |\Z)", re.DOTALL | re.MULTILINE)


def allows(args: type, path: str, value: Any) -> bool:
    """Whether the text on the property at a path names the value in backticks, quoted or not.

    Args:
        args: the resource's `…Args` class.
        path: with indices, as failures carry it.
    """
    *outer, last = re.sub(r"\[[^]]*\]", "", path).split(".")
    classes = [args]
    for name in outer:
        classes = [
            inner for cls in classes if name in sdk.properties(cls) for inner in _classes(sdk.properties(cls)[name].type)
        ]
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return any(shown in _named(cls).get(last, ()) for cls in classes)


def value_at(inputs: Any, path: str) -> Any:
    """The value of the inputs at a failure's path."""
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        inputs = inputs[int(index)] if index else inputs[name]
    return inputs


def _classes(hint: Any) -> Iterator[type]:
    for option in sdk.members(hint):
        if isinstance(option, type) and sdk_types.is_input_type(option):
            yield option
        for inner in typing.get_args(option):
            yield from _classes(inner)


@functools.cache
def _named(cls: type) -> Mapping[str, frozenset[str]]:
    """By property, what its documentation puts in backticks."""
    wire = sdk_types.input_type_py_to_pulumi_names(cls)
    text = inspect.getdoc(inspect.getattr_static(cls, "__init__")) or ""
    return {wire.get(name, name): frozenset(re.findall(r'`"?([^`"\n]+)"?`', said)) for name, said in _PARAMETER.findall(text)}
