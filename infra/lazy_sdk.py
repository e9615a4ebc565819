"""Loads from a provider's SDK the files of the classes that a program names, and no others.

Pulumi's generated SDKs load a whole service with its first class: `aws.ec2.Vpc` brings 350 modules, and three quarters
of an accelerator stack's start went there. A service's `__init__.py` says nothing but `from .vpc import *`, so the
file of a class can be told from its name. What cannot be told so is left to the SDK's own `__init__.py`, run as it is.

This module changes when a file loads, never what it holds (docs/adr/0008).
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType

from pulumi._utils import lazy_import

SDKS = ("pulumi_aws", "pulumi_azure_native", "pulumi_gcp", "pulumi_kubernetes")

_EXPORTS = re.compile(r"^from \.(\w+) import \*$", re.MULTILINE)
# `VpcArgs` stands beside `Vpc`, `GetVpcResult` and `get_vpc_output` beside `get_vpc`.
_KIN = re.compile(r"(initargs|args|result|output)$")


def install() -> None:
    """Load the SDKs this way from now on. Modules that are loaded already stay as they are."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if path is None or name.partition(".")[0] not in SDKS:
            return None
        found = PathFinder.find_spec(name, path, target)
        if found is None or found.origin is None or not found.submodule_search_locations:
            return None
        loader, places = _Loader(name, found.origin), found.submodule_search_locations
        return spec_from_file_location(name, found.origin, loader=loader, submodule_search_locations=places)


class _Loader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        files = _EXPORTS.findall(self.get_data(self.path).decode())
        if files:
            module.__dict__["_files"] = {_plain(file): file for file in files}
            module.__class__ = _Service
        else:
            super().exec_module(module)


class _Service(ModuleType):
    """One service of an SDK, `pulumi_aws.ec2`: empty until a name is asked of it."""

    _files: dict[str, str]

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}", name=name, obj=self)
        if name == "outputs":
            # Classes of outputs are named in annotations only, and those are read when a resource's outputs arrive.
            self.outputs = lazy_import(f"{self.__name__}.outputs")  # type: ignore[no-untyped-call]
            return self.outputs
        for file in self._files_of(name):
            found = vars(importlib.import_module(f"{self.__name__}.{file}"))
            if name in found:
                setattr(self, name, found[name])
                return found[name]
        return self._whole(name)

    def __setattr__(self, name: str, value: object) -> None:
        # Python sets a module that was imported on its package; pulumi_kubernetes calls the file as the class in it.
        if isinstance(value, ModuleType) and name in vars(value):
            value = vars(value)[name]
        super().__setattr__(name, value)

    def _files_of(self, name: str) -> Iterator[str]:
        plain = _plain(name)
        for key in (plain, _KIN.sub("", plain), "enums" if name[0].isupper() else "", "inputs"):
            if key in self._files:
                yield self._files[key]

    def _whole(self, name: str) -> object:
        """The SDK's own `__init__.py`, for a name whose file cannot be told."""
        object.__setattr__(self, "__class__", ModuleType)
        SourceFileLoader(self.__name__, str(self.__file__)).exec_module(self)
        return getattr(self, name)


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
