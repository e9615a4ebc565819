"""The stand-in plugin for a cloud: checks inputs as the cloud would, then asks the daemon to do it.

One class serves aws, gcp and azure-native; what differs is data. It holds no truth: a plugin may be killed at any
moment and the daemon still knows what exists.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.cloud.client import Client
from sandbox.cloud.errors import CloudError
from sandbox.providers.base import UNKNOWN, Diff, Failure, Refused, StandIn, changed_paths
from sandbox.providers.validation import (
    autoname_property,
    is_modelled_type,
    output_properties,
    validate,
    validate_invoke,
)

# Inputs that no type can change in place, whatever else is known of it: its name and where it is.
_ALWAYS_IMMUTABLE = ("name", "location", "resourceGroupName")


# The SDKs import their modules when first touched, and two threads at it see each other's half-made ones.
_SDK = threading.RLock()
# ARM takes the ids of managed identities as a list and answers with a map.
_ANSWERED_OTHERWISE = ("identity",)


class CloudStandIn(StandIn):
    """The plugin of one provider package.

    Args:
        cloud: the daemon's name of the cloud, which is the package's.
    """

    def __init__(self, package: str, version: str) -> None:
        self.package = package
        self.version = version
        self._client = Client()
        self._config: dict[str, Any] = {}
        self._immutable: dict[str, tuple[str, ...]] = {}

    def configure(self, config: dict[str, Any]) -> None:
        known = {k: v for k, v in config.items() if v is not UNKNOWN}
        tags = known.get("defaultTags")
        self._config = {**known, "defaultTags": (tags or {}).get("tags") if isinstance(tags, Mapping) else None}

    def check(
        self, urn: str, type_: str, olds: dict[str, Any], news: dict[str, Any], seed: bytes
    ) -> tuple[dict[str, Any], list[Failure]]:
        inputs = dict(news)
        with _SDK:
            if not is_modelled_type(self.package, type_):
                return inputs, [Failure("", f"{type_} is no resource type of the installed {self.package} SDK")]
            self._name(urn, type_, olds, inputs, seed)
            return inputs, [Failure(f.path, f.reason) for f in validate(self.package, type_, inputs)]

    def _name(self, urn: str, type_: str, olds: dict[str, Any], inputs: dict[str, Any], seed: bytes) -> None:
        """Give it a name as the real provider does: kept from the last run, else the logical name and seven random digits."""
        prop = autoname_property(self.package, type_)
        if prop is None or inputs.get(prop) is not None or f"{prop}Prefix" in inputs:
            return
        if isinstance(olds.get(prop), str):
            inputs[prop] = olds[prop]
            return
        logical = urn.rsplit("::", 1)[-1]
        digits = seed.hex()[:7] or "0000000"
        compact = self.package == "azure-native" and prop in ("accountName", "agentPoolName", "registryName")
        inputs[prop] = (
            f"{''.join(c for c in logical.lower() if c.isalnum())[:16]}{digits}" if compact else f"{logical}-{digits}"
        )

    def diff(
        self, urn: str, type_: str, id_: str, old_inputs: dict[str, Any], old_outputs: dict[str, Any], news: dict[str, Any]
    ) -> Diff:
        changes = changed_paths(old_inputs, news)
        fixed = (*_ALWAYS_IMMUTABLE, *self._fixed(type_))
        replaces = [path for path in changes if any(path == f or path.startswith((f + ".", f + "[")) for f in fixed)]
        # A physical name that stays the same cannot exist twice: the old one has to go first.
        with _SDK:
            prop = autoname_property(self.package, type_)
        same_name = prop is not None and news.get(prop) == old_inputs.get(prop)
        return Diff(replaces=replaces, changes=changes, delete_before_replace=bool(replaces) and same_name)

    def _fixed(self, type_: str) -> tuple[str, ...]:
        if type_ not in self._immutable:
            self._immutable[type_] = tuple(self._ask("describe", cloud=self.package, type=type_)["immutable"])
        return self._immutable[type_]

    def create(self, urn: str, type_: str, inputs: dict[str, Any], preview: bool) -> tuple[str, dict[str, Any]]:
        if preview:
            return "", self._unknown_outputs(type_, inputs)
        made = self._ask(
            "create",
            cloud=self.package,
            type=type_,
            urn=urn,
            config=self._plain_config(),
            inputs=inputs,
            defaults=synthesise(self.package, type_, inputs),
        )
        if not made["modelled"]:
            message = f"{type_} is not modelled by the sandbox: its inputs were checked and recorded, nothing behaves"
            self.log(urn, message, "warning")
        return made["id"], made["outputs"]

    def update(
        self, urn: str, type_: str, id_: str, old_inputs: dict[str, Any], inputs: dict[str, Any], preview: bool
    ) -> dict[str, Any]:
        if preview:
            return {k: v for k, v in inputs.items() if k not in _ANSWERED_OTHERWISE}
        outputs: dict[str, Any] = self._ask("update", cloud=self.package, type=type_, id=id_, inputs=inputs)["outputs"]
        return outputs

    def read(self, urn: str, type_: str, id_: str, inputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        try:
            found = self._client.call("read", cloud=self.package, type=type_, id=id_)
        except CloudError as error:
            if error.status == 404:
                return None
            raise Refused(str(error)) from None
        return found["inputs"], found["outputs"]

    def delete(self, urn: str, type_: str, id_: str, inputs: dict[str, Any]) -> None:
        self._ask("delete", cloud=self.package, type=type_, id=id_)

    def invoke(self, token: str, args: dict[str, Any]) -> dict[str, Any]:
        with _SDK:
            wrong = validate_invoke(self.package, token, args)
        if wrong:
            raise Refused("; ".join(f"{f.path}: {f.reason}" for f in wrong))
        answer: dict[str, Any] = self._ask("invoke", token=token, args=args, config=self._plain_config())
        return answer

    def _unknown_outputs(self, type_: str, inputs: dict[str, Any]) -> dict[str, Any]:
        """In a preview what the cloud computes is unknown; what the program gave is not, where it comes back as given."""
        given = {k: v for k, v in inputs.items() if k not in _ANSWERED_OTHERWISE}
        with _SDK:
            return {**dict.fromkeys(output_properties(self.package, type_), UNKNOWN), **given}

    def _plain_config(self) -> dict[str, Any]:
        wanted = ("region", "project", "zone", "subscriptionId", "location", "defaultTags", "defaultLabels")
        # The engine starts plugins in the program's directory, from which its assets' paths go.
        return {k: self._config[k] for k in wanted if self._config.get(k) is not None} | {"directory": str(Path.cwd())}

    def _ask(self, route: str, **query: Any) -> Any:
        try:
            return self._client.call(route, **query)
        except CloudError as error:
            raise Refused(str(error)) from None


def synthesise(package: str, type_: str, inputs: dict[str, Any]) -> dict[str, Any]:
    """Outputs by the SDK's own types for what nobody models: empty of the right shape, so that a program can read them."""
    empty: dict[type, Any] = {str: "", int: 0, float: 0.0, bool: False, list: [], dict: {}}
    made = {}
    with _SDK:
        shapes = output_properties(package, type_)
    for name, shape in shapes.items():
        if name not in inputs and name not in ("id", "urn"):
            made[name] = empty.get(shape) if isinstance(shape, type) else None
    return {k: v for k, v in made.items() if v is not None}


def main(package: str) -> None:
    """Serve the plugin of a package until the engine ends."""
    from importlib.metadata import version  # noqa: PLC0415

    from sandbox.providers.base import serve  # noqa: PLC0415

    serve(CloudStandIn(package, version(f"pulumi-{package}")))


if __name__ == "__main__":
    main(sys.argv[1])
