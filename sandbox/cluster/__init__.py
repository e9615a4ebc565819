"""A cluster's nodes, kept as its cloud would keep them: pools to nodes, device plugins to resources, pending pods to growth.

One loop a cluster. Owns Node objects only; pods are the scheduler's and KWOK's.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable

from sandbox.cluster import autoscaler, devices
from sandbox.cluster.api import Api, ApiError, Object, is_daemon, nodes, pods
from sandbox.cluster.pool import POOL, NodePool
from sandbox.control_plane import ControlPlane

_TICK_S = 0.5
# Cluster-autoscaler waits 10 minutes before it takes an idle node; a demo cannot.
_IDLE_S = float(os.environ.get("ACCELFLEET_IDLE_S", "120"))
_DRAIN_S = 20


class ClusterSim:
    """Runs the pools of one control plane.

    Args:
        on_resize: called with a pool's name and new size when something other than `set_pool` changed it.
    """

    def __init__(self, control_plane: ControlPlane, on_resize: Callable[[str, int], None]) -> None:
        self.control_plane = control_plane
        self.api = Api(control_plane.endpoint, control_plane.ca_pem, control_plane.token)
        self._on_resize = on_resize
        self._pools: dict[str, NodePool] = {}
        self._idle: dict[str, float] = {}
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._loop = threading.Thread(target=self._run, name=f"nodes-{control_plane.name}", daemon=True)
        self._loop.start()

    def set_pool(self, pool: NodePool) -> None:
        """Create or change a pool; returns when its nodes are registered."""
        with self._lock:
            before = self._pools.get(pool.name)
            self._pools[pool.name] = pool
            if before is not None and (before.all_taints(), before.labels) != (pool.all_taints(), pool.labels):
                self._relabel(pool)
            self._fill(pool)

    def remove_pool(self, name: str) -> None:
        """Drain and delete a pool."""
        with self._lock:
            pool = self._pools.pop(name, None)
        if pool is None:
            return
        for node in self._nodes_of(name):
            self._remove(node["metadata"]["name"])

    def pools(self) -> list[NodePool]:
        with self._lock:
            return list(self._pools.values())

    def nodes(self, pool: str) -> list[str]:
        """Names of the pool's nodes."""
        return sorted(n["metadata"]["name"] for n in self._nodes_of(pool))

    def resize(self, pool: str, size: int) -> None:
        """Change a pool's size behind the engine's back, as an autoscaler or a person does."""
        with self._lock:
            changed = self._pools[pool].at(size)
            self._pools[pool] = changed
            self._fill(changed)
        self._on_resize(pool, size)

    def reclaim(self, pool: str, count: int) -> list[str]:
        """Take spot nodes away without draining, as the cloud does; the pool replaces them if it may."""
        taken = self.nodes(pool)[:count]
        for name in taken:
            self._delete_node(name)
        return taken

    def close(self) -> None:
        """Stop the loop; nodes stay in the API server."""
        self._stop.set()
        self._loop.join(5)

    def _nodes_of(self, pool: str) -> list[Object]:
        return [n for n in self.api.call("GET", "/api/v1/nodes").get("items", []) if _pool_of(n) == pool]

    def _fill(self, pool: NodePool) -> None:
        """Make the pool have exactly its size: first free numbers up, last nodes down."""
        present = {n["metadata"]["name"] for n in self._nodes_of(pool.name)}
        number = 0
        while len(present) < pool.size:
            node = pool.node(number)
            number += 1
            if node["metadata"]["name"] not in present:
                self._register(node)
                present.add(node["metadata"]["name"])
        for name in sorted(present)[pool.size :]:
            self._remove(name)

    def _register(self, node: Object) -> None:
        try:
            self.api.call("POST", "/api/v1/nodes", node)
        except ApiError as error:
            if error.status != 409:
                raise
        # The API server drops status on create; a kubelet writes it right after.
        self.api.patch(f"/api/v1/nodes/{node['metadata']['name']}/status", {"status": node["status"]})

    def _relabel(self, pool: NodePool) -> None:
        for node in self._nodes_of(pool.name):
            zone = node["metadata"]["labels"].get("topology.kubernetes.io/zone", pool.zones[0])
            body = {
                "metadata": {"labels": pool.all_labels(zone, node["metadata"]["name"])},
                "spec": {"taints": pool.all_taints()},
            }
            self.api.patch(f"/api/v1/nodes/{node['metadata']['name']}", body)

    def _remove(self, name: str) -> None:
        """Cordon, evict what a disruption budget allows, then delete the node and what is left on it."""
        with contextlib.suppress(ApiError):
            self.api.patch(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": True}})
        deadline = time.monotonic() + _DRAIN_S
        while time.monotonic() < deadline:
            left = [p for p in self._pods_on(name) if not is_daemon(p)]
            if not left:
                break
            evicted = [self._evict(p) for p in left if p["metadata"].get("deletionTimestamp") is None]
            # Where the budget allows nothing there is nothing to wait for on a node that goes away for good.
            if evicted and not any(evicted) and not self._replaceable(left):
                break
            time.sleep(0.3)
        self._delete_node(name)

    def _replaceable(self, left: list[Object]) -> bool:
        """Whether the pods could run elsewhere, so that waiting for their replacements makes sense."""
        with self._lock:
            others = [p for p in self._pools.values() if p.size < p.max_nodes]
        return any(autoscaler.fits(pod, pool) for pod in left for pool in others)

    def _pods_on(self, node: str) -> list[Object]:
        items = self.api.call("GET", "/api/v1/pods", fieldSelector=f"spec.nodeName={node}").get("items", [])
        return [p for p in items if p["status"].get("phase") not in ("Succeeded", "Failed")]

    def _evict(self, pod: Object) -> bool:
        """Evict a pod; False when its disruption budget does not allow it now."""
        meta = pod["metadata"]
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": meta["name"], "namespace": meta["namespace"]},
        }
        try:
            self.api.call("POST", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/eviction", body)
        except ApiError as error:
            return error.status == 404
        return True

    def _delete_node(self, name: str) -> None:
        for pod in self._pods_on(name):
            meta = pod["metadata"]
            with contextlib.suppress(ApiError):
                self.api.call("DELETE", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}", gracePeriodSeconds="0")
        with contextlib.suppress(ApiError):
            self.api.call("DELETE", f"/api/v1/nodes/{name}")
        self._idle.pop(name, None)

    def _run(self) -> None:
        while not self._stop.wait(_TICK_S):
            try:
                self._tick()
            except (ApiError, KeyError):
                # The API server is starting, stopping or restarting; the next tick sees what became of it.
                continue

    def _tick(self) -> None:
        with self._lock:
            pools = dict(self._pools)
        if not pools:
            return
        seen_nodes, seen_pods = nodes(self.api), pods(self.api)
        devices.reconcile(self.api, pools, seen_nodes, seen_pods)
        for pool in pools.values():
            if sum(_pool_of(n) == pool.name for n in seen_nodes) < pool.size:
                # Reclaimed by the cloud or deleted by hand: the group replaces it.
                with self._lock:
                    self._fill(self._pools.get(pool.name, pool))
            if not autoscaler.acts(pool, seen_pods):
                continue
            if more := autoscaler.growth(pool, seen_nodes, seen_pods):
                self.resize(pool.name, pool.size + more)
            elif gone := autoscaler.idle(pool, seen_nodes, seen_pods, self._idle, _IDLE_S):
                with self._lock:
                    self._pools[pool.name] = pool.at(pool.size - len(gone))
                for name in gone:
                    self._remove(name)
                self._on_resize(pool.name, pool.size - len(gone))


def _pool_of(node: Object) -> str | None:
    pool: str | None = (node["metadata"].get("annotations") or {}).get(POOL)
    return pool


__all__ = ["ClusterSim", "NodePool"]
