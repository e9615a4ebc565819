"""What a provider's `check` refuses, before its cloud is asked: a library over the installed SDKs and the vendors' models.

`validate` finds what the real provider, or the API behind it, would refuse of a resource's inputs: properties and types
by the SDK's own classes, values by botocore's service models, Google's discovery documents and azure-native's enums,
and the few rules no model carries. It refuses nothing it is not sure of: a false alarm costs more than a miss, since
the cloud still has its say. It knows no cloud, no state and no network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.providers.validation import sdk
from sandbox.providers.validation.failure import Failure
from sandbox.providers.validation.sdk import InputProperty
from sandbox.providers.validation.shapes import check_object, decode_config
from sandbox.providers.validation.values import check_values

__all__ = [
    "Failure",
    "InputProperty",
    "autoname_property",
    "input_properties",
    "is_modelled_type",
    "output_properties",
    "validate",
    "validate_invoke",
]

# Options that the engine adds to every provider's inputs.
_PROVIDER_OPTIONS = ("version", "pluginDownloadURL")


def validate(package: str, type_token: str, inputs: Mapping[str, Any]) -> list[Failure]:
    """What is wrong with a resource's inputs; empty when nothing is, one failure a property path.

    Args:
        package: `aws`, `gcp` or `azure-native`.
        type_token: of a resource or of the provider itself (`pulumi:providers:aws`).
        inputs: JSON-like, wire names, secrets unwrapped. Anything that is no JSON value counts as not known yet.
    """
    found = sdk.resource_class(package, type_token)
    if found is None:
        return [Failure("", f"{type_token} is no resource type of the installed {package} SDK")]
    known = sdk.properties(found.args)
    if type_token.startswith("pulumi:providers:"):
        settings = {
            k: decode_config(v, known[k].type) if k in known else v for k, v in inputs.items() if k not in _PROVIDER_OPTIONS
        }
        return _first_of_each_path(check_object("", settings, known, bridged=True))
    failures = _first_of_each_path(check_object("", inputs, known, bridged=package != "azure-native"))
    reported = {f.path for f in failures}
    # A value of the wrong type has been named; what it would mean need not be.
    values = check_values(package, sdk.plain_token(type_token), found.args, inputs)
    return failures + [f for f in _first_of_each_path(values) if f.path not in reported]


def validate_invoke(package: str, token: str, args: Mapping[str, Any]) -> list[Failure]:
    """What is wrong with a function's arguments; the SDK does not say which are required, so none is."""
    known = sdk.invoke_properties(package, token)
    if known is None:
        return [Failure("", f"{token} is no function of the installed {package} SDK")]
    return _first_of_each_path(check_object("", args, known, bridged=package != "azure-native"))


def is_modelled_type(package: str, token: str) -> bool:
    """Whether the installed SDK has a class for this token."""
    return sdk.resource_class(package, token) is not None


def input_properties(package: str, token: str) -> Mapping[str, InputProperty]:
    """Inputs by wire name.

    Raises:
        KeyError: the SDK has no such type.
    """
    return sdk.properties(_class(package, token).args)


def output_properties(package: str, token: str) -> Mapping[str, type]:
    """Outputs by wire name, inputs echoed among them, each str, int, float, bool, list or dict.

    Raises:
        KeyError: the SDK has no such type.
    """
    return sdk.outputs(_class(package, token).resource)


def autoname_property(package: str, token: str) -> str | None:
    """The input that the real provider names by itself when the program leaves it out; None where there is none."""
    return sdk.autoname(package, token)


def _class(package: str, token: str) -> sdk.ResourceClass:
    found = sdk.resource_class(package, token)
    if found is None:
        raise KeyError(f"{token} is no resource type of the installed {package} SDK")
    return found


def _first_of_each_path(failures: Iterator[Failure]) -> list[Failure]:
    first: dict[str, Failure] = {}
    for failure in failures:
        first.setdefault(failure.path, failure)
    return list(first.values())
