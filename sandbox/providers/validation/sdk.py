"""What the installed provider SDKs say of a resource: its class, its inputs with types and need, its outputs, its name.

Reads the generated classes and nothing else; one module of an SDK is imported for a token, never the whole. Unknown
tokens are answered with None, so that the caller decides what an unmodelled type means.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import operator
import re
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import ModuleType, UnionType
from typing import Any

import pulumi
from pulumi import _types as sdk_types

from sandbox.providers.validation.names import snake

_IMPORT_NAMES = {"aws": "pulumi_aws", "gcp": "pulumi_gcp", "azure-native": "pulumi_azure_native"}
_API_VERSION = re.compile(r"/v\d{8}(preview)?(?=:)")


@dataclass(frozen=True)
class InputProperty:
    """One input. `type` is a Python type or a `typing` form without Input, Output and None; `required` by the provider."""

    type: Any
    required: bool


@dataclass(frozen=True)
class ResourceClass:
    """A resource and the class of its arguments."""

    resource: type
    args: type


def plain_token(token: str) -> str:
    """The token without an API version. The azure-native SDK ships one version of each type; a versioned
    token (`azure-native:network/v20240501:Subnet`) is read as that one."""
    return _API_VERSION.sub("", token)


@functools.cache
def resource_class(package: str, token: str) -> ResourceClass | None:
    """The SDK's class of a type token, or None where the SDK has none."""
    if package not in _IMPORT_NAMES:
        return None
    if token == f"pulumi:providers:{package}":
        root = importlib.import_module(_IMPORT_NAMES[package])
        return ResourceClass(root.Provider, root.ProviderArgs)
    token = plain_token(token)
    if token.count(":") != 2 or not token.startswith(package + ":"):
        return None
    found = _registry(package).get(token)
    if found is None:
        return None
    module = importlib.import_module(found[0])
    resource = getattr(module, found[1])
    # `Args` of class X is XArgs, or XInitArgs where a nested type took the name (`lambda.Function` has no such clash).
    args = getattr(module, found[1] + "InitArgs", None) or getattr(module, found[1] + "Args", None)
    return ResourceClass(resource, args) if args is not None else None


@functools.cache
def _registry(package: str) -> Mapping[str, tuple[str, str]]:
    """Type token → (Python module, class), from the table that the SDK registers with the engine when imported."""
    root = importlib.import_module(_IMPORT_NAMES[package])
    assert root.__file__
    with open(root.__file__, encoding="utf-8") as source:  # noqa: PTH123 - a path string it is
        table = re.search(r'resource_modules="""(.*?)"""', source.read(), re.DOTALL)
    assert table, f"{root.__name__} registers its types otherwise than this reader knows"
    return {token: (m["fqn"], cls) for m in json.loads(table[1]) for token, cls in m["classes"].items()}


@functools.cache
def properties(cls: type) -> Mapping[str, InputProperty]:
    """Inputs of an `…Args` class by wire name."""
    wire = sdk_types.input_type_py_to_pulumi_names(cls)
    parameters = inspect.signature(cls).parameters
    required = {wire.get(name, name) for name, p in parameters.items() if p.default is inspect.Parameter.empty}
    return {name: InputProperty(plain_type(hint), name in required) for name, hint in sdk_types.input_type_types(cls).items()}


@functools.cache
def outputs(cls: type) -> Mapping[str, type]:
    """Outputs of a resource class by wire name: str, int, float, bool, list or dict; object for an asset."""
    return {name: _container(plain_type(hint)) for name, hint in sdk_types.resource_types(cls).items()}


def _container(hint: Any) -> type:
    options = members(hint)
    head = options[0] if options else object
    origin = typing.get_origin(head) or head
    if origin in (list, Sequence):
        return list
    if origin in (dict, Mapping):
        return dict
    if isinstance(origin, type):
        if issubclass(origin, Enum):
            return str
        if issubclass(origin, pulumi.Asset | pulumi.Archive):
            return object
        return origin if origin in (str, int, float, bool) else dict
    return dict


def plain_type(hint: Any) -> Any:
    """A type hint without Input, Output, Awaitable and None around it; a Union only where values really differ."""
    options = members(hint)
    return functools.reduce(operator.or_, options) if options else Any


def members(hint: Any) -> tuple[Any, ...]:
    """What a value may be, of a hint: its own type, or each of the Union's."""
    if typing.get_origin(hint) not in (typing.Union, UnionType):
        return () if _is_plumbing(hint) else (hint,)
    flat: dict[Any, None] = {}
    for option in typing.get_args(hint):
        flat |= dict.fromkeys(members(option))
    return tuple(flat)


def _is_plumbing(option: Any) -> bool:
    origin = typing.get_origin(option) or option
    if origin is type(None) or origin is pulumi.Output:
        return True
    if isinstance(origin, type) and issubclass(origin, typing.Awaitable):
        return True
    # `XArgsDict`, and of functions `XResult`, say what `XArgs` says already.
    return typing.is_typeddict(option) or (isinstance(option, type) and sdk_types.is_output_type(option))


@functools.cache
def invoke_function(package: str, token: str) -> tuple[Callable[..., Any], Mapping[str, str]] | None:
    """The SDK's function of an invoke token, with its parameters' wire names; None where the SDK has none."""
    if package not in _IMPORT_NAMES or token.count(":") != 2 or not token.startswith(package + ":"):
        return None
    _, module_path, name = plain_token(token).split(":")
    folder = module_path.split("/")[0]
    parent = _IMPORT_NAMES[package] + ("" if folder == "index" else f".{_module_name(package, folder)}")
    module = _module(f"{parent}.{snake(name)}")
    function = getattr(module, snake(name), None) if module else None
    if function is None:
        return None
    # The generated body is the only place where the wire names are: `__args__['imageId'] = image_id`.
    named = re.findall(r"__args__\['(\w+)'\] = (\w+)", inspect.getsource(function))
    return function, {python: wire for wire, python in named}


@functools.cache
def invoke_properties(package: str, token: str) -> Mapping[str, InputProperty] | None:
    """Arguments of an invoke by wire name; None where the SDK has no such function.

    Optional in the generated signature is every argument; required is what the `…Result` cannot be looked up without,
    which the SDK does not record, so nothing is required here."""
    found = invoke_function(package, token)
    if found is None:
        return None
    function, wire = found
    hints = typing.get_type_hints(function)
    return {name: InputProperty(plain_type(hints[python]), False) for python, name in wire.items() if python in hints}


def autoname(package: str, token: str) -> str | None:
    """The input that the real provider names when the program does not; None where it names nothing.

    Bridged providers name `name`, where the API lets it be given (terraform-bridge `SetAutonaming`), and a few others
    (pulumi-aws `resources.go`). azure-native names the last parameter of the resource's path: what reading it needs
    and creating it does not."""
    found = resource_class(package, token)
    if found is None or token.startswith("pulumi:"):
        return None
    inputs = properties(found.args)

    def given(name: str) -> bool:
        return name in inputs and not inputs[name].required and str in members(inputs[name].type)

    if package != "azure-native":
        special = _AUTONAMED.get(token)
        return special if special and given(special) else "name" if given("name") else None
    _, module_path, name = plain_token(token).split(":")
    reader = invoke_function(package, f"{package}:{module_path}:get{name}")
    keys = reader[1].values() if reader else ()
    return next(
        (key for key in keys if key != "resourceGroupName" and given(key)),
        "resourceGroupName" if name == "ResourceGroup" else None,
    )


_AUTONAMED = {
    "aws:s3/bucket:Bucket": "bucket",
    "aws:eks/nodeGroup:NodeGroup": "nodeGroupName",
    "gcp:serviceaccount/account:Account": "accountId",
}


def _module_name(package: str, folder: str) -> str:
    """The Python folder of a token's module: the registry knows (`lambda` is `lambda_`), else the folder itself."""
    prefix = f"{package}:{folder}"
    for token, (fqn, _) in _registry(package).items():
        if token.startswith((prefix + "/", prefix + ":")):
            return fqn.partition(".")[2]
    return snake(folder)


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is not None and name.startswith(missing.name):
            return None
        raise
