"""When an applied object counts as done, as the official provider waits for it; and why not, in the scheduler's words.

https://www.pulumi.com/registry/packages/kubernetes/how-to-guides/managing-resources-with-server-side-apply/ and its
`pulumi.com/skipAwait`. Services are not waited for: their pods may come later in the program, and nothing here gives
a load balancer its address.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.providers.base import Refused
from sandbox.providers.kubernetes.api import Api, ApiError, Kind

DEFAULT_TIMEOUT = 600.0  # seconds, the official provider's
_SHORTEST, _LONGEST = 0.1, 2.0  # seconds between two looks
_REASONS = 3  # pods named in an error


class FailedError(Exception):
    """It will never be ready: the object says so itself."""


def _deployment(live: Mapping[str, Any]) -> str | None:
    status, want = live.get("status") or {}, live["spec"].get("replicas", 1)
    progressing = _condition(live, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        raise FailedError(progressing.get("message", "the rollout made no progress within its deadline"))
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    if updated < want:
        return _condition(live, "ReplicaFailure").get("message") or f"{updated} of {want} replicas updated"
    if status.get("replicas", 0) > updated:
        return f"{status['replicas'] - updated} old replicas to go"
    return None if available >= want else f"{available} of {want} replicas available"


def _stateful_set(live: Mapping[str, Any]) -> str | None:
    status, want = live.get("status") or {}, live["spec"].get("replicas", 1)
    ready, updated = status.get("readyReplicas", 0), status.get("updatedReplicas", 0)
    if updated < want and (live["spec"].get("updateStrategy") or {}).get("type") != "OnDelete":
        return f"{updated} of {want} replicas updated"
    return None if ready >= want else f"{ready} of {want} replicas ready"


def _daemon_set(live: Mapping[str, Any]) -> str | None:
    status = live.get("status") or {}
    want, available = status.get("desiredNumberScheduled", 0), status.get("numberAvailable", 0)
    if status.get("updatedNumberScheduled", 0) < want and (live["spec"].get("updateStrategy") or {}).get("type") != "OnDelete":
        return f"{status.get('updatedNumberScheduled', 0)} of {want} pods updated"
    return None if available >= want else f"{available} of {want} pods available"


def _pod(live: Mapping[str, Any]) -> str | None:
    phase = (live.get("status") or {}).get("phase")
    if phase == "Failed":
        raise FailedError((live["status"].get("message")) or "the pod failed")
    if phase == "Succeeded" or _condition(live, "Ready").get("status") == "True":
        return None
    return pod_reason(live) or "not ready"


def _job(live: Mapping[str, Any]) -> str | None:
    failed = _condition(live, "Failed")
    if failed.get("status") == "True":
        raise FailedError(failed.get("message", "the job failed"))
    if _condition(live, "Complete").get("status") == "True" or live["spec"].get("suspend"):
        return None
    status = live.get("status") or {}
    return f"{status.get('succeeded', 0)} of {live['spec'].get('completions', 1)} completions"


def _established(live: Mapping[str, Any]) -> str | None:
    refused = _condition(live, "NamesAccepted")
    if refused.get("status") == "False":
        raise FailedError(refused.get("message", "its names are taken"))
    return None if _condition(live, "Established").get("status") == "True" else "not established"


def _active(live: Mapping[str, Any]) -> str | None:
    return None if (live.get("status") or {}).get("phase") == "Active" else "not active"


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], str | None]] = {
    "Deployment": _deployment,
    "StatefulSet": _stateful_set,
    "DaemonSet": _daemon_set,
    "Pod": _pod,
    "Job": _job,
    "CustomResourceDefinition": _established,
    "Namespace": _active,
}
# Custom resources may share a name with a workload.
_GROUPS = ("v1", "apps/", "batch/", "apiextensions.k8s.io/")


def until_ready(
    api: Api,
    kind: Kind,
    live: dict[str, Any],
    timeout: float,
    cancelled: threading.Event,
    say: Callable[[str], None],
) -> tuple[dict[str, Any], list[str]]:
    """Wait for an applied object; returns it as it is at the end, and why it is not ready (empty when it is)."""
    check = _CHECKS.get(kind.kind) if kind.api_version.startswith(_GROUPS) else None
    if check is None:
        return live, []
    name, namespace = live["metadata"]["name"], live["metadata"].get("namespace")
    until, pause, said = time.monotonic() + timeout, _SHORTEST, ""
    while True:
        generation = live["metadata"].get("generation", 0)
        seen = (live.get("status") or {}).get("observedGeneration", generation if kind.kind not in _ROLLOUTS else 0)
        try:
            missing = check(live) if seen >= generation else "not seen by its controller"
        except FailedError as failed:
            return live, [f"{_label(kind, live)}: {failed}", *pod_reasons(api, live)]
        if missing is None:
            return live, []
        over = f"interrupted, {missing}" if cancelled.is_set() else f"not ready after {timeout:g} s: {missing}"
        if cancelled.is_set() or time.monotonic() >= until:
            return live, [f"{_label(kind, live)}: {over}", *pod_reasons(api, live)]
        if missing != said:
            say("; ".join([missing, *pod_reasons(api, live)[:1]]))
            said = missing
        cancelled.wait(min(pause, max(until - time.monotonic(), 0)))
        pause = min(pause * 1.5, _LONGEST)
        found = api.get(kind, name, namespace)
        if found is None:
            return live, [f"{_label(kind, live)}: was deleted while it was waited for"]
        live = found


_ROLLOUTS = ("Deployment", "StatefulSet", "DaemonSet")


def until_gone(api: Api, kind: Kind, name: str, namespace: str | None, timeout: float, cancelled: threading.Event) -> None:
    """Wait until a deleted object is gone.

    Raises:
        Refused: it is still there; says who holds it.
    """
    until, pause = time.monotonic() + timeout, _SHORTEST / 2
    first = live = api.get(kind, name, namespace)
    while live is not None and first is not None and live["metadata"]["uid"] == first["metadata"]["uid"]:
        if cancelled.is_set() or time.monotonic() >= until:
            holders = (
                ", ".join(live["metadata"].get("finalizers") or (live.get("spec") or {}).get("finalizers") or []) or "none"
            )
            held = [
                c["message"]
                for c in (live.get("status") or {}).get("conditions") or []
                if c.get("reason") == "SomeResourcesRemain"
            ]
            why = "; ".join([f"finalizers: {holders}", *held])
            raise Refused(f"{_label(kind, live)} is not gone after {timeout:g} s ({why})")
        cancelled.wait(pause)
        pause = min(pause * 1.5, _LONGEST)
        live = api.get(kind, name, namespace)


def pod_reasons(api: Api, live: Mapping[str, Any]) -> list[str]:
    """Why the pods of a workload are not running: the scheduler's message, or the container's."""
    labels = ((live.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
    namespace = live["metadata"].get("namespace")
    if not labels or not namespace:
        return []
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    try:
        pods = api.list(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector, limit="100")
    except ApiError:
        return []
    found: dict[str, str] = {}
    for pod in pods:
        reason = pod_reason(pod)
        if reason is not None and reason not in found.values():
            found[pod["metadata"]["name"]] = reason
    return [f"pod {name}: {reason}" for name, reason in list(found.items())[:_REASONS]]


def pod_reason(pod: Mapping[str, Any]) -> str | None:
    """Why a pod does not run, None when it does or nobody says."""
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        # What the scheduler's FailedScheduling event says too; the condition outlives the event.
        return f"FailedScheduling: {scheduled.get('message', 'not scheduled')}"
    for container in (pod.get("status") or {}).get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "ContainerCreating"):
            return f"container {container['name']}: {waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
    return None


def _condition(live: Mapping[str, Any], type_: str) -> Mapping[str, Any]:
    conditions = (live.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c.get("type") == type_), {})


def _label(kind: Kind, live: Mapping[str, Any]) -> str:
    metadata = live["metadata"]
    return f"{kind.kind} {'/'.join(p for p in (metadata.get('namespace'), metadata['name']) if p)}"
