"""The kubernetes stand-in itself: each object of a program applied to the real API server of a sandbox cluster.

Owns no truth; the API server does. Components that run inside the official plugin (ConfigGroup, Chart v4) are refused.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from sandbox.providers.base import (
    UNKNOWN,
    Diff,
    Failure,
    HalfMade,
    Refused,
    StandIn,
    call_ignores,
    compare,
    has_unknown,
)
from sandbox.providers.kubernetes import objects
from sandbox.providers.kubernetes.api import MANAGER, Api, ApiError, Kind, UnreachableError
from sandbox.providers.kubernetes.kubeconfig import Kubeconfig
from sandbox.providers.kubernetes.release import Releases
from sandbox.providers.kubernetes.validation import ABOUT_CHANGE, dry_run, failures
from sandbox.providers.kubernetes.waiting import DEFAULT_TIMEOUT, until_gone, until_ready

RELEASE = "kubernetes:helm.sh/v3:Release"
_CRD_WAIT = 10.0  # seconds a kind may take to be served after its CRD is there


class Kubernetes(StandIn):
    """`pulumi-resource-kubernetes`."""

    def __init__(self) -> None:
        self.package = "kubernetes"
        self.version = version("pulumi-kubernetes")
        self._config: dict[str, Any] = {}
        self._connected: Api | None = None
        self._namespace = "default"

    def check_config(self, config: dict[str, Any]) -> list[Failure]:
        if config.get("renderYamlToDirectory"):
            return [Failure("renderYamlToDirectory", "the sandbox applies objects, it does not render them")]
        try:
            if config.get("kubeconfig") not in (None, UNKNOWN):
                Kubeconfig.parse(config["kubeconfig"], config.get("context"))
        except Refused as wrong:
            return [Failure("kubeconfig", str(wrong))]
        return []

    def diff_config(self, old: dict[str, Any], new: dict[str, Any]) -> Diff:
        found = compare(old, new)
        if has_unknown(new) or not old.get("kubeconfig") or not new.get("kubeconfig"):
            return found
        before, after = (Kubeconfig.parse(c["kubeconfig"], c.get("context")).identity for c in (old, new))
        return found if before == after else Diff(replaces=["kubeconfig"], changes=found.changes)

    def configure(self, config: dict[str, Any]) -> None:
        self._config = config
        if has_unknown(config):
            return
        kubeconfig = Kubeconfig.parse(config.get("kubeconfig"), config.get("context"))
        self._namespace = config.get("namespace") or kubeconfig.namespace
        self._connected = Api(kubeconfig)
        self._releases = Releases(self, kubeconfig, self._namespace)

    def check(
        self, urn: str, type_: str, olds: dict[str, Any], news: dict[str, Any], seed: bytes
    ) -> tuple[dict[str, Any], list[Failure]]:
        logical = urn.rsplit("::", 1)[-1]
        if type_ == RELEASE:
            return self._releases.check(logical, olds, news, seed)
        api_version, kind_name = objects.identify(type_, news)
        if kind_name.endswith("List"):
            return news, [Failure("kind", f"{type_.rsplit(':', 1)[-1]} is not stood in for: declare the objects themselves")]
        if objects.is_patch(type_) and (news.get("metadata") or {}).get("name") is None:
            return news, [Failure("metadata.name", "a patch names the object that it changes")]
        inputs = objects.with_name({**news, "apiVersion": api_version, "kind": kind_name}, olds, logical, seed)
        kind = self._kind(api_version, kind_name)
        namespaced = kind.namespaced if kind else objects.probably_namespaced(kind_name)
        metadata = inputs.get("metadata")
        if namespaced and isinstance(metadata, Mapping) and metadata.get("namespace") is None:
            inputs = {**inputs, "metadata": {**metadata, "namespace": self._namespace}}
        if kind is None or self._connected is None or inputs == olds or has_unknown((inputs.get("metadata") or {}).get("name")):
            return inputs, []
        return inputs, dry_run(self._connected, kind, _namespace_of(inputs), inputs)

    def diff(
        self, urn: str, type_: str, id_: str, old_inputs: dict[str, Any], old_outputs: dict[str, Any], news: dict[str, Any]
    ) -> Diff:
        if type_ == RELEASE:
            return self._releases.diff(old_inputs, news)
        kind = news["kind"]
        found = compare(old_inputs, news, lambda path: self._fixed(kind, path))
        autonamed = objects.annotation(news, objects.AUTONAMED) == "true"
        same_place = _id(old_inputs) == _id(news)
        return Diff(found.replaces, found.changes, delete_before_replace=bool(found.replaces) and same_place and not autonamed)

    def create(self, urn: str, type_: str, inputs: dict[str, Any], preview: bool) -> tuple[str, dict[str, Any]]:
        if type_ == RELEASE:
            return self._releases.create(urn, inputs, preview)
        if preview:
            return "", _preview(inputs)
        if objects.is_patch(type_):
            self._refuse_to_make(type_, inputs)
        outputs = self._apply(urn, type_, inputs)
        return _id(outputs), outputs

    def update(
        self, urn: str, type_: str, id_: str, old_inputs: dict[str, Any], inputs: dict[str, Any], preview: bool
    ) -> dict[str, Any]:
        if type_ == RELEASE:
            return self._releases.update(urn, id_, inputs, preview)
        if preview:
            return _preview(inputs)
        return self._apply(urn, type_, inputs)

    def read(self, urn: str, type_: str, id_: str, inputs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
        if type_ == RELEASE:
            return self._releases.read(id_, inputs)
        kind = self._kind(*objects.identify(type_, inputs))
        if kind is None:
            return None
        namespace, _, name = id_.rpartition("/")
        live = self.api.get(kind, name, (namespace or self._namespace) if kind.namespaced else None)
        return None if live is None else (objects.live_inputs(live, inputs), objects.outputs_of(live))

    def delete(self, urn: str, type_: str, id_: str, inputs: dict[str, Any]) -> None:
        try:
            if type_ == RELEASE:
                self._releases.delete(id_, inputs)
            else:
                self._delete(urn, type_, id_, inputs)
        except UnreachableError as error:
            # The official provider's own switch for clusters that are gone with all that was in them.
            if str(self._config.get("deleteUnreachable") or os.environ.get("PULUMI_K8S_DELETE_UNREACHABLE")).lower() != "true":
                raise Refused(
                    f"{error}. If the cluster is gone for good, set PULUMI_K8S_DELETE_UNREACHABLE=true to forget its objects"
                ) from None
            self.log(urn, f"{error}: forgotten, not deleted", "warning")

    def _refuse_to_make(self, type_: str, inputs: dict[str, Any]) -> None:
        """Refuse to patch what is not there: server-side apply would make it."""
        kind = self._served(*objects.identify(type_, inputs))
        where = (_namespace_of(inputs) or self._namespace) if kind.namespaced else None
        if self.api.get(kind, inputs["metadata"]["name"], where) is None:
            raise Refused(f"{kind.kind} {_id(inputs)}: there is none to patch")

    def _delete(self, urn: str, type_: str, id_: str, inputs: dict[str, Any]) -> None:
        kind = self._kind(*objects.identify(type_, inputs))
        if kind is None:
            return  # its CRD went, and took it along
        namespace, _, name = id_.rpartition("/")
        where = (namespace or self._namespace) if kind.namespaced else None
        if objects.is_patch(type_):
            if self.api.get(kind, name, where) is not None:
                # The manager that applies nothing gives up all that it had.
                nothing = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name}}
                self.api.apply(kind, where, nothing, force=False, manager=_manager(urn, type_, inputs))
            return
        # The garbage collector learns of a new kind only every 30 s, and holds up a foreground deletion until then.
        usual = "background" if objects.is_custom(kind.api_version) else "foreground"
        propagation = objects.annotation(inputs, "pulumi.com/deletionPropagationPolicy") or usual
        self.api.delete(kind, name, where, propagation.capitalize())
        if objects.annotation(inputs, "pulumi.com/skipAwait") != "true":
            until_gone(self.api, kind, name, where, self.timeout(DEFAULT_TIMEOUT), self.cancelled)

    @property
    def api(self) -> Api:
        """The cluster's API server."""
        if self._connected is None:
            raise Refused("the provider's kubeconfig is not known yet")
        return self._connected

    def _kind(self, api_version: str, kind: str) -> Kind | None:
        try:
            return self._connected.kind(api_version, kind) if self._connected else None
        except UnreachableError:
            return None

    def _fixed(self, kind: str, path: str) -> bool:
        if objects.mutable_by_config(kind, path) and self._data_mutable(kind):
            return False
        return objects.immutable(kind, path)

    def _data_mutable(self, kind: str) -> bool:
        given = self._config.get(f"enable{kind}Mutable")
        if given is None:
            given = os.environ.get(f"PULUMI_K8S_ENABLE_{kind.upper()}_MUTABLE", "")
        return str(given).lower() == "true"

    def _apply(self, urn: str, type_: str, inputs: dict[str, Any]) -> dict[str, Any]:
        kind = self._served(*objects.identify(type_, inputs))
        namespace = (_namespace_of(inputs) or self._namespace) if kind.namespaced else None
        force = objects.annotation(inputs, "pulumi.com/patchForce") == "true"
        manager = _manager(urn, type_, inputs)
        try:
            live = self.api.apply(kind, namespace, inputs, force=force, manager=manager)
        except ApiError as error:
            others = [cause["field"].lstrip(".") for cause in error.causes if cause.get("reason") == "FieldManagerConflict"]
            if not others or not set(others) <= call_ignores.get():
                raise Refused(_explain(error, kind.kind, inputs)) from None
            # What the program ignores is another manager's to set: leave it out, and keep the rest.
            live = self.api.apply(kind, namespace, _without(inputs, others), force=force, manager=manager)
        if objects.annotation(inputs, "pulumi.com/skipAwait") == "true" or objects.is_patch(type_):
            return objects.outputs_of(live)
        live, missing = until_ready(
            self.api,
            kind,
            live,
            self.timeout(DEFAULT_TIMEOUT),
            self.cancelled,
            lambda text: self.log(urn, text, ephemeral=True),
        )
        outputs = objects.outputs_of(live)
        if missing:
            raise HalfMade(_id(outputs), inputs, outputs, missing)
        return outputs

    def _served(self, api_version: str, kind: str) -> Kind:
        until = time.monotonic() + _CRD_WAIT
        while (found := self.api.kind(api_version, kind)) is None:
            if time.monotonic() >= until or self.cancelled.wait(0.5):
                raise Refused(
                    f"the cluster serves no {kind} of {api_version}: "
                    "if a CRD brings it, make this depend on what installs the CRD"
                )
        return found


def _manager(urn: str, type_: str, inputs: Mapping[str, Any]) -> str:
    """Whose fields the applied ones become: each patch has a manager of its own, so that it can give up its own alone."""
    own = f"{MANAGER}-{hashlib.sha256(urn.encode()).hexdigest()[:8]}" if objects.is_patch(type_) else MANAGER
    return objects.annotation(inputs, "pulumi.com/patchFieldManager") or own


def _namespace_of(inputs: Mapping[str, Any]) -> str | None:
    namespace = (inputs.get("metadata") or {}).get("namespace")
    return namespace if isinstance(namespace, str) else None


def _id(thing: Mapping[str, Any]) -> str:
    metadata = thing.get("metadata") or {}
    return "/".join(str(part) for part in (metadata.get("namespace"), metadata.get("name")) if part is not None)


def _preview(inputs: dict[str, Any]) -> dict[str, Any]:
    metadata = {"uid": UNKNOWN, "resourceVersion": UNKNOWN, "creationTimestamp": UNKNOWN, **(inputs.get("metadata") or {})}
    return {"status": UNKNOWN, **inputs, "metadata": metadata}


def _explain(error: ApiError, kind: str, inputs: Mapping[str, Any]) -> str:
    where = f"{kind} {_id(inputs)}"
    if error.code == 409:
        return f'{where}: {error}. To take these fields over, annotate it with pulumi.com/patchForce: "true"'
    if ABOUT_CHANGE.search(str(error)):
        return f"{where}: {error}. It cannot change in place: `pulumi up --target-replace` its URN"
    wrong = failures(error, kind, inputs)
    return f"{where}: " + ("; ".join(f"{f.path}: {f.reason}" for f in wrong) if wrong else str(error))


def _without(inputs: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    """The inputs without some fields; a path through a list is left as it is."""
    kept = {**inputs}
    for path in paths:
        first, _, rest = path.partition(".")
        if not rest:
            kept.pop(first, None)
        elif isinstance(kept.get(first), dict) and not re.search(r"[\[\]]", path):
            kept[first] = _without(kept[first], [rest])
    return kept
