"""A cluster's nodes, kept as its cloud would keep them: pools to nodes, device plugins to resources, pending pods to growth.

One loop a cluster. Owns Node objects only; pods are the scheduler's and KWOK's.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sandbox.cluster import autoscaler, devices, expander
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
        self._exhausted: set[str] = set()
        # What a cloud's own autoscaler is told to choose a pool by (AKS); None for its default.
        self.expander: str | None = None
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

    def reclaim(self, pool: str, count: int, notice_s: float = 0) -> list[str]:
        """Take spot nodes away, as the cloud does; the pool replaces them if it may.

        Args:
            notice_s: how long before its end a node is cordoned and its pods are evicted, as far as their disruption
                budgets allow: AWS gives 120 seconds, AKS 30, GKE 15 and 15 more. Without notice pods just vanish.
        """
        taken = self.nodes(pool)[:count]
        with ThreadPoolExecutor(max(1, len(taken))) as together:
            list(together.map(lambda name: self._remove(name, notice_s) if notice_s else self._delete_node(name), taken))
        return taken

    def exhaust(self, pool: str, exhausted: bool) -> None:
        """Have no more machines for a pool, or have them again; nodes that stand stay."""
        with self._lock:
            (self._exhausted.add if exhausted else self._exhausted.discard)(pool)

    def close(self) -> None:
        """Stop the loop; nodes stay in the API server."""
        self._stop.set()
        self._loop.join(5)

    def _nodes_of(self, pool: str) -> list[Object]:
        return [n for n in self.api.call("GET", "/api/v1/nodes").get("items", []) if _pool_of(n) == pool]

    def _fill(self, pool: NodePool) -> None:
        """Make the pool have exactly its size: first free numbers up, last nodes down. No machines, no nodes."""
        present = {n["metadata"]["name"] for n in self._nodes_of(pool.name)}
        number = 0
        while len(present) < pool.size and pool.name not in self._exhausted:
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

    def _remove(self, name: str, notice_s: float = _DRAIN_S) -> None:
        """Cordon, evict what a disruption budget allows, then delete the node and what is left on it."""
        with contextlib.suppress(ApiError):
            self.api.patch(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": True}})
        deadline = time.monotonic() + notice_s
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
        self._delete_pods(name)
        with contextlib.suppress(ApiError):
            self.api.call("DELETE", f"/api/v1/nodes/{name}")
        # The scheduler may have bound one in between; the garbage collector would take a minute to see it.
        self._delete_pods(name)
        self._idle.pop(name, None)

    def _delete_pods(self, node: str) -> None:
        for pod in self._pods_on(node):
            meta = pod["metadata"]
            with contextlib.suppress(ApiError):
                self.api.call("DELETE", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}", gracePeriodSeconds="0")

    def _run(self) -> None:
        pause = _TICK_S
        while not self._stop.wait(pause):
            started = time.monotonic()
            # The API server may be starting, stopping or restarting; the next tick sees what became of it.
            with contextlib.suppress(ApiError, KeyError):
                self._tick()
            # A look at thousands of pods takes seconds: no more than a fifth of the time goes into looking.
            pause = max(_TICK_S, 4 * (time.monotonic() - started))

    def _tick(self) -> None:
        with self._lock:
            pools = dict(self._pools)
        if not pools:
            return
        seen_nodes, seen_pods = nodes(self.api), pods(self.api)
        devices.reconcile(self.api, pools, seen_nodes, seen_pods)
        for pool in pools.values():
            standing = sum(_pool_of(n) == pool.name for n in seen_nodes)
            if standing < pool.size:
                self._make_up(pool, standing)
        # A node of the same name that comes later was not idle all the while.
        for name in self._idle.keys() - {n["metadata"]["name"] for n in seen_nodes}:
            self._idle.pop(name, None)
        served: set[str] = set()
        scaled = [pool for pool in pools.values() if autoscaler.acts(pool, seen_pods)]
        for pool in expander.ranked(self.api, scaled, seen_pods, self.expander):
            # An autoscaler that met a lack of machines leaves the pool alone for a while, and asks the next.
            lacking = pool.name in self._exhausted
            if not lacking and (more := autoscaler.growth(pool, seen_nodes, seen_pods, served)):
                self.resize(pool.name, pool.size + more)
            elif gone := autoscaler.idle(pool, seen_nodes, seen_pods, self._idle, _IDLE_S):
                with self._lock:
                    self._pools[pool.name] = pool.at(pool.size - len(gone))
                for name in gone:
                    self._remove(name)
                self._on_resize(pool.name, pool.size - len(gone))

    def _make_up(self, pool: NodePool, standing: int) -> None:
        """Nodes were reclaimed by the cloud or deleted by hand: the group replaces them, or shrinks where there are none."""
        with self._lock:
            now = self._pools.get(pool.name, pool)
            if pool.name not in self._exhausted:
                self._fill(now)
                return
            self._pools[pool.name] = now.at(max(standing, 0 if now.autoscaled else now.min_nodes))
        self._on_resize(pool.name, standing)


def _pool_of(node: Object) -> str | None:
    pool: str | None = (node["metadata"].get("annotations") or {}).get(POOL)
    return pool


__all__ = ["ClusterSim", "NodePool"]
