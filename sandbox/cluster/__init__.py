"""A cluster's nodes, kept as its cloud would keep them: pools to nodes, device plugins to resources, pending pods to growth.

One loop a cluster. Owns Node objects only; pods are the scheduler's and KWOK's.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from fleet.catalog.clouds import Cloud
from sandbox.cluster import (
    auto_creation,
    autoscaler,
    claims,
    climbing,
    compute_class,
    devices,
    draining,
    expander,
    gke_networks,
    node_provisioning,
)
from sandbox.cluster.api import Api, ApiError, Object, nodes, pods
from sandbox.cluster.instances import Instances
from sandbox.cluster.pool import POOL, NodePool
from sandbox.cluster.programs import Programs, Stores
from sandbox.cluster.refusals import Refusals
from sandbox.control_plane import ControlPlane

_TICK_S = 0.5
# Cluster-autoscaler waits 10 minutes before it takes an idle node; a demo cannot.
_IDLE_S = float(os.environ.get("ACCELFLEET_IDLE_S", "120"))
_DRAIN_S = 20


class ClusterSim:
    """Runs the pools of one control plane.

    Args:
        on_resize: called with a pool's name and new size when something other than `set_pool` changed it.
        afford: of a pool, the nodes up to its size that its cloud would give, and the cloud's words where that is fewer.
        stores: of a URL of weights, the environment by which a program reaches them.
    """

    def __init__(
        self,
        control_plane: ControlPlane,
        on_resize: Callable[[str, int], None],
        afford: Callable[[NodePool], tuple[int, str]] = lambda pool: (pool.size, ""),
        stores: Stores = lambda url: {},
    ) -> None:
        self.control_plane = control_plane
        self.api = Api(control_plane.endpoint, control_plane.ca_pem, control_plane.token)
        self.refusals = Refusals(self.api)
        # Machines that a provisioner started, beside those of pools.
        self.instances = Instances(self.api)
        # Pods that are more than records.
        self.programs = Programs(self.api, control_plane.directory / "programs", stores)
        self._on_resize, self._afford = on_resize, afford
        self._pools: dict[str, NodePool] = {}
        self._idle: dict[str, float] = {}
        self._exhausted: set[str] = set()
        self._created: set[str] = set()
        # What a cloud's own autoscaler is told to choose a pool by (AKS), or that it makes pools itself; None for its default.
        self.expander: str | None = None
        # Accelerators by GKE's names, where it may make pools itself; None where it may not.
        self.limits: dict[str, int] | None = None
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._loop = threading.Thread(target=self._run, name=f"nodes-{control_plane.name}", daemon=True)
        self._loop.start()

    def set_pool(self, pool: NodePool) -> None:
        """Create or change a pool; returns when its nodes are registered, and those of another make are gone."""
        with self._lock:
            before = self._pools.get(pool.name)
            self._pools[pool.name] = pool
            if before is not None and (before.all_taints(), before.labels) != (pool.all_taints(), pool.labels):
                self._relabel(pool)
            old = self.nodes(pool.name) if before is not None and before.make != pool.make and not pool.hosts else []
            self._fill(pool)
        if old:
            self._roll(pool, old)

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

    def standing(self) -> list[NodePool]:
        """The cloud's pools, and those that a provisioner has machines of."""
        return [*self.pools(), *self.instances.pools().values()]

    def is_exhausted(self, pool: str) -> bool:
        with self._lock:
            return pool in self._exhausted

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

    def reclaim(
        self, pool: str, count: int, notice_s: float = 0, choose: Callable[[list[str], int], list[str]] | None = None
    ) -> list[str]:
        """Take spot nodes away, as the cloud does; the pool replaces them by others if it may.

        Args:
            choose: which ones, of the pool's nodes and a number; the first by name without.
            notice_s: how long before its end a node is cordoned and its pods are evicted, as far as their disruption
                budgets allow: AWS gives 120 seconds, AKS 30, GKE 15 and 15 more. Without notice pods just vanish.
        """
        standing = self.nodes(pool)
        taken = choose(standing, min(count, len(standing))) if choose else standing[:count]
        with ThreadPoolExecutor(max(1, len(taken))) as together:
            list(together.map(lambda name: self._remove(name, notice_s) if notice_s else self._delete_node(name), taken))
        return taken

    def set_tags(self, pool: str, tags: dict[str, str]) -> None:
        """What its Auto Scaling group is tagged with now."""
        with self._lock:
            if pool in self._pools:
                self._pools[pool] = replace(self._pools[pool], group_tags=tags)

    def exhaust(self, pool: str, exhausted: bool) -> None:
        """Have no more machines for a pool, or have them again; nodes that stand stay."""
        with self._lock:
            (self._exhausted.add if exhausted else self._exhausted.discard)(pool)

    def close(self) -> None:
        """Stop the loop; nodes stay in the API server."""
        self._stop.set()
        self._loop.join(5)
        self.programs.close()

    def _nodes_of(self, pool: str) -> list[Object]:
        return [n for n in self.api.call("GET", "/api/v1/nodes").get("items", []) if _pool_of(n) == pool]

    def _fill(self, pool: NodePool) -> None:
        """Make the pool have exactly its size: up in the emptiest zone, the youngest down. No machines, no nodes."""
        present = sorted(self._nodes_of(pool.name), key=lambda node: str(node["metadata"]["creationTimestamp"]))
        if pool.hosts:
            self._match_hosts(pool, [str(node["metadata"]["name"]) for node in present])
            return
        zones = Counter(map(pool.zone_of, present))
        missing = pool.size - len(present) if pool.name not in self._exhausted else 0
        for _ in range(missing):
            zone = min(pool.zones, key=lambda name: zones[name])
            zones[zone] += 1
            self._register(pool.node(zone))
        for node in present[pool.size :]:
            self._remove(node["metadata"]["name"])

    def _roll(self, pool: NodePool, old: list[str]) -> None:
        """A machine stays as it was made: one by one another comes, and then it is drained, as clouds do it.

        https://docs.aws.amazon.com/eks/latest/userguide/managed-node-update-behavior.html
        """
        for node in self._nodes_of(pool.name):
            if (name := node["metadata"]["name"]) in old:
                self._register(pool.node(pool.zone_of(node)))
                self._remove(name)

    def _match_hosts(self, pool: NodePool, present: list[str]) -> None:
        for name in pool.hosts:
            if name not in present:
                self._register(pool.node(pool.zones[0], name))
        for name in present:
            if name not in pool.hosts:
                self._remove(name)

    def _register(self, node: Object) -> None:
        self.api.call("POST", "/api/v1/nodes", node)
        # The API server drops status on create; a kubelet writes it right after.
        self.api.patch(f"/api/v1/nodes/{node['metadata']['name']}/status", {"status": node["status"]})

    def _relabel(self, pool: NodePool) -> None:
        for node in self._nodes_of(pool.name):
            body = {
                "metadata": {"labels": pool.all_labels(pool.zone_of(node), node["metadata"]["name"])},
                "spec": {"taints": pool.all_taints()},
            }
            self.api.patch(f"/api/v1/nodes/{node['metadata']['name']}", body)

    def _remove(self, name: str, notice_s: float = _DRAIN_S) -> None:
        draining.remove(self.api, name, notice_s, self._replaceable)
        self._idle.pop(name, None)

    def _replaceable(self, left: list[Object]) -> bool:
        with self._lock:
            others = [p for p in self._pools.values() if p.size < p.max_nodes]
        return any(autoscaler.fits(pod, pool) for pod in left for pool in others)

    def _delete_node(self, name: str) -> None:
        draining.delete(self.api, name)
        self._idle.pop(name, None)

    def _run(self) -> None:
        pause = _TICK_S
        while not self._stop.wait(pause):
            started = time.monotonic()
            # The API server may be starting, stopping or restarting; the next tick sees what became of it.
            with contextlib.suppress(ApiError, KeyError):
                self._tick()
            # A look at thousands of pods takes seconds: no more than a fifth of the time goes into looking.
            pause = max(_TICK_S, 4 * (time.monotonic() - started))

    def _create(self) -> None:
        """The pools that GKE or AKS makes itself, as their objects have them now; one that lost its object goes when empty."""
        found = auto_creation.pools(self.api) if self.limits is not None else node_provisioning.pools(self.api)
        made = {pool.name: pool for pool in found}
        with self._lock:
            before = {name: pool for name, pool in self._pools.items() if name in self._created}
            for name in before.keys() - made.keys():
                if before[name].size == 0:
                    self._pools.pop(name)
                    self._created.discard(name)
            for name, pool in made.items():
                self._pools[name] = pool.at(self._pools[name].size if name in self._pools else 0)
            self._created |= made.keys()

    def _tick(self) -> None:
        if self.limits is not None or self.expander == node_provisioning.WEIGHTS:
            self._create()
        with self._lock:
            pools = dict(self._pools)
        pools = {name: gke_networks.attach(self.api, pool) for name, pool in pools.items()}
        hardware = {**pools, **self.instances.pools()}
        if not hardware:
            return
        seen_nodes, seen_pods = nodes(self.api), pods(self.api)
        self.programs.see(seen_pods)
        draining.sweep(self.api, seen_nodes, seen_pods)
        devices.reconcile(self.api, hardware, seen_nodes, seen_pods)
        claims.reconcile(self.api, hardware, seen_nodes, seen_pods)
        claims.count(self.api, seen_pods)
        for pool in pools.values():
            standing = sum(_pool_of(n) == pool.name for n in seen_nodes)
            if standing < pool.size:
                self._make_up(pool, standing)
        for name in self._idle.keys() - {n["metadata"]["name"] for n in seen_nodes}:
            self._idle.pop(name, None)
        served: set[str] = set()
        scaled = [pool for pool in pools.values() if autoscaler.acts(pool, seen_pods)]
        ranked = expander.ranked(self.api, scaled, seen_pods, self.expander)
        for pool in ranked:
            if more := self._growth(pool, seen_nodes, seen_pods, served):
                self.resize(pool.name, pool.size + more)
            elif gone := autoscaler.idle(pool, seen_nodes, seen_pods, self._idle, _IDLE_S):
                self._give_back(pool.name, gone)
        climbing.climb(self.api, ranked, self._movable(), self._has_room, seen_nodes, seen_pods)
        for pool in scaled:
            if self.refusals.of(pool.name):
                self.refusals.tell(pool, autoscaler.waiting(pool, seen_nodes, seen_pods, served))

    def _growth(self, pool: NodePool, nodes: list[Object], pods: list[Object], served: set[str]) -> int:
        """Nodes to add and to be had; what cannot be had of this pool the next is asked for."""
        # An autoscaler that met a lack of machines leaves the pool alone for a while.
        if pool.name in self._exhausted:
            return 0
        if pool.name in self._created and self.limits is not None:
            pool = auto_creation.within(pool, self.pools(), self.limits)
        wanted = autoscaler.growth(pool, nodes, pods, set(served))
        size, words = self._afford(pool.at(pool.size + wanted)) if wanted else (pool.max_nodes, "")
        self.refusals.note(pool, expander.group(pool), words)
        most = min(pool.max_nodes, max(size, pool.size)) if words else pool.max_nodes
        return autoscaler.growth(replace(pool, max_nodes=most), nodes, pods, served)

    def _movable(self) -> set[str]:
        """Pools whose nodes their cloud may empty for an earlier one's."""
        if self.expander == node_provisioning.WEIGHTS:
            return node_provisioning.consolidating(self.api)
        on_gke = any(pool.cloud is Cloud.GCP for pool in self.pools())
        return compute_class.migrating(self.api) if on_gke else set()

    def _has_room(self, pool: NodePool) -> bool:
        if pool.name in self._exhausted:
            return False
        if pool.name in self._created and self.limits is not None:
            pool = auto_creation.within(pool, self.pools(), self.limits)
        return pool.size < pool.max_nodes and self._afford(pool.at(pool.size + 1))[0] > pool.size

    def _give_back(self, pool: str, idle: list[str]) -> None:
        """Take idle nodes out of a pool and its size; one that got work since it was looked at stays."""
        with self._lock:
            gone = [name for name in idle if draining.cordon_if_idle(self.api, name)]
            size = self._pools[pool].size - len(gone)
            self._pools[pool] = self._pools[pool].at(size)
            for name in idle:
                self._idle.pop(name, None)
            for name in gone:
                draining.delete(self.api, name)
        self._on_resize(pool, size)

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
