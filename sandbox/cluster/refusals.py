"""What is seen when an autoscaler would grow a pool and its cloud gives it no more machines: events, and a line a pool.

The events are those of the clouds' own autoscalers: on the pods that wait, and with the cloud's words on the status of
cluster-autoscaler in kube-system (EKS and AKS; GKE keeps its words in a log, so that here they go to the same place).
https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md#what-events-are-emitted-by-ca,
https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-autoscaler-visibility
"""

from __future__ import annotations

import contextlib
import time

from fleet.catalog.clouds import Cloud
from sandbox.cluster.api import Api, ApiError, Object
from sandbox.cluster.pool import NodePool

_STATUS = {"kind": "ConfigMap", "namespace": "kube-system", "name": "cluster-autoscaler-status", "apiVersion": "v1"}


class Refusals:
    """The refusals of one cluster, by pool; each is told once as long as its words stay the same."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._words: dict[str, str] = {}
        self._told: set[tuple[str, str]] = set()

    def of(self, pool: str) -> str:
        """Why the pool does not grow, in its cloud's words; empty where it may."""
        return self._words.get(pool, "")

    def note(self, pool: NodePool, group: str, words: str) -> None:
        """A cloud refused, or with no words it did not."""
        if self._words.get(pool.name, "") == words:
            return
        self._words[pool.name] = words
        if words:
            self._event(_STATUS, "Warning", "FailedToScaleUpGroup", f"Scale-up failed for group {group}: {words}")

    def tell(self, pool: NodePool, waiting: list[Object]) -> None:
        """Tell the pods that wait for the pool, and for no other."""
        reason, message, kind = _for_pods(pool)
        for pod in waiting:
            meta = pod["metadata"]
            if (key := (meta["uid"], self.of(pool.name))) not in self._told:
                self._told.add(key)
                about = {"kind": "Pod", "apiVersion": "v1", **{k: meta[k] for k in ("namespace", "name", "uid")}}
                self._event(about, kind, reason, message)

    def _event(self, about: dict[str, str], kind: str, reason: str, message: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        body = {
            "metadata": {"generateName": f"{about['name']}.", "namespace": about["namespace"]},
            "involvedObject": about,
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": "cluster-autoscaler"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        }
        # A pod may be gone, and its namespace with it.
        with contextlib.suppress(ApiError):
            self._api.call("POST", f"/api/v1/namespaces/{about['namespace']}/events", body)


def _for_pods(pool: NodePool) -> tuple[str, str, str]:
    """Reason, message and type of a waiting pod's event."""
    if pool.cloud is Cloud.GCP:
        where = f"Node scale up in zones {', '.join(pool.zones)} associated with this pod failed: GCE quota exceeded."
        return "FailedScaleUp", f"{where} Pod is at risk of not being scheduled.", "Warning"
    return "NotTriggerScaleUp", "pod didn't trigger scale-up: 1 in backoff after failed scale-up", "Normal"
