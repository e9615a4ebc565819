"""Drift inside Helm releases, into which the engine does not look: it asks Helm for the release, no cluster for its objects.

Owns reading what Helm installed (a Secret of each release's newest revision) and holding it against what stands: what the API
server would change if it were applied again (server-side, dry run), and fields that somebody's kubectl added. Changes nothing.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator
from typing import Any, Literal

import yaml

from fleet.drift import Difference, leaves
from fleet.engine import Engine
from fleet.kubectl import Kubectl, Object, kubectl
from fleet.workspace import Workspace

# https://helm.sh/docs/topics/advanced/#storage-backends: since Helm 3 in Secrets, labelled so.
_NEWEST = "owner=helm,status=deployed"
# Every kubectl verb that writes calls itself so. https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers
_BY_HAND = "kubectl"
# What a controller writes, or a command that asks for work and wants nothing else to stand.
_NOT_SAID = ("kubectl.kubernetes.io/", "deployment.kubernetes.io/")
_SERVERS_OWN = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")


def released(workspace: Workspace, stack: str) -> list[Difference]:
    """What of the releases in a stack's clusters stands otherwise than Helm made it.

    Raises:
        RuntimeError: a cluster did not answer.
    """
    clusters = Engine(workspace, stack).outputs().get("clusters") or {}
    found: list[Difference] = []
    for outputs in clusters.values():
        with kubectl(workspace, outputs["kubeconfig"]) as cluster:
            found += _of_cluster(cluster)
    return found


def _of_cluster(cluster: Kubectl) -> Iterator[Difference]:
    wanted: dict[str, list[Object]] = {}
    for secret in cluster.items("get", "secrets", "--all-namespaces", f"--selector={_NEWEST}"):
        for thing in manifest(secret):
            namespace = thing["metadata"].get("namespace") or secret["metadata"]["namespace"]
            wanted.setdefault(namespace, []).append(thing)
    for namespace, things in wanted.items():
        get = ("get", "-n", namespace, "--ignore-not-found", "--show-managed-fields", "-f", "-")
        live = {_key(thing): thing for thing in cluster.items(*get, given=things)}
        applied = _applied(cluster, namespace, [thing for thing in things if _key(thing) in live])
        for thing in things:
            yield from differences(thing, live.get(_key(thing)), applied.get(_key(thing)))


def _applied(cluster: Kubectl, namespace: str, things: list[Object]) -> dict[tuple[str, str], Object]:
    """Objects as they would be, applied again; without those that the API server would not take over what stands."""
    again = ("apply", "-n", namespace, "--server-side", "--dry-run=server", "--force-conflicts", "--field-manager=fleet-drift")
    try:
        return {_key(thing): thing for thing in cluster.items(*again, "-f", "-", given=things)} if things else {}
    except RuntimeError:
        if len(things) == 1:
            return {}
    return {key: thing for one in things for key, thing in _applied(cluster, namespace, [one]).items()}


def manifest(secret: Object) -> list[Object]:
    """The objects of a release, as Helm keeps them: JSON, gzipped, base64 by Helm and once more by Kubernetes."""
    release = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"]))))
    return [thing for thing in yaml.safe_load_all(release["manifest"]) if thing]


def differences(wanted: Object, live: Object | None, applied: Object | None) -> Iterator[Difference]:
    """Of one object.

    Args:
        wanted: as its release has it. live: as it stands, None where it is gone. applied: as it would be, applied again;
            None where what stands now is in its way.
    """
    kind = f"kubernetes:{wanted['apiVersion']}:{wanted['kind']}"
    name = "/".join(filter(None, ((live or wanted)["metadata"].get("namespace"), wanted["metadata"]["name"])))
    if live is None:
        yield Difference("gone", kind, name, "", None, None)
        return
    secret = wanted["kind"] == "Secret"
    told: set[str] = set()
    for path, was, now in leaves(_said(applied or wanted), _said(live) if applied else _asked(live, _said(wanted))):
        told.add(path)
        how: Literal["autoscaler", "changed"] = "autoscaler" if path == "spec.replicas" and _scaled(live) else "changed"
        yield Difference(how, kind, name, path, *(("(secret)", "(secret)") if secret else (was, now)))
    for path, added in _added_by_hand(live, wanted):
        if path not in told:
            yield Difference("changed", kind, name, path, None, "(secret)" if secret else added)


def _key(thing: Object) -> tuple[str, str]:
    return thing["kind"], thing["metadata"]["name"]


def _said(thing: Object) -> Object:
    """What a person says of an object; the API server's own bookkeeping and every status left out."""
    meta = {key: value for key, value in thing["metadata"].items() if key not in _SERVERS_OWN}
    notes = {key: value for key, value in (meta.get("annotations") or {}).items() if not key.startswith(_NOT_SAID)}
    return {**{key: value for key, value in thing.items() if key != "status"}, "metadata": {**meta, "annotations": notes}}


def _asked(live: Any, wanted: Any) -> Any:
    """What stands, but only what the release says something of: the rest are the API server's defaults."""
    if isinstance(live, dict) and isinstance(wanted, dict):
        return {key: _asked(value, wanted[key]) for key, value in live.items() if key in wanted}
    if isinstance(live, list) and isinstance(wanted, list) and len(live) == len(wanted):
        return [_asked(one, other) for one, other in zip(live, wanted, strict=True)]
    return live


def _scaled(live: Object) -> bool:
    """Whether an autoscaler, and no person, set its replicas last."""
    scales = [m for m in live["metadata"].get("managedFields") or [] if m.get("subresource") == "scale"]
    return bool(scales) and not any(str(entry.get("manager", "")).startswith(_BY_HAND) for entry in scales)


def _added_by_hand(live: Object, wanted: Object) -> Iterator[tuple[str, str]]:
    """Fields that kubectl wrote last and no release asked for, each with its value."""
    for entry in live["metadata"].get("managedFields") or []:
        if str(entry.get("manager", "")).startswith(_BY_HAND) and entry.get("subresource") != "status":
            yield from _added(entry.get("fieldsV1") or {}, live, wanted, "")


def _added(fields: Object, live: Any, wanted: Any, path: str) -> Iterator[tuple[str, str]]:
    """Leaves of a field set: `f:` names a key, `k:` an item of a list by its keys, `v:` one by its value."""
    for step, below in fields.items():
        key = _step(step, live)
        if key is None or str(key).startswith(_NOT_SAID):
            continue
        there = _step(step, wanted)
        asked, where = (wanted[there] if there is not None else None), f"{path}.{key}".lstrip(".")
        if inside := {name: more for name, more in below.items() if name != "."}:
            yield from _added(inside, live[key], asked, where)
        elif there is None:
            yield where, str(live[key])


def _step(step: str, here: Any) -> Any:
    """The key or index of a step in what it leads through; None where it leads nowhere."""
    sort, _, name = step.partition(":")
    if sort == "f":
        return name if isinstance(here, dict) and name in here else None
    if sort not in ("k", "v") or not isinstance(here, list):
        return None
    about = json.loads(name)
    return next((i for i, item in enumerate(here) if (item == about if sort == "v" else _has(item, about))), None)


def _has(item: Any, about: Object) -> bool:
    return isinstance(item, dict) and about.items() <= item.items()
