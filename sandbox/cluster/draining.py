"""How a node leaves: cordoned, its pods evicted as far as their disruption budgets allow, then deleted with what is left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from sandbox.cluster.api import Api, ApiError, Object, is_daemon


def pods_on(api: Api, node: str) -> list[Object]:
    """The node's pods that have not ended, daemons among them."""
    items = api.call("GET", "/api/v1/pods", fieldSelector=f"spec.nodeName={node}").get("items", [])
    return [p for p in items if p["status"].get("phase") not in ("Succeeded", "Failed")]


def cordon(api: Api, node: str, closed: bool = True) -> None:
    with contextlib.suppress(ApiError):
        api.patch(f"/api/v1/nodes/{node}", {"spec": {"unschedulable": closed}})


def cordon_if_idle(api: Api, node: str) -> bool:
    """Cordon a node that has no work; one that got some since it was looked at stays open."""
    cordon(api, node)
    if not [pod for pod in pods_on(api, node) if not is_daemon(pod)]:
        return True
    cordon(api, node, closed=False)
    return False


def remove(api: Api, node: str, notice_s: float, replaceable: Callable[[list[Object]], bool]) -> None:
    """Cordon, evict what a disruption budget allows, then delete the node and what is left on it.

    Args:
        notice_s: seconds until the node is gone, whatever is left on it.
        replaceable: whether the pods could run elsewhere, so that waiting for their replacements makes sense.
    """
    cordon(api, node)
    deadline = time.monotonic() + notice_s
    while time.monotonic() < deadline:
        left = [p for p in pods_on(api, node) if not is_daemon(p)]
        if not left:
            break
        evicted = [evict(api, p) for p in left if p["metadata"].get("deletionTimestamp") is None]
        # Where the budget allows nothing there is nothing to wait for on a node that goes away for good.
        if evicted and not any(evicted) and not replaceable(left):
            break
        time.sleep(0.3)
    delete(api, node)


def delete(api: Api, node: str) -> None:
    """Delete a node and its pods, at once; the node first, or the scheduler fills the room that they leave."""
    with contextlib.suppress(ApiError):
        api.call("DELETE", f"/api/v1/nodes/{node}")
    _delete_pods(api, node)


def sweep(api: Api, nodes: list[Object], pods: list[Object]) -> None:
    """Delete pods of nodes that are gone: the scheduler binds one as its node goes; the garbage collector takes a minute."""
    known = {node["metadata"]["name"] for node in nodes}
    for node in {pod["spec"].get("nodeName") or "" for pod in pods} - known - {""}:
        try:
            api.call("GET", f"/api/v1/nodes/{node}")
        except ApiError as error:
            if error.status == 404:
                _delete_pods(api, node)


def evict(api: Api, pod: Object) -> bool:
    """Evict a pod; False when its disruption budget does not allow it now."""
    meta = pod["metadata"]
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
    }
    try:
        api.call("POST", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/eviction", body)
    except ApiError as error:
        return error.status == 404
    return True


def _delete_pods(api: Api, node: str) -> None:
    for pod in pods_on(api, node):
        meta = pod["metadata"]
        with contextlib.suppress(ApiError):
            api.call("DELETE", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}", gracePeriodSeconds="0")
