"""Clusters of the local clouds: a control plane each, its pools, and the file that tells credential helpers about it.

Owns the life of control planes; how a pool becomes nodes is `sandbox.cluster`'s.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fleet.catalog.clouds import Cloud
from sandbox.addons import ADDONS, PLAYED, Addon, proxy_of
from sandbox.cloud.buckets import QUEUES
from sandbox.cloud.errors import CloudError
from sandbox.cloud.records import Records
from sandbox.cluster import ClusterSim, NodePool, compute_class
from sandbox.cluster.api import ApiError
from sandbox.cluster.programs import Stores
from sandbox.control_plane import ControlPlane


class Clusters:
    """Control planes by `<cloud>/<cluster name>`.

    Args:
        afford: of a cluster's name and a pool, the nodes that the account's quota leaves it, and what the cloud says
            where that is fewer than the pool's size.
        url: of the daemon, which passes requests on to pods.
        stores: of a URL of weights, the environment by which a program reaches them.
    """

    def __init__(
        self,
        home: Path,
        records: Records,
        afford: Callable[[str, NodePool], tuple[int, CloudError | None]],
        url: str = "",
        stores: Stores = lambda url: {},
    ) -> None:
        self._url, self._stores = url, stores
        self._afford = afford
        self._home = home / "clusters"
        self._records = records
        self._lock = threading.Lock()
        self._running: dict[str, ClusterSim] = {}
        self._addons: dict[tuple[str, str], Addon] = {}
        # Of two runs that want the same existing cluster one starts it.
        self._sites = threading.Lock()

    def start(self, cloud: str, name: str) -> dict[str, str]:
        """Start (or resume) the control plane; returns endpoint, CA (PEM) and the admin token."""
        key = f"{cloud}/{name}"
        directory = self._home / cloud / name
        with self._lock:
            if key in self._running:
                raise CloudError("ResourceInUse", f"cluster {name} exists", 409)
        plane = ControlPlane(key.replace("/", "-"), directory)
        plane.start()
        sim = ClusterSim(
            plane,
            lambda pool, size: self._resized(key, pool, size),
            lambda pool: self._afforded(name, pool),
            self._stores,
        )
        if cloud == "gcp":
            compute_class.install(sim.api)
        with self._lock:
            self._running[key] = sim
        about = {"endpoint": plane.endpoint, "ca": plane.ca_pem, "token": plane.token, "name": name, "cloud": cloud}
        (directory / "cluster.json").write_text(json.dumps(about))
        (directory / "kubeconfig").write_text(plane.kubeconfig())
        return about

    def site(self, name: str, pools: list[NodePool], runtime_classes: list[str]) -> dict[str, str]:
        """An existing cluster with these hosts and no others; a second call finds it and changes what differs."""
        cloud = str(Cloud.EXISTING)
        with self._sites:
            if f"{cloud}/{name}" not in self._running:
                self.start(cloud, name)
        sim = self.sim(cloud, name)
        for runtime in runtime_classes:
            body = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": runtime}, "handler": runtime}
            with contextlib.suppress(ApiError):  # it is there
                sim.api.call("POST", "/apis/node.k8s.io/v1/runtimeclasses", body)
        wanted = {pool.name for pool in pools}
        for pool in sim.pools():
            if pool.name not in wanted:
                self.remove_pool(cloud, name, pool.name)
        for pool in pools:
            self.set_pool(cloud, name, pool)
        return {"kubeconfig": (self._home / cloud / name / "kubeconfig").read_text()}

    def resume(self) -> None:
        """Bring back the clusters that ran when the daemon last stopped, with their pools."""
        for about in sorted(self._home.glob("*/*/cluster.json")):
            cloud, name = about.parts[-3], about.parts[-2]
            self.start(cloud, name)
            self._running[f"{cloud}/{name}"].expander = self._records.setting(f"expander/{cloud}/{name}")
            self._running[f"{cloud}/{name}"].limits = self._records.setting(f"limits/{cloud}/{name}")
            for raw in self._records.setting(f"pools/{cloud}/{name}") or {}:
                self._running[f"{cloud}/{name}"].set_pool(NodePool.from_json(raw))
            for chart in self._records.setting(f"addons/{cloud}/{name}") or ():
                addon = self._addon(f"{cloud}/{name}", chart)
                if addon.needs_daemon:  # which answers once all of this is done
                    threading.Thread(target=_start, args=(addon,), name=f"{chart}-{name}", daemon=True).start()
                else:
                    addon.start()

    def delete(self, cloud: str, name: str) -> None:
        """Stop the control plane and forget all it held; one of the same name starts empty."""
        with self._lock:
            sim = self._running.pop(f"{cloud}/{name}", None)
        for addon in self._forget_addons(f"{cloud}/{name}"):
            addon.close()
        if sim is not None:
            sim.close()
            sim.control_plane.stop()
        shutil.rmtree(self._home / cloud / name, ignore_errors=True)
        self._records.forget(f"size/{cloud}/{name}/")
        self._records.forget(f"pools/{cloud}/{name}")
        self._records.forget(f"addons/{cloud}/{name}")
        self._records.forget(f"limits/{cloud}/{name}")

    def addon(self, endpoint: str, chart: str, *, present: bool) -> None:
        """Run the programs of a chart beside the cluster at that address, or take them away; those of nodes are theirs.

        Raises:
            CloudError: no cluster of this sandbox is there, or they did not come up.
        """
        if chart in PLAYED:
            return
        with self._lock:
            key = next((key for key, sim in self._running.items() if sim.control_plane.endpoint == endpoint), None)
        if key is None:
            raise CloudError("ResourceNotFoundException", f"no cluster of this sandbox is at {endpoint}", 404)
        addon = self._addon(key, chart)
        try:
            if present:
                addon.start()
            else:
                addon.remove()
        except RuntimeError as problem:
            raise CloudError("AddonFailed", str(problem), 500) from None
        with self._lock:
            if not present:
                self._addons.pop((key, chart), None)
            charts = sorted(name for where, name in self._addons if where == key)
        self._records.set(f"addons/{key}", charts)

    def _addon(self, key: str, chart: str) -> Addon:
        with self._lock:
            if (key, chart) not in self._addons:
                queues = self._stores(f"{QUEUES}{key.partition('/')[0]}") if chart == "keda" else {}
                plane = self._running[key].control_plane
                self._addons[key, chart] = ADDONS[chart](plane, proxy_of(self._url, key), queues)
            return self._addons[key, chart]

    def _forget_addons(self, key: str) -> list[Addon]:
        with self._lock:
            return [self._addons.pop(found) for found in [each for each in self._addons if each[0] == key]]

    def sim(self, cloud: str, name: str) -> ClusterSim:
        """The running cluster.

        Raises:
            CloudError: there is no such cluster.
        """
        with self._lock:
            try:
                return self._running[f"{cloud}/{name}"]
            except KeyError:
                raise CloudError("ResourceNotFoundException", f"no cluster {name} on {cloud}", 404) from None

    def set_pool(self, cloud: str, cluster: str, pool: NodePool) -> None:
        self.sim(cloud, cluster).set_pool(pool)
        self._remember(cloud, cluster)

    def set_tags(self, cloud: str, cluster: str, pool: str, tags: dict[str, str]) -> None:
        """What the pool's group is tagged with; a cluster that is going has forgotten it."""
        with contextlib.suppress(CloudError):
            self.sim(cloud, cluster).set_tags(pool, tags)
            self._remember(cloud, cluster)

    def set_expander(self, cloud: str, cluster: str, expander: str | None) -> None:
        """What the cloud's own autoscaler goes by when several pools could grow."""
        self.sim(cloud, cluster).expander = expander
        self._records.set(f"expander/{cloud}/{cluster}", expander)

    def set_limits(self, cloud: str, cluster: str, limits: dict[str, int] | None) -> None:
        """How many accelerators GKE may have in pools of its own making; None where it may make none."""
        self.sim(cloud, cluster).limits = limits
        self._records.set(f"limits/{cloud}/{cluster}", limits)

    def remove_pool(self, cloud: str, cluster: str, pool: str) -> None:
        self.sim(cloud, cluster).remove_pool(pool)
        self._records.forget(f"size/{cloud}/{cluster}/{pool}")
        self._remember(cloud, cluster)

    def _remember(self, cloud: str, cluster: str) -> None:
        pools = [pool.to_json() for pool in self.sim(cloud, cluster).pools()]
        self._records.set(f"pools/{cloud}/{cluster}", pools)

    def _resized(self, key: str, pool: str, size: int) -> None:
        cloud, name = key.split("/", 1)
        self._records.set(f"size/{key}/{pool}", size)
        self._remember(cloud, name)

    def _afforded(self, cluster: str, pool: NodePool) -> tuple[int, str]:
        size, refused = self._afford(cluster, pool)
        return size, str(refused or "")

    def size(self, cloud: str, cluster: str, pool: str) -> int | None:
        """The size an autoscaler last gave a pool, if one did."""
        size: int | None = self._records.setting(f"size/{cloud}/{cluster}/{pool}")
        return size

    def status(self) -> list[dict[str, Any]]:
        """What stands, for `fleet sandbox status`."""
        with self._lock:
            running = dict(self._running)
        return [
            {
                "cluster": key,
                "endpoint": sim.control_plane.endpoint,
                "pools": [
                    {
                        "name": p.name,
                        "machine": p.machine_name,
                        "size": p.size,
                        "spot": p.spot,
                        "refused": sim.refusals.of(p.name) or sim.instances.refused(p.name),
                    }
                    for p in sim.standing()
                ],
                "services": sim.programs.addresses(),
            }
            for key, sim in sorted(running.items())
        ]

    def close(self) -> None:
        with self._lock:
            running, self._running = dict(self._running), {}
            addons, self._addons = list(self._addons.values()), {}
        for addon in addons:
            addon.close()
        for sim in running.values():
            sim.close()
            sim.control_plane.stop()


def _start(addon: Addon) -> None:
    """In a thread of its own, where nobody could be told of a failure; the add-on's log says why."""
    with contextlib.suppress(RuntimeError):
        addon.start()
